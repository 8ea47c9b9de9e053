import pytest

from bertlab.errors import InputError
from bertlab.schedule import Linear


def factors(warmup: float, total: int) -> list[float]:
    schedule = Linear(warmup=warmup)
    return [schedule(step, total) for step in range(total)]


def test_the_factor_rises_to_1_and_falls_by_hand() -> None:
    assert factors(0.4, 5) == pytest.approx([1 / 2, 1, 1, 2 / 3, 1 / 3])


def test_warm_up_peak_and_end_of_a_longer_run() -> None:
    longer = factors(0.1, 1000)
    assert [longer[step] for step in (0, 49, 99, 100, 549, 550, 999)] == pytest.approx(
        [0.01, 0.5, 1, 1, 451 / 900, 0.5, 1 / 900]
    )


def test_without_warm_up_the_factor_falls_from_1() -> None:
    assert factors(0, 4) == pytest.approx([1, 3 / 4, 2 / 4, 1 / 4])


def test_warm_up_may_be_the_whole_run() -> None:
    assert factors(1, 4) == pytest.approx([1 / 4, 2 / 4, 3 / 4, 1])


@pytest.mark.parametrize("warmup", [0, 0.1, 0.5, 1])
def test_a_run_of_one_step_takes_it_in_full(warmup: float) -> None:
    assert factors(warmup, 1) == [1]


@pytest.mark.parametrize("warmup", [0, 0.01, 0.1, 1 / 3, 0.9, 1])
@pytest.mark.parametrize("total", [1, 2, 3, 7, 25, 101])
def test_every_step_learns_and_none_more_than_the_peak(warmup: float, total: int) -> None:
    every = factors(warmup, total)
    assert all(0 < factor <= 1 for factor in every)
    top = every.index(max(every))
    assert every[: top + 1] == sorted(every[: top + 1])
    assert every[top:] == sorted(every[top:], reverse=True)


@pytest.mark.parametrize("warmup", [-0.1, 1.1, float("nan"), "0.1", None])
def test_a_warm_up_that_is_no_share_is_refused(warmup: float) -> None:
    with pytest.raises(InputError, match=rf"schedule\.warmup must lie in \[0, 1\], got {warmup}"):
        Linear(warmup=warmup)
