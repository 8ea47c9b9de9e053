"""A study on its parent run in a store: what was registered, what was found, and the report as one page to read."""

import math
from pathlib import Path
from typing import TYPE_CHECKING

from bertlab.report.html import page
from bertlab.report.publish import PAGE, READ, log_numbers, log_settings
from bertlab.report.study.contrasts import verdict_table
from bertlab.report.study.verdict import headline
from bertlab.study.design import Study
from bertlab.study.judge import Findings
from bertlab.tracking.description import NOTE, TEXT_LIMIT

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient


def publish_design(client: "MlflowClient", run_id: str, study: Study) -> None:
    """Show what was registered; once there, it stays as it is."""
    log_settings(client, run_id, settings(study))


def publish_study(client: "MlflowClient", run_id: str, findings: Findings, report: Path) -> None:
    """Attach the report and show the verdict and the numbers of all contrasts. Twice does no harm."""
    client.log_artifact(run_id, str(report), "report")
    client.log_artifacts(run_id, str(report.with_suffix("")), f"report/{findings.study.name}")
    client.log_text(run_id, page(report.read_text("utf-8"), report.parent), PAGE)
    note = "\n\n".join([headline(findings), verdict_table(findings), READ])
    client.set_tag(run_id, NOTE, note[:TEXT_LIMIT])
    log_numbers(client, run_id, numbers(findings), len(findings.record.runs))


def settings(study: Study) -> dict[str, str]:
    """Return the parameters of a study's run."""
    looks = ", ".join(map(str, study.looks))
    return {
        "study": study.id,
        "baseline": study.baseline,
        "arms": ", ".join(study.arms),
        "outcome": study.outcome,
        "margin": f"{study.margin.value:g} {study.margin.unit}",
        "seeds": str(study.seeds),
        "looks": looks,
    }


def numbers(findings: Findings) -> dict[str, float]:
    """Return each contrast, arm minus what it is compared with, in units of the outcome, and how many runs there are.

    What a contrast has not, as the interval of a single seed, is left out.
    """
    runs = findings.record.runs
    found = {"finished": float(len(runs)), "diverged": float(runs["diverged"].sum())}
    for name, judged in {**findings.arms, **findings.controls}.items():
        interval = judged.interval
        own = {"difference": judged.contrast.mean, "low": interval.low, "high": interval.high}
        found |= {f"{name}/{part}": value for part, value in own.items() if math.isfinite(value)}
    return found
