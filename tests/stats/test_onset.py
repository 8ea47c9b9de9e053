"""Simulated runs whose arms start later are distinguished from runs whose arms differ after the start."""

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd
import pytest
from statsmodels.formula.api import ols

from bertlab.stats.interval import Interval
from bertlab.stats.onset import FEWEST, TOO_FEW, Parts, Run, aligned_word, at_equal_age, common_slope, decompose, onsets

END, SLOPE = math.log(2.3e6), 0.6  # nats of loss for one unit of ln tokens
UNIGRAM, FLOOR = 6.6, 0.3
TOKENS = np.geomspace(1e5, 2.3e6, 24)


def loss(start: float, level: float, tokens: np.ndarray = TOKENS) -> np.ndarray:
    """Return a curve that stays on the plateau, and falls by `SLOPE` for each unit of ln tokens once it has left."""
    age = np.maximum(np.log(tokens) - start, 0)
    return np.asarray(UNIGRAM - np.where(age > 0, FLOOR + SLOPE * age - level, 0.1 + 0 * age))


def study(effects: Mapping[str, tuple[float, float]], seeds: int = 8, noise: float = 0.01) -> list[Run]:
    """Simulate runs: by arm how much later they start (ln tokens) and how much higher they then run (nats)."""
    rng = np.random.default_rng(4)
    luck = rng.normal(0, 0.02, seeds)
    runs = []
    for arm, (later, level) in effects.items():
        for seed in range(seeds):
            start = math.log(6e5) + later + rng.normal(0, 0.1)
            end = float(loss(start, level)[-1]) + luck[seed] + rng.normal(0, noise)
            runs.append(Run(arm, seed, end, start))
    return runs


ARMS = {"base": (0.0, 0.0), "shift": (0.4, 0.0), "level": (0.0, 0.2), "cancel": (0.3, -0.18), "more": (0.25, 0.15)}


def test_a_pure_shift_goes_through_the_onset_and_a_pure_change_of_level_does_not() -> None:
    found = decompose(study(ARMS), dict.fromkeys([arm for arm in ARMS if arm != "base"], "base"))
    shift, level = found["shift"], found["level"]
    assert shift.through.mean == pytest.approx(SLOPE * shift.later, rel=0.05)
    assert shift.equal.low < 0 < shift.equal.high
    assert abs(shift.equal.mean) < 0.03 < shift.through.low
    assert shift.word == "mostly a later start"
    assert level.equal.mean == pytest.approx(0.2, abs=0.03)
    assert abs(level.through.mean) < 0.06
    assert level.word == "mostly after the start"


def test_two_effects_that_cancel_are_both_seen() -> None:
    found = decompose(study(ARMS), {"cancel": "base", "more": "base"})
    cancel = found["cancel"]
    assert abs(cancel.total.mean) < 0.06
    assert cancel.through.low > 0.1
    assert cancel.equal.high < -0.1
    assert cancel.word == "both, against each other"
    assert found["more"].word == "both"


def test_an_earlier_start_is_called_one() -> None:
    assert decompose(study({"base": (0.0, 0.0), "early": (-0.5, 0.0)}), {"early": "base"})["early"].word == (
        "mostly an earlier start"
    )


def test_the_parts_sum_to_the_difference() -> None:
    for parts in decompose(study(ARMS), {"shift": "base", "more": "base"}).values():
        assert parts.through.mean + parts.equal.mean == pytest.approx(parts.total.mean)


def test_the_fit_is_the_analysis_of_covariance_of_statsmodels() -> None:
    runs = study(ARMS)
    theirs = ols("outcome ~ C(arm) + C(seed) + start", pd.DataFrame([run.__dict__ for run in runs])).fit()
    ours = common_slope(runs)
    assert (ours.slope, ours.se) == (pytest.approx(theirs.params["start"]), pytest.approx(theirs.bse["start"]))
    assert (ours.residual, ours.df) == (pytest.approx(math.sqrt(theirs.mse_resid)), int(theirs.df_resid))
    equal = decompose(runs, {"level": "base"})["level"].equal
    assert equal.mean == pytest.approx(theirs.params["C(arm)[T.level]"])
    ends = theirs.conf_int(0.10).loc["C(arm)[T.level]"]
    assert (equal.low, equal.high) == pytest.approx(tuple(ends))
    assert ours.explained > 0.8


