"""Last lines of a command: written from the values of the result."""

from dataclasses import replace

from bertlab.commands.ending import in_words
from bertlab.tracking.result import Outcome, RunResult

RESULT = RunResult("abc", "finished", {"eval/mlm_loss": 5.12345, "eval/pair_accuracy": 0.5, "perf/tokens": 700.0}, None)


def test_a_run_is_described_by_its_measures() -> None:
    assert in_words(RESULT) == "eval/mlm_loss 5.123, eval/pair_accuracy 0.500"


def test_a_reused_run_is_named_with_what_made_it() -> None:
    other = replace(RESULT, reused=True, other_code="older", other_environment="torch 2")
    assert in_words(other).startswith(
        "reused: run abc, made by other code (older), made in another environment (torch 2)"
    )


def test_a_diverged_run_that_is_reused_is_diverged() -> None:
    outcome = Outcome((), result=replace(RESULT, status="diverged", reused=True))
    assert outcome.status == "diverged"
    assert in_words(replace(RESULT, status="diverged")) == "diverged: a loss was not finite after 700 tokens"
    assert outcome.result is not None
    assert in_words(outcome.result, outcome.status) == "reused: run abc, a loss was not finite after 700 tokens"
    assert in_words(replace(RESULT, reused=True), "reused").startswith("run abc, eval/mlm_loss")


def test_a_status_is_no_matter_of_words() -> None:
    assert Outcome((), "not run: as a part of its own error says").status == "failed"
    assert Outcome((), "no room", started=False).status == "not run"


def test_values_survive_json() -> None:
    assert RunResult.from_json(RESULT.as_json()) == RESULT
