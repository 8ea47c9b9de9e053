"""Heavy imports: no garbage collection during them, and the collector is restored afterwards."""

import gc
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bertlab.config.importing import import_heavy

NAME = "a_heavy_module"


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path / f"{NAME}.py"
    sys.modules.pop(NAME, None)
    gc.unfreeze()


def test_nothing_is_collected_while_a_heavy_module_comes_and_what_came_is_never_looked_at_again(module: Path) -> None:
    module.write_text("import gc\ncollects = gc.isenabled()\nkept = [[] for _ in range(1000)]\n", "utf-8")
    before = gc.get_freeze_count()
    import_heavy(NAME)
    assert not sys.modules[NAME].collects
    assert gc.isenabled()
    assert gc.get_freeze_count() >= before + 1000


def test_a_module_that_is_there_already_freezes_nothing(module: Path) -> None:
    module.write_text("", "utf-8")
    import_heavy(NAME)
    before = gc.get_freeze_count()
    import_heavy(NAME)
    assert gc.get_freeze_count() <= before  # fewer where a frozen object's last reference went in between


def test_the_collector_is_as_it_was_after_a_module_that_cannot_be_imported(module: Path) -> None:
    module.write_text("raise OSError('away')\n", "utf-8")
    with pytest.raises(OSError, match="away"):
        import_heavy(NAME)
    assert gc.isenabled()
    gc.disable()
    try:
        with pytest.raises(OSError, match="away"):
            import_heavy(NAME)
        assert not gc.isenabled()
    finally:
        gc.enable()
