"""Checking many configurations gives the results of single checks, and does their common work once."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from bertlab.config.compose import load, resolved
from bertlab.config.errors import InputError
from bertlab.sweep import checking
from bertlab.sweep import run as job
from bertlab.sweep.checking import Checks

TINY = (
    *("data=oracle", "data.documents=60", "batch.size=4", "batch.length=35", "budget.tokens=1400"),
    *("evaluation.sequences=8", "evaluation.pseudo=0", "trainer.progress=false"),
)
GOOD = (
    "",
    "mask.rate=0.3",
    "optimizer.lr=3e-3",
    "model.layers=1",
    "mask=span",
    "pairs=single",
    "batch.length=30",
    "batch.start_length=12 batch.length=36",
    "pairs=none mask=next_token model/visibility=left_to_right",
    "optimizer=muon redraw=mask",
    "tokenizer=words seed=5",
)
BAD = (  # each is refused by another step
    "mask.rate=1e-9",
    "batch.size=1000 budget.tokens=35000",
    "batch.length=513 budget.tokens=9999 model/position=learned",
    "budget.tokens=139",
    "model.width=64 model.heads=3",
    "optimizer.lr=-1",
    "trainer.accelerator=abacus",
    "pairs=none mask=next_token",
    "evaluation.longest=20",
    "evaluation.rate=0.00001",
    "redraw=nothing",
    "data.documents=3",
    "start.missing=perhaps",
)


def config(words: str) -> dict[str, Any]:
    own = words.split()
    keys = {word.partition("=")[0] for word in own}
    return resolved(load([*(word for word in TINY if word.partition("=")[0] not in keys), *own]))


@pytest.fixture(scope="module")
def checks() -> Checks:
    """Checks that have seen many configurations, as at the end of a sweep."""
    found = Checks()
    for words in GOOD:
        found.check(config(words))
    return found


@pytest.mark.parametrize("words", BAD)
def test_the_last_of_many_is_refused_as_it_would_be_alone(checks: Checks, words: str) -> None:
    with pytest.raises(InputError) as alone:
        job.check(config(words))
    for _ in range(2):  # a refusal is no answer to remember
        with pytest.raises(InputError) as last:
            checks.check(config(words))
        assert str(last.value) == str(alone.value)


@pytest.mark.parametrize("words", GOOD)
def test_what_is_checked_is_what_a_run_makes(checks: Checks, words: str) -> None:
    one, other = job.prepare_job(config(words)), checks.prepare(config(words))
    assert (one.form, one.streams, one.steps, one.start) == (other.form, other.streams, other.steps, other.start)
    assert one.store.fingerprint == other.store.fingerprint
    assert one.evaluation.reading == other.evaluation.reading
    assert np.array_equal(one.evaluation.text.ids_NL, other.evaluation.text.ids_NL)
    for step in (0, one.steps - 1):
        first, second = one.batches(step), other.batches(step)
        assert all(bool((getattr(first, name) == getattr(second, name)).all()) for name in ("ids_BL", "target_M"))
    shapes = [[tuple(each.shape) for each in made.build_model().parameters()] for made in (one, other)]
    assert shapes[0] == shapes[1]


def test_a_number_that_differs_costs_the_part_that_it_belongs_to(monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[str] = []
    build = checking.build_part

    def counted(config: Mapping[str, Any], name: str) -> Any:
        built.append(name)
        return build(config, name)

    monkeypatch.setattr(checking, "build_part", counted)
    checks = Checks()
    checks.check(config(""))
    assert sorted(built) == sorted(checking.Parts.__annotations__)
    built.clear()
    for place in range(1, 6):
        checks.check(config(f"mask.rate=0.{place} optimizer.lr=1e-{place}"))
    assert sorted(built) == ["mask"] * 5 + ["optimizer"] * 5
