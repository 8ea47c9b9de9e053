"""A search with another Hydra sweeper: the results that it gets, its seeds, and its errors."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from bertlab.config.errors import InputError
from bertlab.sweep import searching
from bertlab.sweep.searching import FOUND, engine_of, search
from bertlab.tracking.files import read_json
from bertlab.tracking.result import Outcome, RunResult

Command = Callable[..., tuple[Any, str, str]]
CHOOSES = ("-m", "hydra/sweeper=optuna", "data=oracle", "optimizer.lr=interval(1e-4,1e-2)")


def reached(status: str) -> Outcome:
    return Outcome((), result=RunResult("r", status, {"eval/mlm_loss": 2.5}, None))


def test_an_outcome_is_the_loss_that_runs_are_judged_by() -> None:
    assert float(reached("finished")) == 2.5


@pytest.mark.parametrize("outcome", [reached("diverged"), Outcome((), "it failed")], ids=["diverged", "failed"])
def test_a_run_that_did_not_finish_has_no_value(outcome: Outcome) -> None:
    with pytest.raises(ValueError, match=r"diverged|it failed"):
        float(outcome)


def test_a_sweeper_that_is_not_installed_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(searching, "find_spec", lambda _: None)
    with pytest.raises(InputError, match=r"type pip install 'bertlab-ablations\[optuna\]'"):
        engine_of(CHOOSES)


@pytest.mark.parametrize("words", [["seed=1"], ["hydra/sweeper=bertlab", "seed=1"]])
def test_bertlabs_own_sweeper_is_the_default(words: list[str]) -> None:
    assert engine_of(words) is None


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ([*CHOOSES, "seed=999"], "seed must be one of at least 1000 in a search, which is no study, got 999; "),
        (CHOOSES[:3], "hydra/sweeper=optuna needs something to choose, got none; write optimizer.lr="),
        ([*CHOOSES, "mask.rate=2"], "mask.rate must lie in (0, 1), got 2; "),
        (
            ["-m", "hydra/sweeper=basic", "seed=1,2"],
            "hydra/sweeper, of Hydra's own keys, must be bertlab or optuna, got basic; ",
        ),
        ([*CHOOSES, "hydra.sweeper.custom_search_space=os.system"], "hydra.sweeper.custom_search_space is not for the"),
        ([*CHOOSES, "hydra.sweeper.storage=x"], "hydra.sweeper.storage is not for the command line; "),
    ],
    ids=str,
)
def test_a_search_that_cannot_be_is_refused_with_one_line(
    words: list[str], line: str, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searching, "find_spec", lambda _: object())
    code, _, errors = command(*words)
    assert code == 2
    assert errors.startswith(f"bertlab: {line}")
    assert errors.count("\n") == 1


def test_a_search_leaves_a_parent_of_its_own_kind_that_says_what_was_chosen_and_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not a sweep: `bertlab report` writes the latest sweep's page, and runs of a search are no comparison."""
    monkeypatch.chdir(tmp_path)

    def multirun(words: Sequence[str]) -> None:
        (folder,) = (word.partition("=")[2].strip("'") for word in words if word.startswith("hydra.sweep.dir="))
        best = {"best_params": {"optimizer.lr": 0.002}, "best_value": 2.5}
        (Path(folder) / FOUND).write_text(yaml.safe_dump(best), "utf-8")

    end = search([*CHOOSES[1:], "tracking.offline=true"], multirun)
    (noted,) = Path("outputs/sweeps").glob("*/sweep.json")
    about = read_json(noted)
    assert about is not None
    tags = about["tags"]
    assert end.in_words == "optimizer.lr=0.002, eval/mlm_loss 2.500"
    assert (about["name"], about["status"]) == ("optimizer.lr=interval(1e-4,1e-2)", "FINISHED")
    assert (tags["bertlab.kind"], tags["bertlab.factors"]) == ("search", "optimizer.lr")
    assert tags["bertlab.best"] == end.in_words
