"""Simulated runs whose arms start later are distinguished from runs whose arms differ after the start."""

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd
import pytest
from statsmodels.formula.api import ols

from bertlab.stats.onset import Run, at_equal_age, common_slope, decompose, onsets

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


def test_runs_that_never_leave_are_counted_and_not_dropped() -> None:
    runs = study({"base": (0.0, 0.0), "arm": (0.4, 0.0)})
    never = [Run(r.arm, r.seed, r.outcome, END, True) if (r.arm, r.seed) == ("arm", 2) else r for r in runs]
    parts = decompose(never, {"arm": "base"})["arm"]
    assert (parts.censored, parts.total.n) == (1, 8)
    every = [Run(r.arm, r.seed, r.outcome, END, True) if r.arm == "arm" else r for r in runs]
    assert decompose(every, {"arm": "base"}) == {}


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
