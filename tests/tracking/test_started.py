"""Weights that a run kept on its way are what later runs start from."""

from pathlib import Path

import pytest
import yaml
from safetensors.torch import load_file

from bertlab.config.compose import load, resolved
from bertlab.config.errors import InputError
from bertlab.config.reading import written_out
from bertlab.ledger.cell import Cell, cells_in
from bertlab.tracking.started import with_started
from bertlab.train.early import check_early
from tests.cells import finished
from tests.conftest import Command

TINY = (
    *("data=oracle", "data.documents=60", "batch.size=3", "schedule=constant", "schedule.warmup=0"),
    *("model.width=16", "model.heads=1", "model.inner=16", "trainer.points=2", "trainer.progress=false"),
    *("evaluation.sequences=4", "evaluation.pseudo=0"),
)  # 105 tokens a step


def weights(folder: Path) -> dict[str, list[float]]:
    return {name: each.flatten().tolist() for name, each in load_file(folder / "model" / "model.safetensors").items()}


@pytest.mark.integration
def test_weights_kept_at_a_count_are_those_of_a_run_of_that_budget(command: Command) -> None:
    keeping = (*TINY, "budget.tokens=735", "trainer.keep_at=[200, 420]")
    assert command(*keeping)[0] == 0
    (cell,) = cells_in("outputs")
    assert not (cell.folder / "model").exists(), "the store has the final weights"
    assert command(*TINY, "budget.tokens=420", "tracking.offline=true")[0] == 0
    (short,) = (each for each in cells_in("outputs") if each.key != cell.key)

    offline = ("tracking.offline=true", "schedule=constant")
    code, _, err = command(*TINY, "budget.tokens=210", f"start=run:{cell.key}@420", *offline)
    assert code == 0, err
    (folder,) = Path("outputs/starts").iterdir()
    assert folder.name == f"{cell.folder.name}@420"
    assert weights(folder) == weights(short.folder)

    (went_on,) = (each for each in cells_in("outputs") if each.key not in (cell.key, short.key))
    config = yaml.safe_load((went_on.folder / "config.yaml").read_text("utf-8"))
    assert config["start"]["from"] == f"run:{folder.absolute()}"

    code, _, err = command(*TINY, "budget.tokens=210", f"start=run:{cell.key}", *offline)
    assert code == 0, err
    assert Path(f"outputs/starts/{cell.folder.name}/model/model.safetensors").is_file(), "brought from the store"

    line = f"start must name a count of tokens at which the run kept its weights, got run:{cell.key}@500; it kept "
    code, _, err = command(*TINY, f"start=run:{cell.key}@500", *offline)
    assert code == 2
    assert err.startswith(f"bertlab: {line}200, 420; choose one of them, or train again")


def test_what_was_kept_is_found_by_its_count_and_refused_where_it_is_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    cell = finished(Cell(Path("outputs/cells/key-code")))
    plain = ["seed=1", "start.from=run:key"]
    assert with_started(plain) == plain, "its weights lie in its cell"
    with pytest.raises(InputError, match=r"got run:key@5_00; it kept none on its way, or train again with trainer\.ke"):
        with_started(["start.from=run:key@5_00"])
    (cell.folder / "kept").mkdir()
    (cell.folder / "kept" / "500.safetensors").write_bytes(b"weights")
    for text in ("five", ""):
        with pytest.raises(InputError, match=rf"got run:key@{text}; it kept 500; choose one of them"):
            with_started([f"start.from=run:key@{text}"])
    with pytest.raises(InputError, match=r"^start must name weights that are whole, got .*500\.safetensors, which is "):
        with_started(["start.from=run:key@5_00"])
    with pytest.raises(InputError, match=r"^start must name one run of outputs, got run:gone, which none or several"):
        with_started(["start.from=run:key,run:gone@5"])
    assert list(Path("outputs/starts").iterdir()) == []


def test_counts_choose_the_option_that_keeps_weights() -> None:
    assert written_out(["trainer.keep_at=[5]"]) == ["trainer=keeping", "trainer.keep_at=[5]"]
    config = resolved(load(["trainer.keep_at=[5,3_000_000]", "budget.tokens=2_000_000"]))
    with pytest.raises(InputError, match=r"^trainer\.keep_at must be at most the tokens of the run, \d+, got 3000000;"):
        check_early([config])
