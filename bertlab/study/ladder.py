"""The ladder of a study: its contrasts at several sizes, and predictions for the next rung before it runs.

Enters: the folder of a study with one record per rung (<rung>/study.json and the other files). Leaves: the effect of
every arm at each rung as ln token multiplier, the trend in one word, and ladder.json: the predictions as registered
before the first run of their rung.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import takewhile
from pathlib import Path

from bertlab.config.cache import digest
from bertlab.config.errors import InputError
from bertlab.stats.interval import around
from bertlab.stats.ladder import LEVEL, PREDICTED, Line, Rung, by_slope, fit_line
from bertlab.study.design import Study
from bertlab.study.judge import Findings, judge
from bertlab.study.record import FILES, read_record
from bertlab.study.worth import shorter_runs

PREDICTIONS = "ladder.json"
FLOPS = "perf/flops"
FEWEST = 2  # rungs needed for a prediction
HOLDS = math.log(1.1)  # an effect holds if it changes by less than this from the first to the last rung


@dataclass(frozen=True)
class Prediction:
    """Predicted interval, at 80 %, of an arm's ln token multiplier at a rung, from the rungs below."""

    rung: str
    arm: str
    compute: float  # FLOPs of a baseline run there
    low: float
    mean: float
    high: float
    below: tuple[str, ...]
    registered: str  # UTC time

    def held(self, rung: Rung) -> bool:
        """Return whether the rung's result is in the interval."""
        return self.low <= rung.multiplier <= self.high


Checked = tuple[Prediction, Rung, bool]  # prediction, result, and whether the result is in the interval


@dataclass(frozen=True)
class Ladder:
    """A study at the finished rungs, in the order of the study."""

    study: Study
    rungs: Mapping[str, Findings]
    predictions: tuple[Prediction, ...] = ()

    @cached_property
    def arms(self) -> dict[str, dict[str, Rung]]:
        """The effect of every arm at each rung where it was measured."""
        arms = [arm for arm in self.study.arms if arm != self.study.baseline]
        found = {arm: {name: rung_of(findings, arm) for name, findings in self.rungs.items()} for arm in arms}
        return {arm: {name: rung for name, rung in rungs.items() if rung} for arm, rungs in found.items()}

    @property
    def highest(self) -> Findings:
        """The findings of the highest finished rung."""
        return [*self.rungs.values()][-1]

    def line(self, arm: str) -> Line | None:
        """Return the line fitted to an arm's rungs; None if there are too few."""
        rungs = [*self.arms[arm].values()]
        return fit_line(rungs) if len({rung.compute for rung in rungs}) >= FEWEST else None

    def below(self, name: str) -> "Ladder":
        """Return the ladder of the rungs below one."""
        names = list(takewhile(lambda each: each != name, self.study.ladder))
        return Ladder(self.study, {each: self.rungs[each] for each in names if each in self.rungs})

    def predicted(self, arm: str, rung: str) -> Prediction | None:
        """Return the registered prediction of an arm at a rung; None if there is none."""
        return next((each for each in self.predictions if (each.arm, each.rung) == (arm, rung)), None)

    def checked(self) -> list[Checked]:
        """Return the predictions of finished rungs, with the result, and whether it is in the interval."""
        ran = ((each, self.arms.get(each.arm, {}).get(each.rung)) for each in self.predictions)
        return [(each, rung, each.held(rung)) for each, rung in ran if rung]


def rung_of(findings: Findings, arm: str) -> Rung | None:
    """Return an arm's effect as ln token multiplier (positive = better); None if it was not measured.

    Difference of losses / slope of the baseline per ln(tokens). The slope is that between the baseline's runs and its
    runs on fewer tokens with a complete schedule, if the harmful control is such; else that of its own curve.
    """
    judged, compute = findings.arms.get(arm), findings.record.arm(findings.study.baseline).get(FLOPS)
    if judged is None or compute is None or judged.contrast.n < 2:
        return None
    _, slope = shorter_runs(findings)
    mean, se = (slope.mean, slope.se) if slope else (-abs(findings.slope), 0.0)
    if not (math.isfinite(mean) and mean < 0):
        return None
    return by_slope(float(compute.median()), judged.contrast.interval(LEVEL), mean, se if math.isfinite(se) else 0.0)


