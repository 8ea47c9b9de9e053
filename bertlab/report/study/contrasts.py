"""The contrasts of a study as a table: on the page, in MLflow, and as CSV and JSON with the same numbers.

Enters: `Findings`. Leaves: rows, primary arms first, and their markdown, CSV and JSON.
"""

import json
import math
from typing import Any

from bertlab.report.study.scale import level_text, outcome_scale, worth_text
from bertlab.report.study.verdict import headline
from bertlab.report.table import Table
from bertlab.report.words import DASH, count, escape
from bertlab.stats.interval import Interval
from bertlab.study.judge import Findings, Judged
from bertlab.study.onset import started
from bertlab.study.record import DIGITS, RULE_NOW

NOT_REGISTERED = "exploratory"
Row = dict[str, Any]


def in_order(findings: Findings) -> list[Judged]:
    """Return the arms except the baseline, primary ones first."""
    exploratory = [judged for name, judged in findings.arms.items() if name not in findings.primary]
    return [*findings.primary.values(), *exploratory]


def verdict_table(findings: Findings) -> str:
    """Return the table of contrasts in markdown."""
    apart = outcome_scale(findings).apart
    header = ["arm", "what it changes", "n", f"difference ({apart})", f"interval ({apart})", "level", "verdict"]
    header += ["worth in tokens", "finding"]
    rows = [_cells(findings, judged) for judged in in_order(findings)]
    if found := started(findings):
        header.append("made of")
        rows = [[*row, found.words.get(judged.arm, DASH)] for row, judged in zip(rows, in_order(findings), strict=True)]
    return Table(header, rows, left=2).markdown()


def _cells(findings: Findings, judged: Judged) -> list[str]:
    scale, interval = outcome_scale(findings), judged.interval
    return [
        escape(judged.arm),
        escape(changed(findings, judged.arm) + compared(findings, judged.arm)),
        _seeds(judged),
        scale.signed(judged.contrast.mean),
        scale.between(interval.low, interval.high),
        level_text(interval.level) if math.isfinite(interval.low) else DASH,
        f"**{judged.verdict.words}**" if judged.expects else NOT_REGISTERED,
        worth_text(judged.worth),
        judged.finding.value if judged.finding else DASH,
    ]


def _seeds(judged: Judged) -> str:
    """Write the number of pairs, and how many of the arm's runs diverged, which are in no pair."""
    diverged = judged.verdict.standing.diverged
    return f"{count(judged.contrast.n)}{f' ({count(diverged)} diverged)' if diverged else ''}"


def changed(findings: Findings, name: str) -> str:
    """Return the overrides of an arm or control."""
    study = findings.study
    return " ".join(study.arms[name] if name in study.arms else study.controls[name])


def compared(findings: Findings, name: str) -> str:
    """Name the comparison arm of another one, if it is not the baseline."""
    return f" (against {findings.study.against[name]})" if name in findings.study.against else ""


def rows_of(findings: Findings) -> list[Row]:
    """Return one row per contrast, controls last, with the digits of the record."""
    rows = [_row(findings, judged, "primary" if judged.expects else NOT_REGISTERED) for judged in in_order(findings)]
    return [*rows, *(_row(findings, judged, "control") for judged in findings.controls.values())]


def verdict_files(findings: Findings) -> dict[str, bytes]:
    """Return verdicts.csv and verdict.json."""
    rows = rows_of(findings)
    table = Table(list(rows[0]), [list(row.values()) for row in rows])
    about = {
        "study": findings.study.id,
        "claim": findings.study.claim,
        "rule": RULE_NOW,
        "finding": findings.finding.value,
        "p": _rounded(findings.p),
        "headline": headline(findings),
        "outcome": findings.study.outcome,
        "margin": _plain(findings.margin),
        "slope": _plain(findings.slope),
        "context_gain": _plain(findings.gain),
        "soundness": list(findings.soundness),
        "contrasts": table.records(),
    }
    text = json.dumps(about, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    return {"verdict.json": text.encode(), "verdicts.csv": table.csv().encode()}


def _row(findings: Findings, judged: Judged, role: str) -> Row:
    contrast, verdict = judged.contrast, judged.verdict
    row: Row = {
        "arm": judged.arm,
        "role": role,
        "against": judged.against,
        "changes": changed(findings, judged.arm),
        "n": contrast.n,
    }
    row |= {"mean": _rounded(contrast.mean), "sd": _rounded(contrast.sd)}
    for level in (0.90, 0.95):
        row |= _ends(f"own_{100 * level:.0f}", contrast.own(level))
        row |= _ends(f"moderated_{100 * level:.0f}", contrast.interval(level))
    row |= {"level": _rounded(judged.interval.level), **_ends("decision", judged.interval)}
    row |= {"moderated_sd": _rounded(contrast.moderated_sd), "df": _rounded(contrast.df)}
    text_sd = math.sqrt(contrast.text.variance) if contrast.text else math.nan
    row |= {"text_sd": _rounded(text_sd), "text_share": _rounded(contrast.text_share)}
    row |= {"sign_flip_p": _rounded(contrast.sign_flip_p), "rho": _rounded(contrast.rho)}
    row |= {"seeds_saved": _rounded(contrast.seeds_saved)}
    primary = judged.expects is not None
    row |= {"p_support": _rounded(judged.support) if primary else math.nan}
    row |= {"p_refutation": _rounded(judged.refutation) if primary else math.nan}
    row |= {
        "verdict": "" if role == NOT_REGISTERED else verdict.words,
        "needed": verdict.needed,
        "failed": "; ".join(verdict.failed),
    }
    row |= {"expects": judged.expects.value if judged.expects else ""}
    row |= {"finding": judged.finding.value if judged.finding else "", "worth": _rounded(judged.worth)}
    return row | {"diverged": verdict.standing.diverged, "diverged_baseline": verdict.standing.diverged_baseline}


def _ends(name: str, interval: Interval) -> Row:
    return {f"{name}_low": _rounded(interval.low), f"{name}_high": _rounded(interval.high)}


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")


def _plain(value: Any) -> Any:
    """Return a JSON-compatible value: None for a number that is not finite."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
