"""Runs that detect replaced tokens: their measures, that they resume bit by bit, and early errors."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from bertlab.config.compose import load, resolved
from bertlab.config.errors import InputError
from bertlab.config.reading import written_out
from bertlab.evaluation.measures import measure_of
from bertlab.sweep.run import Job
from bertlab.train.early import check_early
from bertlab.train.recorder import Saver

WORDS = ("objective=replaced", "model.generator=11")
NONE = ("mlm_loss", "mlm_accuracy", "context_gain", "pseudo_loss", "final_loss", "visible_accuracy", "shuffling_cost")


def test_the_objective_alone_brings_its_model_and_its_evaluation() -> None:
    assert written_out(["objective=replaced"]) == ["model=replaced", "evaluation=detection", "objective=replaced"]
    short = written_out(["objective=replaced", "tasks=my.tsv"])
    assert short[:3] == ["model=replaced", "evaluation=detection", "objective=replaced"]
    assert short[3].startswith("evaluation.tasks.list=")
    sized = ["model=replaced_base", "objective=replaced"]
    assert written_out(sized) == ["evaluation=detection", *sized]
    assert written_out(sized, whole=False) == sized, "an arm does not choose the evaluation"
    assert written_out(["objective=joint"]) == ["objective=joint"]


def test_a_run_that_goes_on_ends_with_the_same_bits(fit: Callable[..., Any]) -> None:
    kept = list[Any]()

    def keep(step: int, tensors: Any, counters: Any) -> None:
        kept.append((step, {name: value.clone() for name, value in tensors.items()}, dict(counters)))

    whole = fit(*WORDS, saver=Saver(0, keep))
    again = fit(*WORDS, saved=kept[3])
    assert again.curve("train/detection_loss") == whole.curve("train/detection_loss")[4:]
    weights = whole.model.state_dict()
    assert all(torch.equal(value, weights[name]) for name, value in again.model.state_dict().items())
    assert len(set(whole.curve("eval/generator_loss"))) > 1


def test_it_is_judged_by_what_its_encoder_can_do_and_by_no_loss_of_masked_tokens(
    prepared: Callable[..., Job],
) -> None:
    job = prepared(*WORDS, "evaluation.final=8", "evaluation.probe=16", "evaluation.sequences=16")
    model = job.initial_model().train()
    measures = job.evaluation.score(model, last=True)
    assert measures == job.evaluation.score(model, last=True), "evaluation draws from streams of its own"
    assert model.training
    assert not {name for name in measures if name.startswith(NONE)}
    assert {"generator_loss", "detection_gain", "pair_accuracy", "final_pair_accuracy"} <= set(measures)
    rows = {name: measure_of(f"eval/{name}") for name in measures}
    assert all(rows.values())
    assert not [name for name, row in rows.items() if row and row.judges and name.startswith(("detect", "gen", "repl"))]


def test_another_model_is_judged_by_the_common_evaluation(prepared: Callable[..., Job]) -> None:
    common, other = prepared("evaluation.pseudo=4"), prepared("evaluation=detection", "evaluation.pseudo=4")
    model = common.initial_model()
    assert other.evaluation.score(model, last=True) == common.evaluation.score(model, last=True)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (
            ["model=replaced"],
            "model and objective must both detect replaced tokens, got the objective of another kind; choose "
            "model=replaced objective=replaced, or neither of them",
        ),
        (
            ["model=nano", "objective=replaced"],
            "model and objective must both detect replaced tokens, got the model ",
        ),
        (
            ["objective=replaced", "evaluation=common"],
            "evaluation must do without a head for masked tokens with objective=replaced, got Common; choose "
            "evaluation=detection, which has tasks=[...] too",
        ),
        (["objective=replaced", "mask=apart"], "mask must predict at their places the tokens that it corrupts, as a "),
        (["objective=replaced", "mask=next_token"], "mask must predict at their places the tokens that it corrupts, "),
        (["objective=replaced", "evaluation.longest=128"], "evaluation.longest must be left out with objective=repl"),
        (["objective=replaced", "evaluation.prune=[0.5]"], "evaluation.prune must be left out with objective=replaced"),
        (
            ["objective=replaced", "trainer.accumulate=2"],
            "trainer.accumulate must be 1 with objective=replaced, whose ",
        ),
        (
            ["objective=replaced", "model.generator=5"],
            "model.generator must divide model.width 64, got 5; choose a ",
        ),
    ],
)
def test_what_cannot_work_is_refused_at_once(words: list[str], line: str) -> None:
    with pytest.raises(InputError) as caught:
        check_early([resolved(load(words))])
    assert str(caught.value).startswith(line)


def test_tasks_that_ask_for_masked_tokens_are_refused(tmp_path: Path) -> None:
    (tmp_path / "pairs.jsonl").write_text('{"good": "a b", "bad": "b a"}\n' * 3, "utf-8")
    words = ["objective=replaced", f"tasks=[{{file: '{tmp_path}/pairs.jsonl', kind: minimal_pairs}}]"]
    with pytest.raises(InputError, match="tasks must be learnt with objective=replaced, got pairs of kind minimal"):
        check_early([resolved(load(words))])


@pytest.mark.parametrize("mask", ["token", "whole_word", "span", "scheduled", "piecewise", "static"])
def test_policies_that_predict_what_they_hide_go_with_it(mask: str) -> None:
    check_early([resolved(load(["objective=replaced", f"mask={mask}"]))])
