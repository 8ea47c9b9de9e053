"""Seed by seed: every paired difference, the gain of pairing, diverged runs, and the looks.

Enters: `Findings`. Leaves: markdown sections.
"""

import math

import pandas as pd

from bertlab.report.study.contrasts import in_order
from bertlab.report.study.names import named
from bertlab.report.study.scale import level_text, outcome_scale, p_text
from bertlab.report.table import Table
from bertlab.report.words import DASH, count, escape, listing, number, percent, plural
from bertlab.stats.claim import Finding
from bertlab.stats.flips import MOST as ENUMERATED
from bertlab.stats.interval import Interval
from bertlab.stats.noise import LARGE, text_needed
from bertlab.stats.rule import Kind
from bertlab.study.contrasts import ITEMS, parts_of, scored
from bertlab.study.judge import Findings, Judged, not_sound_before

MANY_TIMES = 1000  # larger values are not reliable: the correlation over few seeds is nearly 1


def pairing(findings: Findings) -> str:
    """Intervals from each arm's own spread and the moderated one, the sign-flip test, and the gain of pairing."""
    scale = outcome_scale(findings)
    header = [
        "arm",
        f"sd of the difference ({scale.apart})",
        "moderated sd",
        "degrees of freedom",
        "share of the text (%)",
        "rho",
        "seeds saved",
    ]
    header += ["sign-flip p", *(f"{level} %, {whose}" for level in (90, 95) for whose in ("own spread", "moderated"))]
    rows = [
        [
            escape(judged.arm),
            scale.value(judged.contrast.sd),
            scale.value(judged.contrast.moderated_sd),
            number(judged.contrast.df, 1),
            percent(judged.contrast.text_share) if judged.contrast.text else DASH,
            number(judged.contrast.rho, 2),
            saved(judged.contrast.seeds_saved),
            p_text(judged.contrast.sign_flip_p) if judged.contrast.n else DASH,
            *(scale.between(each.low, each.high) for level in (0.90, 0.95) for each in _both(judged, level)),
        ]
        for judged in in_order(findings)
    ]
    enumerated = "exact" if findings.seeds <= ENUMERATED else f"exact to {ENUMERATED} seeds, else from drawn signs,"
    meaning = (
        "Arm and baseline share their seeds: weights, data order and masks are drawn alike. Rho is the correlation of "
        "their outcomes over seeds, and *seeds saved* is 1 / (1 − rho): how many times as many seeds an unpaired "
        f"comparison would need for the same precision. The sign-flip p is {enumerated} and two-sided; it decides "
        "nothing here."
    )
    text = f"{meaning} {_spread(findings)} {_noise(findings)}".strip()
    return "\n\n".join(["## Pairing and precision", Table(header, rows).markdown(), text])


def saved(times: float) -> str:
    """Write a multiple of seeds; above MANY_TIMES only that it is large."""
    if not math.isfinite(times):
        return DASH
    return f"{number(times, 1)} ×" if times < MANY_TIMES else f"over {count(MANY_TIMES)} ×"


def differences(findings: Findings) -> str:
    """Every paired difference."""
    scale, runs = outcome_scale(findings), findings.record.arm(findings.study.baseline)
    seeds = [int(seed) for seed in runs.index]
    rows = []
    for judged in in_order(findings):
        own = paired(findings, judged.arm, findings.study.outcome)
        diverged = {seed for name in (judged.arm, judged.against) for seed in _diverged(findings, name)}
        cells = [
            scale.signed(float(own[seed])) if seed in own.index else "diverged" if seed in diverged else DASH
            for seed in seeds
        ]
        rows.append([escape(judged.arm), *cells])
    table = Table(["arm", *(f"seed {seed}" for seed in seeds)], rows).markdown()
    text = f"Arm minus what it is compared with, in {scale.apart}; a dash where the pair was not run."
    return "\n\n".join(["## Every paired difference", table, text])


def divergence(findings: Findings) -> str:
    """How many runs of each arm diverged."""
    counts = {name: len(_diverged(findings, name)) for name in _arms(findings)}
    diverged = [
        f"{named(findings.study, name)} ({count(n)} of {count(len(findings.record.arm(name)))})"
        for name, n in counts.items()
        if n
    ]
    if not diverged:
        return f"## Divergence\n\nNone of the {count(findings.record.runs['run_id'].nunique())} runs diverged."
    return (
        f"## Divergence\n\nDiverged runs: {listing(diverged)}; none in any other arm. A diverged run has no outcome, "
        "so its pair is left out of the differences, which then describe the runs that survived."
    )


