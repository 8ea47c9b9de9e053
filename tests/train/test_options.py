"""Every option of the groups that shape training takes part in a run; what has no meaning is refused before it."""

import math
from collections.abc import Callable
from typing import Any

import pytest

from bertlab.compose import CONF
from bertlab.errors import InputError
from bertlab.job import Job

GROUPS = ("mask", "pairs", "objective", "optimizer", "schedule")
OPTIONS = [f"{group}={path.stem}" for group in GROUPS for path in sorted((CONF / group).glob("*.yaml"))]
NEEDS = {"mask=next_token": ("model/visibility=left_to_right",)}
REFUSED = {  # on text whose words are one token each
    "mask=whole_word": "mask=whole_word needs words of several pieces (##), got a vocabulary of whole words, where it "
    "equals mask=token; use mask=token or tokenizer=wordpiece",
}


@pytest.mark.parametrize("option", [option for option in OPTIONS if option not in REFUSED])
def test_an_option_trains(option: str, fit: Callable[..., Any], prepared: Callable[..., Job]) -> None:
    overrides = (option, *NEEDS.get(option, ()))
    prepared(*overrides).check()
    fitted = fit(*overrides)
    losses = fitted.curve("train/mlm_loss")
    assert len(losses) == 7
    assert all(map(math.isfinite, losses))
    assert not fitted.recorder.diverged


def test_the_common_evaluation_is_the_same_for_every_option(prepared: Callable[..., Job]) -> None:
    default = prepared().evaluation
    for option in OPTIONS:
        other = prepared(option).evaluation
        assert (other.text.ids_NL == default.text.ids_NL).all()
        assert (other.pairs.ids_NL == default.pairs.ids_NL).all()
        assert all((other.hidden[rate] == hidden_M).all() for rate, hidden_M in default.hidden.items())


@pytest.mark.parametrize(
    ("overrides", "line"),
    [
        *(((option,), line) for option, line in REFUSED.items()),
        *(
            (
                ("mask=next_token", *other),
                "mask=next_token needs a model in which no token looks ahead, got one that is given the answers; "
                "choose model/visibility=left_to_right",
            )
            for other in ((), ("model/visibility=right_to_left",), ("model/visibility=diagonal",))
        ),
        (
            ("objective=sequential", "pairs=none"),
            "objectives in turn need pairs, got none; use pairs=nsp or sop, or objective=joint",
        ),
        (
            ("objective.mlm_weight=0", "pairs=single"),
            "objective.mlm_weight must be positive where no pairs are learned, got 0; "
            "raise it, or learn pairs with pairs=nsp and objective.pair_weight=1",
        ),
    ],
)
def test_what_has_no_meaning_is_refused_before_training(
    overrides: tuple[str, ...], line: str, prepared: Callable[..., Job]
) -> None:
    with pytest.raises(InputError) as caught:
        prepared(*overrides).check()
    assert str(caught.value) == line


def test_turns_are_taken_along_the_run(fit: Callable[..., Any]) -> None:
    """Of 7 steps the first 4 lie before the middle."""
    fitted = fit("objective=sequential", "objective.order=[pair,mlm]")
    terms = zip(*(fitted.curve(f"train/{name}") for name in ("loss", "pair_loss", "mlm_loss")), strict=True)
    for step, (loss, pair, mlm) in enumerate(terms):
        assert loss == pytest.approx(pair if step < 4 else mlm)


def test_a_scheduled_rate_predicts_less_and_less(prepared: Callable[..., Job]) -> None:
    """736 steps of 96 words; tolerance 4 standard errors of the mean of 100 steps."""
    batches = prepared("mask=scheduled", "budget.tokens=77280").batches
    for first, progress in ((0, 49.5 / 735), (636, 685.5 / 735)):
        share = sum(len(batches(step).target_M) for step in range(first, first + 100)) / 9600
        assert share == pytest.approx(0.3 - 0.15 * progress, abs=0.019)
