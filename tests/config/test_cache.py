import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bertlab.config.cache import cache_root, cached, checksums, digest
from bertlab.config.errors import InputError

# A process that asks for an entry as soon as `go` exists; its builder notes that it ran, dwells, and may die.
ASK = """
import os, sys, time
from pathlib import Path
from bertlab.config.cache import cached

here, end = Path(sys.argv[1]), sys.argv[2]

def build(folder):
    with (here / "built").open("a") as notes:
        notes.write(f"{os.getpid()}\\n")
    (folder / "half").touch()
    if end == "dies":
        os._exit(3)
    time.sleep(0.2)
    (folder / "whole").touch()

(here / f"ready-{os.getpid()}").touch()
while not (here / "go").exists():
    time.sleep(0.005)
assert (cached("things", "key", build) / "whole").exists()
"""


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BERTLAB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def writes(text: str) -> Callable[[Path], None]:
    def build(folder: Path) -> None:
        (folder / "file").write_text(text, "utf-8")

    return build


def no_build(_: Path) -> None:
    raise AssertionError("must not be built again")


def entries(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("[!.]*") if path.suffix != ".lock")


def test_an_entry_is_built_once_and_then_found(root: Path) -> None:
    folder = cached("things", "key", writes("first"))
    assert folder == root / "things" / "key"
    assert cached("things", "key", no_build) == folder
    assert (folder / "file").read_text("utf-8") == "first"
    assert entries(root) == ["things", "things/key", "things/key/file"]


