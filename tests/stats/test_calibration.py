"""The rule keeps its promises on simulated studies with a known truth; the printed version simulates more."""

import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

from bertlab.stats.calibration import NOISES, Truth, false_centrals, false_positives, rates
from bertlab.stats.claim import Expectation
from bertlab.stats.rule import Kind

STUDIES = 8000  # four times what is asked: the standard error of a rate of 5 % is .24 %
ONCE = [(3,), (5,), (8,), (10,)]
LIKE_ARMS = [*NOISES][:4]  # noises with symmetric differences
EARLY = [(3, 10), (5, 10), (4, 7, 10)]
CORNERS = [(3,), (10,), (3, 10), (4, 7, 10)]  # of the schedules: the default suite looks at no others
LOOKS = [pytest.param(each, marks=[] if each in CORNERS else [pytest.mark.slow]) for each in ONCE + EARLY]


@pytest.mark.parametrize("noise", NOISES)
def test_every_noise_has_mean_zero_and_variance_one(noise: str) -> None:
    draws = NOISES[noise](np.random.default_rng(0), (400_000, 1))
    assert draws.mean() == pytest.approx(0, abs=0.01)
    if noise != "t(3)":  # its fourth moment is infinite: the sample variance settles too slowly
        assert draws.var() == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize("looks", LOOKS)
@pytest.mark.parametrize("noise", LIKE_ARMS)
def test_at_a_true_difference_of_one_margin_neither_error_passes_6_per_cent(noise: str, looks: tuple[int, ...]) -> None:
    # spread is a quarter of the margin: the interval always fits inside, which allows most errors
    found = rates(Truth(noise, looks, 0.25, 1.0), STUDIES, np.random.default_rng(1))
    assert found[Kind.EQUIVALENT] <= 0.06
    assert found[Kind.WORSE_MATERIAL] <= 0.06
    assert found[Kind.EQUIVALENT] + found[Kind.WORSE_MATERIAL] > 0.04  # and the rule does reach verdicts


@pytest.mark.parametrize("looks", LOOKS)
@pytest.mark.parametrize("noise", LIKE_ARMS)
def test_without_an_effect_false_positives_over_all_looks_stay_below_5_5_per_cent(
    noise: str, looks: tuple[int, ...]
) -> None:
    assert false_positives(noise, looks, STUDIES, np.random.default_rng(2)) <= 0.055


def test_at_half_a_margin_of_spread_five_seeds_decide() -> None:
    rng = np.random.default_rng(3)
    nothing, twice = (rates(Truth("normal", (5,), 0.5, effect), STUDIES, rng) for effect in (0.0, 2.0))
    assert nothing[Kind.EQUIVALENT] == pytest.approx(0.95, abs=0.01)
    assert twice[Kind.WORSE_MATERIAL] == pytest.approx(0.97, abs=0.01)


@pytest.mark.parametrize("n", [3, 5, 8, 10])
def test_differences_that_are_themselves_skewed_break_the_promise_and_that_is_known(n: int) -> None:
    """An arm that is rarely much worse looks EQUIVALENT too often, since few seeds do not show the rare ones."""
    rng = np.random.default_rng(4)
    false = [
        rates(Truth(f"difference {shape}", (n,), 0.25, 1.0), STUDIES, rng)[Kind.EQUIVALENT]
        for shape in ("skewed .3", "skewed 1", "lognormal", "exponential")
    ]
    assert false == sorted(false)  # the more skewed, the worse
    assert false[0] <= 0.07
    assert 0.07 < false[1] <= 0.11
    assert 0.12 < false[3] <= 0.18


@pytest.mark.parametrize("sd", [0.25, 0.5])
@pytest.mark.parametrize("looks", LOOKS)
@pytest.mark.parametrize("noise", NOISES)
def test_equivalent_within_half_the_margin_is_no_error_even_of_skewed_differences(
    noise: str, looks: tuple[int, ...], sd: float
) -> None:
    assert false_centrals(noise, looks, sd, STUDIES, np.random.default_rng(5)) <= 0.06


SCRIPT = Path(__file__).parents[2] / "benchmarks" / "calibration.py"


@pytest.mark.slow
def test_the_benchmark_prints_every_rate(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", [SCRIPT.name, "studies=20"])
    runpy.run_path(str(SCRIPT), run_name="__main__")
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    schedules = len(ONCE) + 5
    assert len(rows) == 4 * 2 + len(NOISES) * schedules * 3 + 2 * schedules + schedules + len(Expectation) * 3 * 5


@pytest.mark.parametrize("argument", ["studies=0", "studies=many", "sd=-1", "sd=wide", "seeds=3"])
def test_the_benchmark_says_in_one_line_what_to_mend(
    argument: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", [SCRIPT.name, argument])
    with pytest.raises(SystemExit, match="2"):
        runpy.run_path(str(SCRIPT), run_name="__main__")
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    assert argument.partition("=")[2] in printed.err
