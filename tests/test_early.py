"""Early checks: what is wrong with one job of many is said before the first of them runs."""

import pytest

from bertlab.compose import load, resolved
from bertlab.early import check_early
from bertlab.errors import InputError


def test_what_is_wrong_with_one_of_many_configurations_is_said_wherever_it_stands() -> None:
    configs = [resolved(load([f"seed={seed}", f"mask.rate={rate}"])) for seed, rate in enumerate((0.1, 0.1, 1.5))]
    check_early(configs[:2])
    with pytest.raises(InputError, match=r"^mask\.rate must lie in \(0, 1\), got 1\.5"):
        check_early(configs)


@pytest.mark.parametrize("key", ["seed", "batch.size", "batch.length", "budget.tokens", "trainer.points"])
def test_a_key_outside_the_parts_is_checked_in_every_configuration(key: str) -> None:
    good, bad = (resolved(load([f"{key}={value}"])) for value in (2000, "hello"))
    with pytest.raises(InputError, match=rf"^{key} must be a whole number of at least \d, got hello; "):
        check_early([good, bad])
