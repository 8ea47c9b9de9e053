"""Learning-rate schedules by hand; what all of conf/schedule share is checked for every YAML."""

from collections.abc import Callable
from math import cos, pi, sqrt

import pytest

from bertlab.config.compose import CONF
from bertlab.config.errors import InputError
from bertlab.optim.schedule import Constant, Cosine, CosineFloor, InverseSqrt, Linear, Warmup, Wsd

NAMES = sorted(path.stem for path in (CONF / "schedule").glob("*.yaml"))


def factors(warmup: float, total: int, kind: type[Warmup] = Linear) -> list[float]:
    schedule = kind(warmup=warmup)
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


def test_each_falls_in_its_own_way_by_hand() -> None:
    """Two steps of warm-up, three of the fall."""
    falls = {
        Linear: [1, 2 / 3, 1 / 3],
        Cosine: [1, (1 - cos(pi * 2 / 3)) / 2, (1 - cos(pi / 3)) / 2],
        Constant: [1, 1, 1],
        InverseSqrt: [sqrt(2 / 3), sqrt(2 / 4), sqrt(2 / 5)],
    }
    for kind, fall in falls.items():
        assert factors(0.4, 5, kind) == pytest.approx([1 / 2, 1, *fall]), kind
    assert factors(0, 4, InverseSqrt) == pytest.approx([1, sqrt(1 / 2), sqrt(1 / 3), 1 / 2])


def test_a_floor_is_where_a_cosine_ends() -> None:
    schedule = CosineFloor(warmup=0, floor=0.25)
    assert schedule(500, 1000) == pytest.approx((1 + 0.25) / 2)
    assert schedule(999, 1000) == pytest.approx(0.25, abs=1e-4)


def test_wsd_stays_at_the_peak_and_falls_in_a_line_to_its_floor() -> None:
    schedule = Wsd(warmup=0.2, decay=0.5, floor=0.2)
    assert [schedule(step, 10) for step in range(10)] == pytest.approx([1 / 2, *[1] * 6, 0.8, 0.6, 0.4])
    assert [Wsd(warmup=0.2, decay=0, floor=0)(step, 10) for step in (2, 9)] == [1, 1]


@pytest.mark.parametrize("share", [-0.1, 1.5, None])
def test_a_floor_or_a_decay_that_is_no_share_is_refused_by_its_key(share: float) -> None:
    with pytest.raises(InputError, match=rf"floor must lie in \[0, 1\], got {share}"):
        CosineFloor(warmup=0, floor=share)
    with pytest.raises(InputError, match=rf"decay must lie in \[0, 1\], got {share}"):
        Wsd(warmup=0, decay=share, floor=0)


@pytest.fixture(scope="module", params=NAMES)
def build(request: pytest.FixtureRequest, build_part: Callable[..., Warmup]) -> Callable[[float], Warmup]:
    return lambda warmup: build_part(f"schedule={request.param}", f"schedule.warmup={warmup}")


@pytest.mark.parametrize("warmup", [0, 0.01, 0.1, 1 / 3, 0.9, 1])
def test_every_step_learns_and_none_more_than_the_peak(build: Callable[[float], Warmup], warmup: float) -> None:
    schedule = build(warmup)
    for total in (1, 2, 3, 7, 25, 101):
        every = [schedule(step, total) for step in range(total)]
        assert all(0 < factor <= 1 for factor in every)
        top = every.index(max(every))
        assert every[: top + 1] == sorted(every[: top + 1])
        assert every[top:] == sorted(every[top:], reverse=True)


def test_the_rise_is_linear_and_reaches_the_peak(build: Callable[[float], Warmup]) -> None:
    assert [build(0.4)(step, 10) for step in range(4)] == pytest.approx([1 / 4, 2 / 4, 3 / 4, 1])


@pytest.mark.parametrize("warmup", [-0.1, 1.1])
def test_a_warm_up_that_is_no_share_is_refused_by_all(build: Callable[[float], Warmup], warmup: float) -> None:
    with pytest.raises(Exception, match="schedule") as caught:
        build(warmup)
    error = caught.value if isinstance(caught.value, InputError) else caught.value.__cause__
    assert str(error) == f"warmup must lie in [0, 1], got {warmup}; choose a number inside"


@pytest.mark.parametrize("warmup", [-0.1, 1.1, float("nan"), "0.1", None])
def test_a_warm_up_that_is_no_share_is_refused(warmup: float) -> None:
    with pytest.raises(InputError, match=rf"warmup must lie in \[0, 1\], got {warmup}"):
        Linear(warmup=warmup)