def is_ladder(folder: Path) -> bool:
    """Return whether a folder belongs to a study with rungs, not to one with a single record."""
    return not (folder / FILES[0]).is_file() and any(folder.glob(f"*/{FILES[0]}"))


def read_ladder(folder: Path) -> Ladder | None:
    """Read the rungs of a study from its folder; None if there is none. Raises InputError."""
    found = {path.parent.name: judge(read_record(path.parent), counting=False) for path in folder.glob(f"*/{FILES[0]}")}
    if not found:
        return None
    study = [*found.values()][-1].study
    rungs = {name: found[name] for name in study.ladder if name in found}
    return Ladder([*rungs.values()][-1].study, rungs, read_predictions(folder)) if rungs else None


def read_predictions(folder: Path) -> tuple[Prediction, ...]:
    """Read the registered predictions of a study, in the order of registration."""
    path = folder / PREDICTIONS
    if not path.is_file():
        return ()
    entries = json.loads(path.read_text(encoding="utf-8"))["predictions"]
    return tuple(Prediction(**{**entry, "below": tuple(entry["below"])}) for entry in entries)


def predict(below: Ladder, rung: str, compute: float, now: str) -> list[Prediction]:
    """Predict every arm at a rung whose baseline run costs `compute` FLOPs; leave out arms with too few rungs.

    Assumes the standard error of the rung before.
    """
    made = []
    for arm, rungs in below.arms.items():
        line = below.line(arm)
        if line is None:
            continue
        ends = line.predicted(compute, [*rungs.values()][-1].se, PREDICTED)
        interval = {"low": ends.low, "mean": ends.mean, "high": ends.high}
        made.append(Prediction(rung=rung, arm=arm, compute=compute, **interval, below=tuple(rungs), registered=now))
    return made


def predictions_text(study: str, predictions: Sequence[Prediction]) -> str:
    """Return ladder.json of a study. Raises InputError for two predictions of one arm at one rung."""
    made = [(each.arm, each.rung) for each in predictions]
    if again := [each for each in made if made.count(each) > 1]:
        raise InputError(
            f"{PREDICTIONS} must hold one prediction for a rung, got {again[0][1]} again; do not change the file"
        )
    entries = [asdict(each) for each in predictions]
    return json.dumps({"study": study, "level": PREDICTED, "predictions": entries}, indent=1) + "\n"


def fingerprint(predictions: Sequence[Prediction], rung: str) -> str:
    """Hash the predictions for a rung; its record keeps the hash."""
    return digest([asdict(each) for each in predictions if each.rung == rung])


def trend(ladder: Ladder, arm: str) -> str:
    """Return how an arm's effect changes along the ladder: grows, shrinks, holds, flips, or unknown.

    By 90 % intervals. Flips: the first and the last rung have different signs. Grows or shrinks: they differ, and the
    line through all rungs has a slope of the same sign; without such a slope it is larger or smaller "so far". Holds:
    they certainly differ by less than a tenth of the tokens.
    """
    rungs = [*ladder.arms[arm].values()]
    if len(rungs) < FEWEST:
        return ""
    first, last = rungs[0], rungs[-1]
    ends = first.interval(), last.interval()
    if ends[0].high < 0 < ends[1].low or ends[1].high < 0 < ends[0].low:
        return "flips"
    se, df = math.hypot(first.se, last.se), min(first.df, last.df)
    apart = around(last.multiplier - first.multiplier, se, 1, df, LEVEL)
    if apart.excludes_zero:
        slope = fit_line(rungs).slope_interval()
        grows, is_line = apart.mean * (first.multiplier + last.multiplier) > 0, slope.excludes_zero
        if is_line and slope.mean * apart.mean > 0:
            return "grows" if grows else "shrinks"
        return "larger so far" if grows else "smaller so far"
    return (
        "holds"
        if max(abs(apart.low), abs(apart.high)) < HOLDS
        else "is not known to move beyond " + list(ladder.arms[arm])[-1]
    )