DAMAGE: dict[str, Callable[[Path], object]] = {
    "truncated": lambda entry: (entry / "file").write_text("fir", "utf-8"),
    "changed": lambda entry: (entry / "file").write_text("fIrst", "utf-8"),
    "gone": lambda entry: (entry / "file").unlink(),
    "added": lambda entry: (entry / "other").touch(),
    "without checksums": lambda entry: (entry / ".checksums.json").unlink(),
    "checksums cut short": lambda entry: (entry / ".checksums.json").write_text('{"fi', "utf-8"),
    "checksums of another kind": lambda entry: (entry / ".checksums.json").write_text("3", "utf-8"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_entry_is_reported_and_made_again(root: Path, kind: str, caplog: pytest.LogCaptureFixture) -> None:
    entry = cached("things", "key", writes("first"))
    DAMAGE[kind](entry)
    assert (cached("things", "key", writes("second")) / "file").read_text("utf-8") == "second"
    (record,) = caplog.records
    assert f"the cache entry {entry} is damaged (" in record.getMessage()
    assert record.getMessage().endswith("; it is made again")
    assert entries(root) == ["things", "things/key", "things/key/file"]
    assert cached("things", "key", no_build) == entry


def test_an_entry_is_hashed_once_in_a_process(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[Path] = []
    monkeypatch.setattr("bertlab.config.cache.checksums", lambda folder: hashed.append(folder) or checksums(folder))
    for _ in range(3):
        cached("things", "key", writes("first"))
    assert hashed[1:] == [root / "things" / "key"]


@pytest.mark.usefixtures("root")
def test_a_file_that_is_mapped_outlives_its_damaged_entry() -> None:
    entry = cached("things", "key", writes("first"))
    with (entry / "file").open() as held:
        (entry / "other").touch()
        cached("things", "key", writes("second"))
        assert held.read() == "first"


def test_kinds_and_keys_do_not_mix(root: Path) -> None:
    for kind, key in (("things", "a"), ("things", "b"), ("others", "a")):
        cached(kind, key, writes(kind + key))
    assert (root / "things" / "b" / "file").read_text("utf-8") == "thingsb"
    assert (root / "others" / "a" / "file").read_text("utf-8") == "othersa"


@pytest.mark.parametrize("error", [RuntimeError("broken"), KeyboardInterrupt(), PermissionError(13, "not the cache")])
def test_a_builder_that_raises_leaves_nothing_and_its_error_passes(root: Path, error: BaseException) -> None:
    def build(folder: Path) -> None:
        (folder / "half").touch()
        raise error

    with pytest.raises(type(error)) as caught:
        cached("things", "key", build)
    assert caught.value is error
    assert entries(root) == ["things"]
    assert (cached("things", "key", writes("second")) / "file").read_text("utf-8") == "second"


def test_the_builder_never_sees_the_final_folder(root: Path) -> None:
    def build(folder: Path) -> None:
        assert folder.parent == root / "things"
        assert not (root / "things" / "key").exists()

    cached("things", "key", build)


@pytest.mark.usefixtures("root")
def test_threads_that_ask_together_build_once() -> None:
    built, together = [], threading.Barrier(5)

    def build(folder: Path) -> None:
        built.append(folder)
        time.sleep(0.1)
        (folder / "whole").touch()

    def ask(_: int) -> bool:
        together.wait()
        return (cached("things", "key", build) / "whole").exists()

    with ThreadPoolExecutor(5) as pool:
        assert list(pool.map(ask, range(5))) == [True] * 5
    assert len(built) == 1


def start(here: Path, end: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", ASK, str(here), end])


def let_go(here: Path, processes: list[subprocess.Popen[bytes]]) -> list[int]:
    deadline = time.monotonic() + 60
    while len(list(here.glob("ready-*"))) < len(processes) and time.monotonic() < deadline:
        time.sleep(0.01)
    (here / "go").touch()
    return [process.wait(60) for process in processes]


@pytest.mark.usefixtures("root")
def test_processes_that_ask_together_build_once(tmp_path: Path) -> None:
    assert let_go(tmp_path, [start(tmp_path, "lives") for _ in range(3)]) == [0, 0, 0]
    assert len((tmp_path / "built").read_text("utf-8").splitlines()) == 1


@pytest.mark.usefixtures("root")
def test_a_process_that_dies_while_building_leaves_no_entry(root: Path, tmp_path: Path) -> None:
    assert let_go(tmp_path, [start(tmp_path, "dies")]) == [3]
    assert not (root / "things" / "key").exists()
    assert (cached("things", "key", writes("second")) / "file").read_text("utf-8") == "second"


def refusal() -> str:
    with pytest.raises(InputError) as caught:
        cached("things", "key", no_build)
    return str(caught.value)


@pytest.mark.parametrize("below", ["", "deeper"])
def test_a_cache_that_is_a_file_or_below_one_is_an_input_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, below: str
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("BERTLAB_CACHE", str(tmp_path / "file" / below))
    place = cache_root()
    assert refusal() == (
        f"the cache folder must be writable, got {place} (Not a directory); set BERTLAB_CACHE to another"
    )


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="everything is writable for root")
@pytest.mark.parametrize("mode", [0o500, 0o000])
def test_a_cache_without_permission_is_an_input_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int
) -> None:
    locked = tmp_path / "locked"
    locked.mkdir()
    locked.chmod(mode)
    monkeypatch.setenv("BERTLAB_CACHE", str(locked))
    try:
        assert refusal().startswith(f"the cache folder must be writable, got {locked} (Permission denied); ")
    finally:
        locked.chmod(0o700)


@pytest.mark.parametrize("name", ["mkdir", "is_dir"])
def test_every_error_of_the_system_is_an_input_error(root: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Imitates a read-only file system or a folder without permission, since root needs no permission."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(Path, name, refuse)
    assert refusal() == (
        f"the cache folder must be writable, got {root} (Read-only file system); set BERTLAB_CACHE to another"
    )


def test_the_cache_is_where_the_environment_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("BERTLAB_CACHE", "~/mine")
    assert cache_root() == (tmp_path / "home" / "mine").resolve()
    monkeypatch.delenv("BERTLAB_CACHE")
    assert cache_root() == tmp_path / "xdg" / "bertlab"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_root() == tmp_path / "home" / ".cache" / "bertlab"


def test_digests_differ_for_other_values_types_and_places() -> None:
    parts = [(1, 2), (2, 1), ("1", 2), ([1, 2],), ({"a": 1, "b": 2},), (None,), ("é",), ()]
    assert len({digest(*part) for part in parts}) == len(parts)
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})


def test_digests_are_the_same_on_every_machine() -> None:
    assert digest("store-1", ["é", 0.1, None, {"b": True, "a": 2}]) == "d4fe2c21b1781411"
