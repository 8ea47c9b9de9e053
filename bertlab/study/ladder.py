"""The ladder of a study: its contrasts at several sizes, and what the next rung should show before it is run.

Enters: the folder of a study whose rungs have each a record (<rung>/study.json and its twins). Leaves: the effect of
every arm at each rung as ln token multiplier, the trend in a word, and ladder.json, the predictions as they were
registered before the first run of the rung that they are about.
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
FEWEST = 2  # rungs that a prediction rests on
HOLDS = math.log(1.1)  # an effect that moves by less than this from the first rung to the last one holds


@dataclass(frozen=True)
class Prediction:
    """Where the ln token multiplier of an arm will fall at a rung, from the rungs below, at a level of 80 %."""

    rung: str
    arm: str
    compute: float  # FLOPs of a run of the baseline there
    low: float
    mean: float
    high: float
    below: tuple[str, ...]
    registered: str  # time, UTC

    def held(self, rung: Rung) -> bool:
        """Return whether the rung fell inside."""
        return self.low <= rung.multiplier <= self.high


Checked = tuple[Prediction, Rung, bool]  # what was predicted, what was found, and whether it fell inside


@dataclass(frozen=True)
class Ladder:
    """A study at the rungs that have run, in the order of the study."""

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
        """What was found at the highest rung that has run."""
        return [*self.rungs.values()][-1]

    def line(self, arm: str) -> Line | None:
        """Return the line through an arm's rungs; None where there are too few."""
        rungs = [*self.arms[arm].values()]
        return fit_line(rungs) if len({rung.compute for rung in rungs}) >= FEWEST else None

    def below(self, name: str) -> "Ladder":
        """Return the ladder of the rungs that stand before one, as the study orders them."""
        names = list(takewhile(lambda each: each != name, self.study.ladder))
        return Ladder(self.study, {each: self.rungs[each] for each in names if each in self.rungs})

    def predicted(self, arm: str, rung: str) -> Prediction | None:
        """Return what was registered about an arm at a rung; None where nothing was."""
        return next((each for each in self.predictions if (each.arm, each.rung) == (arm, rung)), None)

    def checked(self) -> list[Checked]:
        """Return the predictions whose rung has run, with what was found, and whether it fell inside."""
        ran = ((each, self.arms.get(each.arm, {}).get(each.rung)) for each in self.predictions)
        return [(each, rung, each.held(rung)) for each, rung in ran if rung]


def rung_of(findings: Findings, arm: str) -> Rung | None:
    """Return an arm's effect as ln token multiplier (positive = better); None where it was not measured.

    Difference of losses / slope of the baseline per ln(tokens): between its runs on fewer tokens, whose schedule ended,
    and the others, where the harmful control is such; else along its own curve.
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
    """Return whether a folder is that of a study with rungs, not one with a record of its own."""
    return not (folder / FILES[0]).is_file() and any(folder.glob(f"*/{FILES[0]}"))


def read_ladder(folder: Path) -> Ladder | None:
    """Read the rungs of a study from its folder; None where there is none. Raises InputError."""
    found = {path.parent.name: judge(read_record(path.parent), counting=False) for path in folder.glob(f"*/{FILES[0]}")}
    if not found:
        return None
    study = [*found.values()][-1].study
    rungs = {name: found[name] for name in study.ladder if name in found}
    return Ladder([*rungs.values()][-1].study, rungs, read_predictions(folder)) if rungs else None


def read_predictions(folder: Path) -> tuple[Prediction, ...]:
    """Read the registered predictions of a study, in the order of their registration."""
    path = folder / PREDICTIONS
    if not path.is_file():
        return ()
    entries = json.loads(path.read_text(encoding="utf-8"))["predictions"]
    return tuple(Prediction(**{**entry, "below": tuple(entry["below"])}) for entry in entries)


def predict(below: Ladder, rung: str, compute: float, now: str) -> list[Prediction]:
    """Predict every arm at a rung whose baseline costs `compute` FLOPs a run; arms with too few rungs are left out.

    The rung's own standard error is taken to be that of the rung before it.
    """
    made = []
    for arm, rungs in below.arms.items():
        line = below.line(arm)
        if line is None:
            continue
        ends = line.predicted(compute, [*rungs.values()][-1].se, PREDICTED)
        made.append(Prediction(rung, arm, compute, ends.low, ends.mean, ends.high, tuple(rungs), now))
    return made


def predictions_text(study: str, predictions: Sequence[Prediction]) -> str:
    """Return ladder.json of a study. Raises InputError for two predictions of one arm at one rung."""
    made = [(each.arm, each.rung) for each in predictions]
    if again := [each for each in made if made.count(each) > 1]:
        raise InputError(
            f"{PREDICTIONS} must hold one prediction for a rung, got {again[0][1]} again; leave it as it is"
        )
    entries = [asdict(each) for each in predictions]
    return json.dumps({"study": study, "level": PREDICTED, "predictions": entries}, indent=1) + "\n"


def fingerprint(predictions: Sequence[Prediction], rung: str) -> str:
    """Hash what was predicted about a rung; its record keeps the hash."""
    return digest([asdict(each) for each in predictions if each.rung == rung])


def trend(ladder: Ladder, arm: str) -> str:
    """Say in a word how an arm's effect moves along the ladder: grows, shrinks, holds, flips, or that it is not known.

    By 90 % intervals: it flips where the first and the last rung lie on different sides of nothing. It grows or shrinks
    where they differ, and holds where they surely differ by less than a tenth of the tokens.
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
        return "grows" if apart.mean * (first.multiplier + last.multiplier) > 0 else "shrinks"
    return (
        "holds"
        if max(abs(apart.low), abs(apart.high)) < HOLDS
        else "is not known to move beyond " + list(ladder.arms[arm])[-1]
    )
