"""The chance of each verdict at a study's last look, before it runs.

Enters: the registration, a standard deviation of paired differences, and a margin in units of the outcome. Leaves: for
each expectation of the claim the chances at some true effects, and what a decision would need. A positive effect means
that the arm is worse; for claims about `better`, effects are on that side.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from scipy import optimize

from bertlab.config.errors import InputError
from bertlab.stats.claim import Expectation, decides
from bertlab.stats.looks import interval_level
from bertlab.stats.power import POWER, chance, chances, seeds_needed
from bertlab.stats.rule import Kind
from bertlab.study.design import Study
from bertlab.study.judge import Findings, judge
from bertlab.study.outcome import outcome_of
from bertlab.study.record import FILES, read_record

TYPICAL = (0.03, 0.05, 0.1, 0.13)  # nats: paired differences of nano over three seeds on 2.25 M tokens of docs
UNKNOWN = (0.25, 0.5, 1.0, 2.0)  # in margins, if no typical values are known
PILOT_SLOPE = 0.46  # nats per ln(tokens): masked-token loss of nano near 2.25 M tokens of docs
PILOT_OUTCOME = "eval/mlm_loss"
TRUTHS = (0.0, 0.5, 1.0, 2.0)  # in margins
FAR = 2.0  # in margins: a true effect that a study should detect
OF_THE_SIGN = frozenset({Expectation.WORSE, Expectation.BETTER})  # without an effect, no number of seeds decides these
# decided on the better side
BETTER = frozenset({Expectation.BETTER, Expectation.MATERIALLY_BETTER, Expectation.NOT_BETTER})


@dataclass(frozen=True)
class Scale:
    """Margin and spread of a plan, in units of the outcome, with their sources."""

    margin: float
    slope: float | None  # per ln(tokens); None if unknown
    sds: tuple[float, ...]
    margin_from: str
    sd_from: str
    # share of the variance due to the text, in an earlier report: the largest of the claim's arms
    text_share: float = math.nan


@dataclass(frozen=True)
class Chances:
    """The chance of each verdict if `effect` is true and differences have standard deviation `sd`."""

    sd: float
    effect: float
    by_kind: Mapping[Kind, float]
    decided: float  # supported or refuted


@dataclass(frozen=True)
class Prospect:
    """What a decision needs at one standard deviation."""

    sd: float
    near: float  # chance of a decision without a true effect; for a claim about the sign, with one of a margin
    far: float  # with a true effect of FAR margins
    seeds: int | None  # for a chance of POWER at both; None if 100 are too few
    margin: float  # for the same, with the registered number of seeds

    @property
    def likely(self) -> bool:
        """True if a decision has a chance of POWER at both effects."""
        return min(self.near, self.far) >= POWER


@dataclass(frozen=True)
class Outlook:
    """Chances at a study's last look, from intervals of `level`."""

    study: Study
    scale: Scale
    level: float
    chances: Mapping[Expectation, Sequence[Chances]]
    prospects: Mapping[Expectation, Sequence[Prospect]]


def outlook(
    study: Study, reports: Path, sd: float | None = None, effect: float | None = None, slope: float | None = None
) -> Outlook:
    """Return the chances of a study; missing values come from an earlier report of it in `reports`.

    Raises InputError for a margin in tokens if the outcome's slope is unknown.
    """
    scale = measures(study, earlier(study, reports), sd, slope)
    level = interval_level(study.looks)
    expected = sorted(set(study.expects.values()), key=lambda each: each.value)
    n, margin = study.looks[-1], scale.margin
    return Outlook(
        study=study,
        scale=scale,
        level=level,
        chances={
            each: [
                _chances(n, spread, truth, margin, level, each)
                for spread in scale.sds
                for truth in [
                    *(_side(each) * share * margin for share in TRUTHS),
                    *([] if effect is None else [effect]),
                ]
            ]
            for each in expected
        },
        prospects={each: [prospect(n, spread, margin, level, each) for spread in scale.sds] for each in expected},
    )


def earlier(study: Study, reports: Path) -> Findings | None:
    """Return the findings of an earlier report with the same outcome, if there is one."""
    folder = reports / study.place
    if not (folder / FILES[0]).is_file():
        return None
    record = read_record(folder)
    return judge(record) if record.study.outcome == study.outcome else None


def measures(study: Study, found: Findings | None, sd: float | None, slope: float | None) -> Scale:
    """Return margin and spread: as given, else from an earlier report, else from the pilot. Raises InputError."""
    slope_from = "that is stated"
    if slope is None and found is not None and not math.isnan(found.slope):
        slope, slope_from = abs(found.slope), "of the earlier report"
    if slope is None and study.outcome == PILOT_OUTCOME:
        slope, slope_from = PILOT_SLOPE, "of a pilot of nano"
    if study.margin.unit == "tokens":
        if slope is None:
            raise InputError(
                f"slope must be given where a margin in tokens is on {study.outcome}, got nothing; state what one unit "
                "of ln(tokens) is worth near the end, for example slope=0.2"
            )
        margin = slope * math.log1p(study.margin.value)
        margin_from = f"{100 * study.margin.value:g} % more tokens, at a slope of {slope:.3g} {slope_from}"
    else:
        margin, margin_from = study.margin.value, "as registered"
    sds, sd_from = _spreads(study, found, sd, margin)
    shares = [each.contrast.text_share for each in found.primary.values() if each.contrast.text] if found else []
    return Scale(margin, slope, sds, margin_from, sd_from, max(shares, default=math.nan))


def _spreads(study: Study, found: Findings | None, sd: float | None, margin: float) -> tuple[tuple[float, ...], str]:
    if sd is not None:
        return (sd,), "as stated"
    known = [each.interval.sd for each in found.primary.values() if each.contrast.n > 1] if found else []
    if known:
        return (max(known),), "the largest of the earlier report's claims"
    if outcome_of(study.outcome).unit == "nats":
        return TYPICAL, "typical of nano; state your pilot's with sd=X"
    return tuple(share * margin for share in UNKNOWN), "some shares of the margin; state your pilot's with sd=X"


def prospect(n: int, sd: float, margin: float, level: float, expects: Expectation) -> Prospect:
    """Return the chances of a decision on a claim, and what would make a decision likely."""
    aims, truths = decides(expects), told_apart(expects)
    needed = [seeds_needed(sd, truth * margin, margin, level, aims) for truth in truths]

    def short_of_power(ratio: float) -> float:  # `ratio`: margin / sd
        return POWER - min(chance(n, 1.0, truth * ratio, ratio, level, aims) for truth in truths)

    near, far = (chance(n, sd, truth * margin, margin, level, aims) for truth in truths)
    return Prospect(
        sd=sd,
        near=near,
        far=far,
        seeds=None if None in needed else max(seeds for seeds in needed if seeds is not None),
        margin=sd * float(optimize.brentq(short_of_power, 0.01, 100.0)),
    )


def told_apart(expects: Expectation) -> tuple[float, float]:
    """Return the true effects, in margins, at both of which a study should decide: near and far."""
    return _side(expects) * (1.0 if expects in OF_THE_SIGN else 0.0), _side(expects) * FAR


def _chances(n: int, sd: float, effect: float, margin: float, level: float, expects: Expectation) -> Chances:
    by_kind = chances(n, sd, effect, margin, level)
    return Chances(sd, effect, by_kind, chance(n, sd, effect, margin, level, decides(expects)))


def _side(expects: Expectation) -> int:
    return -1 if expects in BETTER else 1
