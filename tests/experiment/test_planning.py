"""A sweep is planned arm by arm: runs that differ only in the seed are checked once, and described seed by seed."""

from collections.abc import Mapping
from typing import Any

import pytest

from bertlab.config.compose import load, resolved, typed
from bertlab.config.errors import InputError
from bertlab.config.settling import settling
from bertlab.data.store import TokenStore
from bertlab.identity.key import describe
from bertlab.sweep.checking import Checks
from bertlab.sweep.grid import Planning, alike

FACTORS = ["mask.rate", "seed"]


@pytest.fixture
def checked(monkeypatch: pytest.MonkeyPatch, store: TokenStore) -> list[Mapping[str, Any]]:
    """The configurations that are checked."""
    found: list[Mapping[str, Any]] = []

    def check(_: Checks, config: Mapping[str, Any]) -> TokenStore:
        found.append(config)
        return store

    monkeypatch.setattr(Checks, "check", check)
    return found


def test_a_plan_is_made_once_an_arm_and_says_of_each_run_what_its_own_would(
    checked: list[Mapping[str, Any]], store: TokenStore
) -> None:
    settled = settling(load)
    base = settled([])[0]
    planning = Planning(FACTORS, settled, base)
    jobs = [[f"mask.rate={rate}", f"seed={seed}"] for rate in (0.1, 0.3) for seed in range(30)]
    planned = [planning.plan(job) for job in jobs]
    assert len(checked) == 2
    assert len({each.key for each in planned}) == 60
    for place in (0, 31, 59):
        config = load(jobs[place])
        own = resolved(config)
        own = {**own, "tracking": {**own["tracking"], "factors": FACTORS, "baseline": alike(own, base)}}
        assert planned[place].description == describe(own, typed(config, jobs[place]), store)


def test_an_invalid_seed_is_refused_after_other_checks(checked: list[Mapping[str, Any]]) -> None:
    planning = Planning(FACTORS, settling(load), settling(load)([])[0])
    planning.plan(["seed=1"])
    with pytest.raises(InputError, match=r"^seed must be a whole number"):
        planning.plan(["seed=-1"])
    assert len(checked) == 1
