"""A study with a trunk: one run per seed; every arm of the seed continues from its weights."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from bertlab.config.errors import InputError
from bertlab.study.arms import from_file, register
from tests.conftest import Command

TINY = (
    *("study=mask_rate_continued", "data=oracle", "data.documents=80", "batch.size=3", "budget.tokens=735"),  # 7 steps
    *("model.width=16", "model.heads=1", "model.inner=16", "trainer.points=2", "trainer.progress=false"),
    *("evaluation.sequences=4", "evaluation.share=0.99", "evaluation.pseudo=0", "study.floor=0"),
    *("study.seeds=3", "study.looks=[3]", "study.trunk.tokens=420", "study.controls.harmful=['budget.tokens=210']"),
    *("~study.arms.rate_05", "~study.expects.rate_05", "~study.arms.rate_40", "~study.expects.rate_40"),
    *("~study.labels", "~study.labels_zh"),
)


@pytest.mark.integration
def test_every_arm_of_a_seed_goes_on_from_the_trunk_of_that_seed(command: Command) -> None:
    from mlflow.tracking import MlflowClient

    code, _, err = command(*TINY)
    assert code == 0, err
    page = Path("outputs/reports/mask_rate_continued.md").read_text("utf-8")
    assert "## The question is one of continued training" in page
    assert "trained on 420 tokens" in page

    client = MlflowClient(f"sqlite:///{Path.cwd() / 'mlflow.db'}")
    (experiment,) = (found.experiment_id for found in client.search_experiments() if found.name == "bertlab")
    runs = [run for run in client.search_runs([experiment], "tags.`bertlab.kind` = 'run'") if "arm" in run.data.tags]
    trunks = [run for run in runs if run.data.tags["arm"] == "trunk"]
    assert sorted(int(run.data.tags["seed"]) for run in trunks) == [2000, 2001, 2002, 3000, 3001, 3002]
    folders = list(Path("outputs/trunks").iterdir())
    assert len(folders) == 6, "one for each seed, those that the exploration uses included"

    def start(arm: str, seed: int) -> Any:
        (run,) = (run for run in runs if (run.data.tags["arm"], run.data.tags["seed"]) == (arm, str(seed)))
        path = client.download_artifacts(run.info.run_id, "config.yaml")
        return yaml.safe_load(Path(path).read_text("utf-8"))["start"]["from"]

    arms = ("rate_15", "rate_30", "same", "harmful")
    for seed in range(3):
        (shared,) = {start(arm, seed) for arm in arms}
        assert (Path(shared.removeprefix("run:")) / "model" / "model.safetensors").is_file()
    assert len({start("rate_15", seed) for seed in range(3)}) == 3

    code, _, err = command(*TINY)
    assert code == 0, err
    assert "0 of 3 runs are there already" not in err, "typed again, neither trunk nor arm is trained again"


def compose(*words: str) -> Any:
    return from_file("mask_rate_continued", *words)


def test_a_trunk_is_part_of_what_is_registered() -> None:
    one, other = (register(compose(f"study.trunk.tokens={tokens}")) for tokens in (1000, 2000))
    assert one.hash != other.hash
    assert one.trunk is not None
    assert (one.trunk["budget"]["tokens"], one.trunk["schedule"]["decay"]) == (1000, 0)
    assert one.arms["rate_15"]["schedule"]["decay"] == 0.5


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ("~study.trunk.overrides", "study.trunk must hold overrides and tokens, got "),
        ("study.trunk.tokens=0", "study.trunk.tokens must be a whole number of at least 1, got 0"),
        ("study.trunk.overrides=['seed=3']", "study.trunk sets budget and start itself, got seed=3"),
        ("study.trunk.overrides=['mask.ratio=3']", "study.trunk cannot be composed: "),
        ("~study.margin.nats +study.margin.tokens=0.1", "study.trunk is for a margin in nats or share and no ladder"),
    ],
)
def test_a_trunk_that_cannot_be_is_one_line(words: str, line: str) -> None:
    with pytest.raises(InputError, match=f"^{line}"):
        register(compose(*words.split()))
