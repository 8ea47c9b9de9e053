"""The scores on tasks of one's own, with their noise: a row for each task and metric, a column for each setting."""

import math
import re
from collections.abc import Sequence

from bertlab.report.settings import Setting, Sweep
from bertlab.report.table import Table
from bertlab.report.words import DASH, escape, number

SCORE = re.compile(r"metrics\.(eval/tasks\.([\w-]+)\.([a-z0-9_]+))")
TEXT = (
    "Means over runs. Behind ± stands the standard error of a run's score: over the items that judge, and over the "
    "seeds of fine-tuning where there are several. A difference between settings is judged by runs with other seeds, "
    "not by it."
)


def tasks(sweep: Sweep) -> str:
    """Return the section; nothing where no run has tasks of its own."""
    found = [match for column in sweep.runs.columns if (match := SCORE.fullmatch(column))]
    if not found:
        return ""
    header = ["task", "metric", *(escape(setting.label) for setting in sweep.settings)]
    rows = [_row(sweep.settings, *match.groups()) for match in found]
    return f"## Tasks\n\n{TEXT}\n\n{Table(header, rows, left=2).markdown()}"


def _row(settings: Sequence[Setting], metric: str, task: str, name: str) -> list[str]:
    return [escape(task), escape(name.replace("_", " ")), *(_cell(setting, metric) for setting in settings)]


def _cell(setting: Setting, metric: str) -> str:
    mean = setting.mean(metric)
    errors = [setting.mean(f"{metric}.{source}") for source in ("se_items", "se_seeds")]
    error = math.hypot(*filter(math.isfinite, errors))
    return f"{number(mean)} ± {number(error)}" if math.isfinite(mean) else DASH
