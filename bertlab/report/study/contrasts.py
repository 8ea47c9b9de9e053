"""The contrasts of a study as a table: on the page, in MLflow, and as CSV and JSON with the same numbers.

Enters: `Findings`. Leaves: rows, primary arms first, and their markdown, CSV and JSON.
"""

import json
import math
from collections.abc import Sequence
from io import StringIO
from typing import Any

import pandas as pd

from bertlab.report.study.scale import level_text, outcome_scale, worth_text
from bertlab.report.study.verdict import headline
from bertlab.report.words import DASH, count, escape, grid
from bertlab.stats.interval import Interval
from bertlab.study.judge import Findings, Judged
from bertlab.study.record import DIGITS

NOT_REGISTERED = "exploratory"
Row = dict[str, Any]


def in_order(findings: Findings) -> list[Judged]:
    """Return the arms beside the baseline, primary ones first."""
    exploratory = [judged for name, judged in findings.arms.items() if name not in findings.primary]
    return [*findings.primary.values(), *exploratory]


def verdict_table(findings: Findings) -> str:
    """Return the table of contrasts in markdown."""
    apart = outcome_scale(findings).apart
    header = ["arm", "what it changes", "n", f"difference ({apart})", f"interval ({apart})", "level", "verdict"]
    rows = [_cells(findings, judged) for judged in in_order(findings)]
    return grid([*header, "worth in tokens", "finding"], rows, left=2)


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
    """Write the number of pairs, and how many of the arm's runs diverged, which are in none of them."""
    diverged = judged.verdict.standing.diverged
    return f"{count(judged.contrast.n)}{f' ({count(diverged)} diverged)' if diverged else ''}"


def changed(findings: Findings, name: str) -> str:
    """Return the overrides of an arm or control."""
    study = findings.study
    return " ".join(study.arms[name] if name in study.arms else study.controls[name])


def compared(findings: Findings, name: str) -> str:
    """Name the arm that another one is compared with, where that is not the baseline."""
    return f" (against {findings.study.against[name]})" if name in findings.study.against else ""


def is_pooled(judged: Judged) -> bool:
    """Tell whether the decision interval rests on the spread of all arms."""
    return judged.contrast.pool is not None and judged.contrast.pool.alike


def rows_of(findings: Findings) -> list[Row]:
    """Return one row per contrast, controls last, numbers to the digits that the record has."""
    rows = [_row(findings, judged, "primary" if judged.expects else NOT_REGISTERED) for judged in in_order(findings)]
    return [*rows, *(_row(findings, judged, "control") for judged in findings.controls.values())]


def verdict_files(findings: Findings) -> dict[str, bytes]:
    """Return verdicts.csv and verdict.json."""
    rows = rows_of(findings)
    table = StringIO()
    pd.DataFrame(rows, dtype=object).to_csv(table, index=False, lineterminator="\n")
    about = {
        "study": findings.study.id,
        "claim": findings.study.claim,
        "finding": findings.finding.value,
        "headline": headline(findings),
        "outcome": findings.study.outcome,
        "margin": _plain(findings.margin),
        "slope": _plain(findings.slope),
        "context_gain": _plain(findings.gain),
        "soundness": list(findings.soundness),
        "contrasts": [{key: _plain(value) for key, value in row.items()} for row in rows],
    }
    text = json.dumps(about, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    return {"verdict.json": text.encode(), "verdicts.csv": table.getvalue().encode()}


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
        row |= _ends(f"own_{100 * level:.0f}", contrast.unpooled(level))
        row |= _ends(f"pooled_{100 * level:.0f}", contrast.pooled(level))
    row |= {"level": _rounded(judged.interval.level), **_ends("decision", judged.interval)}
    row |= {"decision_pooled": is_pooled(judged), "sign_flip_p": _rounded(contrast.sign_flip_p)}
    row |= {"rho": _rounded(contrast.rho), "seeds_saved": _rounded(contrast.seeds_saved), "p_claim": _rounded(judged.p)}
    row |= {
        "verdict": "" if role == NOT_REGISTERED else verdict.words,
        "needed": verdict.needed,
        "failed": "; ".join(verdict.failed),
    }
    row |= {"expects": judged.expects.value if judged.expects else ""}
    row |= {"finding": judged.finding.value if judged.finding else "", "worth": _rounded(judged.worth)}
    return row | {"diverged": verdict.standing.diverged, "diverged_baseline": verdict.standing.diverged_baseline}


def _ends(name: str, interval: Interval | None) -> Row:
    ends: Sequence[float] = (interval.low, interval.high) if interval else (math.nan, math.nan)
    return {f"{name}_low": _rounded(ends[0]), f"{name}_high": _rounded(ends[1])}


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")


def _plain(value: Any) -> Any:
    """Return what JSON can hold: nothing in the place of a number that is not finite."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
