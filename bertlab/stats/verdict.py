"""One contrast, one verdict: the first matching rule of a complete table.

Enters: the interval of a paired contrast, the registered margin and the study's validity checks. Leaves: a frozen
`Verdict` with its reasons. "Not significant" never becomes "no effect": that is EQUIVALENT, which must be shown, or
INCONCLUSIVE (Altman & Bland 1995).
"""

import math
from dataclasses import dataclass, replace

from bertlab.stats.interval import Interval
from bertlab.stats.moderated import NO_PRIOR, Prior
from bertlab.stats.power import FEWEST, seeds_needed
from bertlab.stats.rule import WORSE, Decides, Kind, kind, settled

DIVERGED = 2  # this many more diverged seeds than the baseline: the arm is unstable
CENTRAL = 0.5  # share of the margin


@dataclass(frozen=True)
class Standing:
    """Checks before any difference: reasons against a verdict, and numbers of diverged seeds."""

    invalid: tuple[str, ...] = ()  # a planned run is missing, or arms differ in code, data or evaluation
    vacuous: tuple[str, ...] = ()  # see `vacuity`
    diverged: int = 0
    diverged_baseline: int = 0


@dataclass(frozen=True)
class Verdict:
    """A verdict over seeds. `interval` is oriented: positive means worse than the baseline, in units of the outcome.

    `detectable`: EQUIVALENT although the interval excludes zero. `needed`: seeds for an 80 % chance of a decision if
    mean and spread so far were true; None if the verdict is a decision, or if 100 seeds are too few. `failed`: reasons
    against a verdict, in words.
    """

    kind: Kind
    interval: Interval
    margin: float
    standing: Standing
    detectable: bool = False
    needed: int | None = None
    failed: tuple[str, ...] = ()

    @property
    def level(self) -> float:
        """Return the level of the interval: 1 - 2a for one-sided tests at a."""
        return self.interval.level

    @property
    def words(self) -> str:
        """The verdict in the words of reports."""
        return self.kind.value + (", detectable" if self.detectable else "")

    @property
    def central(self) -> bool:
        """Return whether mean and spread are both within half the margin.

        EQUIVALENT is then valid for any skewness of the differences; nearer to the margin it assumes symmetry
        (bertlab/stats/calibration.py).
        """
        return max(abs(self.interval.mean), self.interval.sd) <= CENTRAL * self.margin


SOUND = Standing()
NOT_COMPARED = frozenset({Kind.INVALID, Kind.VACUOUS, Kind.UNSTABLE, Kind.UNTESTABLE})
MATERIAL = frozenset({Kind.WORSE_MATERIAL, Kind.BETTER_MATERIAL})


def judge(
    interval: Interval,
    margin: float,
    standing: Standing = SOUND,
    *,
    lower_is_better: bool = True,
    decides: Decides = settled,
    prior: Prior = NO_PRIOR,
) -> Verdict:
    """Return the verdict on arm - baseline.

    The order: INVALID, VACUOUS, UNSTABLE (at least two more diverged seeds than the baseline; a single one stays in
    `standing` for the report), UNTESTABLE (fewer than three pairs), then the rule on the interval
    (bertlab/stats/rule.py). If higher is better the interval is negated first. `decides` defines what `needed` counts,
    with the regime's prior in the variance. Raises ValueError for a margin that is not positive and finite.
    """
    if not 0 < margin < math.inf:
        raise ValueError(f"the margin must be positive and finite, got {margin}; state the smallest effect of interest")
    oriented = interval if lower_is_better else turned(interval)
    verdict = Verdict(Kind.INCONCLUSIVE, oriented, margin, standing)
    stopped = _stopped(standing, interval.n)
    if stopped:
        return replace(verdict, kind=stopped[0], failed=stopped[1])
    if not (math.isfinite(interval.low) and math.isfinite(interval.high)):
        raise ValueError(f"an interval over {interval.n} seeds must be finite, got {interval}")
    found = kind(oriented.low, oriented.high, margin)
    needed = None if decides(oriented.low, oriented.high, margin) else _needed(oriented, margin, decides, prior)
    detectable = found is Kind.EQUIVALENT and oriented.excludes_zero
    return replace(verdict, kind=found, detectable=detectable, needed=needed)


def vacuity(gain: float, floor: float, harmful: Kind, same: Kind) -> tuple[str, ...]:
    """Return the reasons why a study could not have seen a difference; none if it could.

    The baseline's context gain (unigram loss minus its loss at the same positions, nats) must exceed `floor`, the
    positive control must be WORSE, and the A/A control must be comparable and not materially different; controls are
    judged like any contrast. An A/A control that is neither EQUIVALENT nor material limits the findings
    (`stands_beyond`), but does not make the study vacuous.
    """
    measured = "not measured" if math.isnan(gain) else f"{gain:.3f} nats"
    checks = {
        f"the baseline's context gain is {measured} and must exceed {floor:g}": gain > floor,
        f"the harmful control is {harmful.value} and must be WORSE": harmful in WORSE,
        f"the baseline against itself is {same.value} and must not be": same not in MATERIAL | NOT_COMPARED,
    }
    return tuple(reason for reason, holds in checks.items() if not holds)


def turned(interval: Interval) -> Interval:
    """Return the interval of the negated differences."""
    return replace(interval, mean=-interval.mean, low=-interval.high, high=-interval.low)


def _stopped(standing: Standing, n: int) -> tuple[Kind, tuple[str, ...]] | None:
    if standing.invalid:
        return Kind.INVALID, standing.invalid
    if standing.vacuous:
        return Kind.VACUOUS, standing.vacuous
    if standing.diverged - standing.diverged_baseline >= DIVERGED:
        counts = f"{standing.diverged} seeds of the arm diverged and {standing.diverged_baseline} of the baseline"
        return Kind.UNSTABLE, (counts,)
    if n < FEWEST:
        return Kind.UNTESTABLE, (f"{n} paired seeds, and at least {FEWEST} are needed",)
    return None


def _needed(interval: Interval, margin: float, decides: Decides, prior: Prior) -> int | None:
    sd, mean, fewest = interval.sd, interval.mean, interval.n + 1
    shared = interval.shared
    return seeds_needed(sd, mean, margin, interval.level, decides, fewest=fewest, prior=prior, shared=shared)
