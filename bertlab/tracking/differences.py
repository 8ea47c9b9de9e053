"""Differences between a run's files and the store: the files are regarded as true.

Enters: the folder of a run, and the run as it is in a store. Leaves: values, the differences between them, and a log
message for each run that has some.
"""

import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from bertlab.tracking.description import TEXT_LIMIT
from bertlab.tracking.metrics import Point
from bertlab.tracking.run_folder import RunFolder

if TYPE_CHECKING:
    from mlflow.entities import Run

log = logging.getLogger(__name__)

LINES = 5  # runs whose differences are logged one by one
_SAID: set[str] = set()  # ids of logged runs: a study judges its runs several times
LARGEST = 1.7e308  # a store keeps an infinite number as the largest finite one
BASELINE = "bertlab.baseline"  # tag whose value depends on the sweep


class RunValues(NamedTuple):
    """Description and metrics of one run, from its files."""

    metrics: Mapping[str, float]
    params: Mapping[str, str] = {}
    tags: Mapping[str, str] = {}


class Difference(NamedTuple):
    """A value that differs in the store; `stored` is None if it is missing there."""

    kind: str  # metrics, params or tags
    name: str
    stored: float | str | None
    true: float | str

    def __str__(self) -> str:
        return f"{self.name} {_text(self.stored)} instead of {_text(self.true)}"


def values_of(run_folder: RunFolder, points: Sequence[Point]) -> RunValues:
    """Return the values in a run's folder."""
    state = run_folder.state()
    described = state.get("description", {})
    tags = {**described.get("tags", {}), **state.get("tags", {})}
    return RunValues(last_values(points), _cut(described.get("params", {})), _cut(tags))


def last_values(points: Sequence[Point]) -> dict[str, float]:
    """Return the last value of each name, as in MLflow: that of the last step."""
    last: dict[str, float] = {}
    for point in sorted(points, key=lambda point: (point.step, point.time)):
        last |= point.numbers
    return last


def differences(known: RunValues, run: "Run") -> Iterator[Difference]:
    """Yield the known values that differ in a store; other values of the store are ignored."""
    data = run.data
    for kind, true, stored in (("params", known.params, data.params), ("tags", known.tags, data.tags)):
        for name, text in true.items():
            if stored.get(name) != text and name != BASELINE:
                yield Difference(kind, name, stored.get(name), text)
    for name, value in known.metrics.items():
        if not same(data.metrics.get(name), value):
            yield Difference("metrics", name, data.metrics.get(name), value)


def same(one: float | None, other: float) -> bool:
    """Return whether two numbers are equal in the precision of a store."""
    if one is None or math.isnan(one) or math.isnan(other):
        return one is not None and math.isnan(one) and math.isnan(other)
    return math.isclose(_finite(one), _finite(other), rel_tol=1e-14)


def log_differences(wrong: Mapping[str, Sequence[Difference]]) -> None:
    """Log which runs differ in the store: one line for each of the first ones, each run only once."""
    new = {run_id: own for run_id, own in wrong.items() if run_id not in _SAID}
    _SAID.update(new)
    for run_id, own in list(new.items())[:LINES]:
        log.warning("run %s: the store has %s; the run's files count, bertlab sync corrects it", run_id, in_words(own))
    if len(new) > LINES:
        log.warning("%s more runs differ in the store from their files", len(new) - LINES)


def in_words(own: Sequence[Difference]) -> str:
    """Describe what differs, the outcome first."""
    first = min(own, key=lambda each: not each.name.startswith("eval/mlm_loss"))
    return f"{first}{f', and {len(own) - 1} more' if len(own) > 1 else ''}"


def _cut(texts: Mapping[str, str]) -> dict[str, str]:
    return {name: text[:TEXT_LIMIT] for name, text in texts.items()}


def _finite(value: float) -> float:
    return math.copysign(LARGEST, value) if abs(value) > LARGEST else value


def _text(value: float | str | None) -> str:
    return "nothing" if value is None else f"{value:.6g}" if isinstance(value, float) else value[:40]