def looks(findings: Findings) -> str:
    """The registered looks, the last look of each contrast, and the level of its interval."""
    study = findings.study
    registered = f"Results were to be looked at after {listing(map(count, study.looks))} seeds."
    rule = (
        "An arm is followed to the next look unless its contrast decides the claim, lies at the margin, or has a "
        "chance under 10 % to decide at the last one; exploratory arms go on as long as a primary one does."
    )
    rows = [
        [
            escape(judged.arm),
            f"{count(judged.contrast.n)} of {count(study.seeds)}",
            level_text(judged.interval.level),
            level_text((1 - judged.interval.level) / 2, 3),
            _stopped(judged, study.seeds),
        ]
        for judged in findings.primary.values()
    ]
    table = Table(
        ["arm", "paired seeds", "level of the interval", "each side, at each look", "outcome"], rows
    ).markdown()
    early = [
        f"After {count(look)} seeds the study was not sound, so nothing was judged there: "
        f"{'; '.join(map(escape, reasons))}."
        for look, reasons in not_sound_before(findings).items()
    ]
    return "\n\n".join(["## Looks", f"{registered} {rule if len(study.looks) > 1 else ''}".strip(), table, *early])


def paired(findings: Findings, arm: str, metric: str) -> "pd.Series[float]":
    """Return an arm minus its comparison arm, by seed, over finished runs with the metric."""
    own, base = (finished(findings, name, metric) for name in (arm, findings.study.reference(arm)))
    return (own - base).dropna()


def finished(findings: Findings, arm: str, metric: str) -> "pd.Series[float]":
    """Return a metric of an arm's finished runs by seed."""
    runs = findings.record.arm(arm)
    return runs.loc[~runs["diverged"], metric].dropna() if metric in runs else pd.Series(dtype=float)


def _both(judged: Judged, level: float) -> tuple[Interval, Interval]:
    return judged.contrast.own(level), judged.contrast.interval(level)


def _noise(findings: Findings) -> str:
    """Describe the share of text noise in the variance of the mean differences, if known."""
    outcome = escape(findings.study.outcome)
    shares = {judged.arm: judged.contrast.text_share for judged in in_order(findings) if judged.contrast.text}
    if not shares:
        return (
            f"Evaluation noise: not measured in this study. {outcome} was not scored in parts, so what the differences "
            "owe to the sample of held-out text is in no interval."
        )
    parts = len(parts_of(findings.record, findings.study.outcome))
    items = f"{findings.study.outcome}{ITEMS}" in findings.record.metrics
    own = "from the test items of both arms, as if they were different ones"
    bound = own if items else "as from coins thrown for every pair and arm"
    how = f"from {count(parts)} parts of it" if parts else f"at most, {bound}"
    most = max(shares, key=lambda arm: shares[arm])
    said = (
        "Verdicts allow for the sample of held-out text too, which all seeds share and which no further seed reduces "
        f"({how}; Satterthwaite 1946). *Share of the text*: its part in the variance of the mean difference, "
        f"{percent(shares[most])} % at most (for {named(findings.study, most)})."
    )
    if shares[most] <= LARGE:
        return f"{said} More seeds help, not more text."
    large = [named(findings.study, arm) for arm, share in shares.items() if share > LARGE]
    now = scored(findings.record, findings.study.outcome)
    would_do = (
        f"; {count(text_needed(shares[most], now))} sequences would do, in place of {count(now)}"
        if now and not items
        else ""
    )
    return (
        f"{said} **It is above {count(100 * LARGE)} % for {listing(large)}**: there more held-out text helps more than "
        f"seeds{would_do}."
    )


def _spread(findings: Findings) -> str:
    """Describe the spread behind the verdicts."""
    study, scale = findings.study, outcome_scale(findings)
    bank = f" Arms are compared with a bank of {count(study.bank)} runs of the baseline." if study.bank else ""
    if study.prior.df == 0:
        return f"Verdicts are read from each arm's own spread: fewer than ten contrasts of its regime are known.{bank}"
    return (
        "Verdicts are read from the moderated spread: each arm's own variance, drawn towards the one that is usual in "
        f"its regime, sd {scale.value(math.sqrt(study.prior.variance))} {scale.apart} with "
        f"{number(study.prior.df, 1)} degrees of freedom, fitted over {count(study.prior.contrasts)} contrasts of "
        f"committed runs (Smyth 2004).{bank}"
    )


def _stopped(judged: Judged, last: int) -> str:
    if judged.finding is not Finding.UNDECIDED:
        return f"decided at {plural(judged.contrast.n, 'paired seed')}"
    if judged.verdict.kind is Kind.VACUOUS:
        return "not judged, see Soundness"
    if judged.held:
        return "taken back, see Soundness"
    if judged.verdict.failed:
        return "not judged: " + "; ".join(map(escape, judged.verdict.failed))
    return "undecided at the last look" if judged.contrast.n >= last else "undecided, and not followed further"


def _diverged(findings: Findings, name: str) -> list[int]:
    runs = findings.record.arm(name)
    return [int(seed) for seed in runs.index[runs["diverged"]]]


def _arms(findings: Findings) -> list[str]:
    return list(dict.fromkeys(findings.record.runs["arm"]))
