"""Tasks in turn: which loss is minimised at which step, and the contract of every objective of conf/objective."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from bertlab.config.compose import CONF
from bertlab.config.errors import InputError
from bertlab.data.batches import Batch
from bertlab.model.bert import Output
from bertlab.objective.joint import Joint
from bertlab.objective.turns import Alternating, Sequential, Turns
from tests.outputs import of_logits

NAMES = sorted(path.stem for path in (CONF / "objective").glob("*.yaml"))
NAMES.remove("replaced")  # detects tokens: tests/objective/test_replaced.py
MLM, PAIR = ["mlm", "pair"], ["pair", "mlm"]
WEIGHTS = {"mlm_weight": 2.0, "pair_weight": 3.0}
IDS = torch.zeros(2, 7, dtype=torch.int64)
BATCH = Batch(IDS, IDS, None, torch.arange(3), torch.tensor([1, 0, 3]), torch.tensor([0, 1]), has_pairs=True)
SINGLE = Batch(IDS, IDS, None, torch.arange(3), torch.tensor([1, 0, 3]), torch.tensor([-100, -100]), has_pairs=False)


def output() -> Output:
    mlm_MV, pair_B2 = torch.arange(12.0).view(3, 4).sin(), torch.arange(4.0).view(2, 2).cos()
    return of_logits(mlm_MV.requires_grad_(), pair_B2.requires_grad_())


def learned(objective: Turns, total: int) -> str:
    """Return which task each step learns, one letter a step."""
    letters = ""
    for step in range(total):
        given = output()
        objective(given, BATCH, step, total)["loss"].backward()  # type: ignore[no-untyped-call]
        gradients = {"m": given.state_MD.grad, "p": given.pair_B2.grad}
        letters += "".join(letter for letter, grad in gradients.items() if grad is not None and grad.any())
    return letters


@pytest.mark.parametrize(
    ("objective", "turns"),
    [
        (Sequential(order=MLM, share=0.5, **WEIGHTS), "mmmmpppp"),
        (Sequential(order=PAIR, share=0.5, **WEIGHTS), "ppppmmmm"),
        (Sequential(order=PAIR, share=0.25, **WEIGHTS), "ppmmmmmm"),
        (Alternating(order=MLM, every=1, **WEIGHTS), "mpmpmpmp"),
        (Alternating(order=PAIR, every=3, **WEIGHTS), "pppmmmpp"),
    ],
)
def test_one_task_is_learned_at_a_time(objective: Turns, turns: str) -> None:
    assert learned(objective, 8) == turns


def test_the_loss_is_that_of_joint_with_the_other_weight_0() -> None:
    objective = Sequential(order=MLM, share=0.5, **WEIGHTS)
    for step, weights in ((0, {"mlm_weight": 2.0, "pair_weight": 0.0}), (9, {"mlm_weight": 0.0, "pair_weight": 3.0})):
        expected = Joint(**weights)(output(), BATCH)
        found = objective(output(), BATCH, step, 10)
        assert {name: loss.item() for name, loss in found.items()} == {
            name: loss.item() for name, loss in expected.items()
        }


@pytest.mark.parametrize("name", NAMES)
def test_every_objective_reports_both_terms_at_every_step(name: str, build_part: Callable[..., Any]) -> None:
    objective = build_part(f"objective={name}")
    objective.check(BATCH)
    terms = [objective(output(), BATCH, step, 10) for step in range(10)]
    assert all(losses.keys() == {"loss", "mlm_loss", "pair_loss"} for losses in terms)
    assert all(losses["mlm_loss"].item() == terms[0]["mlm_loss"].item() for losses in terms)
    assert all(losses["loss"].item() > 0 for losses in terms)


@pytest.mark.parametrize("objective", [Sequential(order=MLM, share=0.5, **WEIGHTS), Joint(mlm_weight=0, pair_weight=1)])
def test_text_without_pairs_is_refused_where_nothing_else_is_learned(objective: Any) -> None:
    objective.check(BATCH)
    with pytest.raises(InputError, match="pairs") as caught:
        objective.check(SINGLE)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("bad", "line"),
    [
        ({"order": ["mlm", "mlm"]}, "order must hold mlm and pair, got ['mlm', 'mlm']; choose"),
        ({"order": "mlm"}, "order must hold mlm and pair, got mlm; choose"),
        ({"share": 1}, "share must lie in (0, 1), got 1; choose"),
        ({"mlm_weight": 0}, "mlm_weight must lie in (0, 1e+06), got 0; choose"),
    ],
)
def test_impossible_settings_are_refused(bad: dict[str, Any], line: str) -> None:
    with pytest.raises(InputError) as caught:
        Sequential(**({"order": MLM, "share": 0.5, **WEIGHTS} | bad))
    assert str(caught.value).startswith(line)


def test_a_turn_of_no_steps_is_refused() -> None:
    with pytest.raises(InputError, match=r"every must be a whole number of at least 1, got 0"):
        Alternating(order=MLM, every=0, **WEIGHTS)
