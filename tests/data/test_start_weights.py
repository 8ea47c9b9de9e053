"""Later runs can start from intermediate weights of a run."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

import bertlab
from bertlab.commands import compare as compare_main
from bertlab.commands import describe as describe_main
from bertlab.config.compose import load, resolved
from bertlab.config.errors import InputError
from bertlab.config.reading import written_out
from bertlab.data.start_weights import with_start_folders
from bertlab.experiment.plan import __main__ as plan_main
from bertlab.study.arms import with_starts
from bertlab.study.registration import read_study
from bertlab.tracking.checkpoint import content_hash
from bertlab.tracking.run_folder import RunFolder, run_folders_in
from bertlab.train.early import check_early
from tests.conftest import Command
from tests.run_folders import finished

TINY = (
    *("data=oracle", "data.documents=60", "batch.size=3", "schedule=constant", "schedule.warmup=0"),
    *("model.width=16", "model.heads=1", "model.inner=16", "trainer.points=2", "trainer.progress=false"),
    *("evaluation.sequences=4", "evaluation.pseudo=0"),
)  # 105 tokens a step


def weights(folder: Path) -> dict[str, list[float]]:
    return {name: each.flatten().tolist() for name, each in load_file(folder / "model" / "model.safetensors").items()}


@pytest.mark.slow
@pytest.mark.parametrize("option", ["model/position=learned", "model/sharing=all", "model/position=alibi"])
def test_a_run_starts_from_one_that_waits_for_a_store_by_how_its_id_begins(command: Command, option: str) -> None:
    """Also for parts that share weights: each tensor has the first of its names."""
    words = (*TINY, option, "budget.tokens=210", "tracking.offline=true")
    assert command(*words)[0] == 0
    (cell,) = run_folders_in("outputs")
    shown = str(cell.state()["token"])[:12]  # by `bertlab runs`
    code, _, err = command(*words, f"start=run:{shown}", "trainer=none")
    assert code == 0, err
    (same,) = (each for each in run_folders_in("outputs") if each.key != cell.key)
    assert weights(same.folder) == weights(cell.folder)


@pytest.mark.integration
def test_weights_kept_at_a_count_are_those_of_a_run_of_that_budget(command: Command) -> None:
    keeping = (*TINY, "budget.tokens=735", "trainer.keep_at=[200, 420]")
    assert command(*keeping)[0] == 0
    (cell,) = run_folders_in("outputs")
    assert not (cell.folder / "model").exists(), "the store has the final weights"
    assert command(*TINY, "budget.tokens=420", "tracking.offline=true")[0] == 0
    (short,) = (each for each in run_folders_in("outputs") if each.key != cell.key)

    offline = ("tracking.offline=true", "schedule=constant")
    code, _, err = command(*TINY, "budget.tokens=210", f"start=run:{cell.key}@420", *offline)
    assert code == 0, err
    (folder,) = Path("outputs/starts").iterdir()
    assert folder.name == f"{cell.folder.name}@420"
    assert weights(folder) == weights(short.folder)

    (went_on,) = (each for each in run_folders_in("outputs") if each.key not in (cell.key, short.key))
    config = yaml.safe_load((went_on.folder / "config.yaml").read_text("utf-8"))
    assert config["start"]["from"] == f"run:{folder.absolute()}"

    code, _, err = command(*TINY, "budget.tokens=210", f"start=run:{cell.key}", *offline)
    assert code == 0, err
    assert Path(f"outputs/starts/{cell.folder.name}/model/model.safetensors").is_file(), "brought from the store"

    line = f"start must name a count of tokens at which the run kept its weights, got run:{cell.key}@500; it kept "
    code, _, err = command(*TINY, f"start=run:{cell.key}@500", *offline)
    assert code == 2
    assert err.startswith(f"bertlab: {line}200, 420; choose one of them, or train again")


@pytest.mark.integration
def test_a_run_goes_on_with_the_state_of_an_optimiser(command: Command) -> None:
    keeping = (*TINY, "budget.tokens=735", "trainer=keeping_all", "trainer.keep_at=[420]", "tracking.offline=true")
    assert command(*keeping)[0] == 0
    (cell,) = run_folders_in("outputs")
    found = dict[str, dict[str, list[float]]]()
    for asked in ("false", "true"):
        words = (f"start=run:{cell.key}@420", f"start.optimizer={asked}", "tracking.offline=true")
        code, _, err = command(*TINY, "budget.tokens=210", *words)
        assert code == 0, err
        (other,) = (each for each in run_folders_in("outputs") if each.key not in (cell.key, *found))
        found[other.key] = weights(other.folder)
    without, taken = found.values()
    assert without != taken
    code, _, err = command(*TINY, f"start=run:{cell.key}@420", "start.optimizer=true", "optimizer=sgd")
    assert code == 2
    assert err.startswith(
        "bertlab: optimizer must be that of the start with start.optimizer=true, got sgd after adamw;"
    )


def test_what_was_kept_is_found_by_its_count_and_refused_where_it_is_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    cell = finished(RunFolder(Path("outputs/cells/key-code")))
    plain = ["seed=1", "start.from=run:key"]
    assert with_start_folders(plain) == plain, "its weights are in its cell"
    with pytest.raises(InputError, match=r"got run:key@5_00; it kept none on its way, or train again with trainer\.ke"):
        with_start_folders(["start.from=run:key@5_00"])
    (cell.folder / "kept").mkdir()
    (cell.folder / "kept" / "500.safetensors").write_bytes(b"weights")
    for text in ("five", ""):
        with pytest.raises(InputError, match=rf"got run:key@{text}; it kept 500; choose one of them"):
            with_start_folders([f"start.from=run:key@{text}"])
    with pytest.raises(InputError, match=r"^start must name weights that are whole, got .*500\.safetensors, which is "):
        with_start_folders(["start.from=run:key@5_00"])
    with pytest.raises(InputError, match=r"^start must name one run of outputs, got run:gone, which none or several"):
        with_start_folders(["start.from=run:key,run:gone@5"])
    assert list(Path("outputs/starts").iterdir()) == []


def kept_at(cell: RunFolder, count: int) -> Path:
    """Add intermediate weights to a cell."""
    (cell.folder / "kept").mkdir(exist_ok=True)
    path, about = cell.folder / "kept" / f"{count}.safetensors", json.dumps({"tokens": count, "step": 1})
    tensors = {"weight": torch.ones(2)}
    save_file(tensors, path, {"about": about, "sha256": content_hash(tensors, about)})
    return path


def test_arms_of_a_study_start_from_what_a_run_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    cell = finished(RunFolder(Path("outputs/cells/key-code")))
    kept_at(cell, 500)
    config = resolved(load([]))
    study = replace(
        read_study(resolved(load(["study=mask_rate"]))),
        arms={"none": ("mask.rate=0.3",), "late": ("start.from=run:key@500", "mask.rate=0.3")},
        controls={"same": ("redraw=order",)},
    )
    folder = Path("outputs/starts/key-code@500").absolute()
    found = with_starts(study, config)
    assert found.arms == {"none": ("mask.rate=0.3",), "late": (f"start.from=run:{folder}", "mask.rate=0.3")}
    assert (folder / "model" / "model.safetensors").read_bytes() == (cell.folder / "kept/500.safetensors").read_bytes()
    assert with_starts(found, config) == found, "at a later stage of a search"
    common = with_starts(study, {**config, "start": {**config["start"], "from": "run:key@500"}})
    word = f"start.from='run:{folder}'"
    assert common.arms["none"] == (word, "mask.rate=0.3")
    assert common.controls["same"] == (word, "redraw=order"), "what a study says beside its arms"


@pytest.mark.parametrize(
    "refuse",
    [
        lambda words: bertlab.run(words),
        lambda words: bertlab.sweep({"seed": [0, 1]}, words),
        lambda words: bertlab.study("mask_rate", words),
        lambda words: plan_main.show(["study=mask_rate", *words]),
        lambda words: compare_main.check_words(words),
        lambda words: describe_main.show(words),
        lambda words: describe_main.show(["against", *words]),
    ],
    ids=["run", "sweep", "study", "plan", "compare", "describe", "describe against"],
)
def test_every_door_reads_a_count_of_tokens(
    refuse: Callable[[list[str]], object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    kept_at(finished(RunFolder(Path("outputs/cells/key-code"))), 500)
    with pytest.raises(InputError, match="got run:key@7; it kept 500; choose one of them, or train again"):
        refuse(["start=run:key@7"])


def test_counts_choose_the_option_that_keeps_weights() -> None:
    assert written_out(["trainer.keep_at=[5]"]) == ["trainer=keeping", "trainer.keep_at=[5]"]
    config = resolved(load(["trainer.keep_at=[5,3_000_000]", "budget.tokens=2_000_000"]))
    with pytest.raises(InputError, match=r"^trainer\.keep_at must be at most the tokens of the run, \d+, got 3000000;"):
        check_early([config])