def test_the_interval_at_equal_onset_covers_the_truth_as_often_as_it_says() -> None:
    rng, held = np.random.default_rng(9), []
    for _ in range(400):
        runs = []
        for arm, level in (("base", 0.0), ("arm", 0.1)):
            for seed in range(5):
                start = 13 + (0.3 if level else 0.0) + rng.normal(0, 0.15)
                runs.append(Run(arm, seed, 5 + 0.6 * start + level + rng.normal(0, 0.05), start))
        equal = decompose(runs, {"arm": "base"})["arm"].equal
        held.append(equal.low <= 0.1 <= equal.high)
    assert np.mean(held) == pytest.approx(0.90, abs=0.05)


def test_the_onset_is_where_the_gain_passes_the_floor_between_two_evaluations() -> None:
    gain = [[0.0, 0.1, 0.5, 1.0], [0.0, 0.05, 0.1, 0.2], [0.4, 0.6, 0.8, 1.0]]
    found = onsets([1e5, 2e5, 4e5, 8e5], gain, 0.3)
    assert found.tokens[0] == pytest.approx(2e5 * math.sqrt(2))  # half of the way in ln tokens
    assert found.tokens[1:] == (math.inf, pytest.approx(1e5))
    assert found.censored == 1
    assert found.early == (False, False, True)


def test_runs_that_never_leave_are_counted_and_not_dropped() -> None:
    runs = study({"base": (0.0, 0.0), "arm": (0.4, 0.0)})
    never = [Run(r.arm, r.seed, r.outcome, END, True) if (r.arm, r.seed) == ("arm", 2) else r for r in runs]
    parts = decompose(never, {"arm": "base"})["arm"]
    assert (parts.censored, parts.total.n) == (1, 8)
    half = [Run(r.arm, r.seed, r.outcome, END, True) if r.arm == "arm" and r.seed < 4 else r for r in runs]
    assert decompose(half, {"arm": "base"}) == {}


@pytest.mark.parametrize(("arm", "n", "there"), [("arm", 4, False), ("arm", 3, True), ("base", 4, False)])
def test_a_difference_is_not_taken_apart_where_half_of_the_starts_are_before_the_first_evaluation(
    arm: str, n: int, there: bool
) -> None:
    runs = study({"base": (0.0, 0.0), "arm": (-0.4, 0.0), "other": (0.0, 0.1)})
    early = [Run(r.arm, r.seed, r.outcome, 13.0, early=True) if r.arm == arm and r.seed < n else r for r in runs]
    assert ("arm" in decompose(early, {"arm": "base"})) is there


def test_arms_without_a_measured_onset_lend_the_slope_no_degrees_of_freedom() -> None:
    runs = study({"base": (0.0, 0.0), "arm": (0.4, 0.0)}, seeds=3)
    late, early = ([Run(name, seed, 6.0 + seed, at, **{how: True}) for seed in range(3)] for name, at, how in BOUNDS)
    assert common_slope([*runs, *late, *early]) == common_slope(runs)
    assert common_slope(runs).df == 1


BOUNDS = (("never", END, "censored"), ("before", 12.0, "early"))


def parts(through: tuple[float, float], equal: tuple[float, float]) -> Parts:
    """Make parts from a mean and half the width of its interval."""
    first, second = (Interval(mean, mean - half, mean + half, 5, 0.1) for mean, half in (through, equal))
    return Parts(first, first, second, later=0.1, censored=0)


