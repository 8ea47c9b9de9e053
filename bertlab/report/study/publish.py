"""Writes a study to its parent run in a store: its registration, its results, and the report as one HTML page."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from bertlab.report.html import page
from bertlab.report.study.contrasts import verdict_table
from bertlab.report.study.measures import secondary
from bertlab.report.study.names import arms_in_words
from bertlab.report.study.sweep import factor_values, ranked_arms, result
from bertlab.report.study.verdict import headline
from bertlab.study.design import Study
from bertlab.study.judge import Findings
from bertlab.tracking.description import NOTE, TEXT_LIMIT

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

PAGE = "report/report.html"
READ = f"The whole report: *Artifacts*, `{PAGE}`."


def publish_design(client: "MlflowClient", run_id: str, study: Study) -> None:
    """Write the registration; an existing one stays unchanged."""
    log_settings(client, run_id, settings(study))


def publish_study(client: "MlflowClient", run_id: str, findings: Findings, report: Path) -> None:
    """Attach the report and write the verdict and the numbers of all contrasts. Repeating it does no harm."""
    client.log_artifact(run_id, str(report), "report")
    client.log_artifacts(run_id, str(report.with_suffix("")), f"report/{findings.study.name}")
    client.log_text(run_id, page(report.read_text("utf-8"), report.parent), PAGE)
    if findings.study.explores:
        said = [result(findings), secondary(findings)]
    else:
        said = [headline(findings), verdict_table(findings), *arms_in_words(findings.study)]
    note = "\n\n".join([*said, READ])
    log_settings(client, run_id, settings(findings.study))
    client.set_tag(run_id, NOTE, note[:TEXT_LIMIT])
    log_numbers(client, run_id, numbers(findings), len(findings.record.runs))


def log_settings(client: "MlflowClient", run_id: str, settings: Mapping[str, str]) -> None:
    """Log parameters that are missing; a store accepts each only once."""
    there = client.get_run(run_id).data.params
    for name, text in settings.items():
        if name not in there:
            client.log_param(run_id, name, text[:TEXT_LIMIT])


def log_numbers(client: "MlflowClient", run_id: str, numbers: Mapping[str, float], step: int) -> None:
    """Log metrics with a constant time stamp, so that repeating gives the same point; a later `step` replaces it."""
    started = client.get_run(run_id).info.start_time
    for name, value in numbers.items():
        client.log_metric(run_id, name, value, timestamp=started, step=step)


def settings(study: Study) -> dict[str, str]:
    """Return the parameters of a study's run; for a sweep the values of each factor."""
    if study.explores:
        values = {factor: ", ".join(found) for factor, found in factor_values(study).items()}
        return {"baseline": study.baseline, **values}
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
    """Return the number of runs and each contrast, arm minus its comparison arm, in units of the outcome.

    Missing values, such as the interval of a single seed, are left out. For a sweep: the best and the worst mean. All
    names start with the outcome's name: MLflow groups charts by the part before the last slash, and a group of its own
    for the sweep's numbers would be empty.
    """
    outcome = findings.study.outcome
    runs = findings.record.runs
    found = {"finished": float(len(runs)), "diverged": float(runs["diverged"].sum())}
    if findings.study.explores:
        ends = dict(zip(("best", "worst"), [*ranked_arms(findings)[:1], *ranked_arms(findings)[-1:]], strict=False))
        return found | {f"{outcome}.{word}": mean for word, (_, mean) in ends.items()}
    for name, judged in {**findings.arms, **findings.controls}.items():
        interval = judged.interval
        own = {"difference": judged.contrast.mean, "low": interval.low, "high": interval.high}
        found |= {f"{outcome}.{name}.{part}": value for part, value in own.items() if math.isfinite(value)}
    return found