@pytest.mark.parametrize(
    ("through", "equal", "word"),
    [
        ((0.054, 0.067), (0.026, 0.021), "only what follows the start is sure"),  # two thirds are the start, unsure
        ((0.009, 0.067), (0.026, 0.021), "mostly after the start"),
        ((0.050, 0.020), (0.026, 0.050), "only the start is sure"),
        ((0.054, 0.020), (0.026, 0.050), "mostly a later start"),
        ((0.054, 0.020), (0.026, 0.020), "mostly a later start"),
        ((0.050, 0.020), (0.030, 0.020), "both"),
        ((0.050, 0.020), (-0.030, 0.020), "both, against each other"),
        ((0.050, 0.060), (0.001, 0.020), "neither part is sure"),
    ],
)
def test_mostly_is_said_of_a_part_that_is_sure_and_has_two_thirds(
    through: tuple[float, float], equal: tuple[float, float], word: str
) -> None:
    assert parts(through, equal).word == word


def test_with_one_degree_of_freedom_the_words_would_often_be_wrong() -> None:
    """The difference is all a later start: words on what follows it are wrong."""
    wrong = {}
    for seeds in (3, 8):
        rng, said = np.random.default_rng(5), []
        for _ in range(400):
            start_AS = 13 + rng.normal(0, 0.12, (2, seeds)) + np.array([[0.0], [0.3]])
            end_AS = 0.45 * start_AS + rng.normal(0, 0.04, (2, seeds))
            runs = [Run("ba"[a], s, end_AS[a, s], start_AS[a, s]) for a in (0, 1) for s in range(seeds)]
            said.append(decompose(runs, {"a": "b"})["a"].word)
        named = [word for word in said if word != "neither part is sure"]
        wrong[seeds] = np.mean([word not in ("mostly a later start", "only the start is sure") for word in named])
        assert common_slope(runs).is_enough is (common_slope(runs).df >= FEWEST) is (seeds == 8)
    assert wrong[3] > 0.8
    assert wrong[8] < 0.15


def test_the_slope_has_an_interval() -> None:
    found = common_slope(study(ARMS))
    assert found.interval.low < SLOPE < found.interval.high
    assert found.interval.df == found.df


@pytest.mark.parametrize(
    ("total", "aligned", "word"),
    [
        (0.2, 0.1, "worse at equal onset"),
        (-0.2, -0.1, "better at equal onset"),
        (0.2, -0.1, TOO_FEW),  # what the schedule does to the run that started earlier
        (0.2, 0.01, TOO_FEW),
        (0.01, 0.2, TOO_FEW),
        (0.2, None, TOO_FEW),
    ],
)
def test_aligned_curves_give_the_word_where_the_whole_difference_agrees(
    total: float, aligned: float | None, word: str
) -> None:
    ends = [each and Interval(each, each - 0.05, each + 0.05, 3, 0.1) for each in (total, aligned)]
    assert ends[0]
    assert aligned_word(ends[0], ends[1] or None) == word


def test_curves_aligned_at_their_onsets_differ_by_their_level_alone() -> None:
    own, base = [13.5, 13.7, 13.9], [13.2, 13.3, 13.1]
    fine = np.geomspace(1e5, 2.3e6, 400)
    shifted = at_equal_age(fine, [loss(s, 0.0, fine) for s in own], [loss(s, 0.0, fine) for s in base], (own, base))
    assert shifted.mean == pytest.approx(0, abs=0.01)
    raised = at_equal_age(fine, [loss(s, 0.2, fine) for s in own], [loss(s, 0.0, fine) for s in base], (own, base))
    assert raised.mean == pytest.approx(0.2, abs=0.01)


def test_onsets_that_all_agree_have_no_slope() -> None:
    runs = [Run(arm, seed, 5.0 + seed, 13.0) for arm in "ab" for seed in range(4)]
    with pytest.raises(ValueError, match="start apart"):
        common_slope(runs)
