"""The truth about a run: what its files hold, where they are what the run left; a store is a view of them.

Judged is what the cell on this disk says, checked by its seal; without a cell, the file of curves that the run left in
the store, checked by its hash; and only without either what the store itself says. Where the store says something else,
one line a run tells what.
"""

import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pandas as pd

from bertlab.ledger.metrics import Point, read_points
from bertlab.ledger.run_folder import FINISHED, POINTS, Cell, cell_of
from bertlab.tracking.curves import Curves, curves_of, joined
from bertlab.tracking.description import CODE, KEY, TEXT_LIMIT, TOKEN, identity_of
from bertlab.tracking.table import CALLS, curves_left, curves_stored, runs_frame

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient

log = logging.getLogger(__name__)

LINES = 5  # runs of which differences are told one by one
_SAID: set[str] = set()  # ids of runs: a study judges its runs several times
LARGEST = 1.7e308  # a store keeps an infinite number as the largest one
BASELINE = "bertlab.baseline"  # a tag that each sweep sets as it sees the run


class Known(NamedTuple):
    """What one run is and what it reached, as far as files say it."""

    metrics: Mapping[str, float]
    params: Mapping[str, str] = {}
    tags: Mapping[str, str] = {}


class Difference(NamedTuple):
    """A value that the store has otherwise; `stored` is None where it has none."""

    kind: str  # metrics, params or tags
    name: str
    stored: float | str | None
    true: float | str

    def __str__(self) -> str:
        return f"{self.name} {_text(self.stored)} for {_text(self.true)}"


@dataclass(frozen=True)
class Truth:
    """Some runs, a row each, as MLflow would name the columns, and their curves."""

    runs: pd.DataFrame
    curves: pd.DataFrame
    differences: Mapping[str, Sequence[Difference]] = field(default_factory=dict)  # by run id


def truth_of(client: "MlflowClient", runs: "Sequence[Run]", output_dir: str | Path | None) -> Truth:
    """Return what is true of some runs of a store, and say what the store has otherwise."""
    served = client.tracking_uri.startswith("http")
    with ThreadPoolExecutor(CALLS if served else 1) as pool:
        found = list(pool.map(lambda run: _read(client, run, output_dir), runs))
    frame = runs_frame([_as_known(run, known) for run, (known, _) in zip(runs, found, strict=True)])
    curves = joined({run.info.run_id: own for run, (_, own) in zip(runs, found, strict=True)})
    compared = {run.info.run_id: list(differences(known, run)) for run, (known, _) in zip(runs, found, strict=True)}
    wrong = {run_id: own for run_id, own in compared.items() if own}
    say_differences(wrong)
    return Truth(frame, curves, wrong)


def _read(client: "MlflowClient", run: "Run", output_dir: str | Path | None) -> tuple[Known, Curves]:
    if cell := cell_of_run(run, output_dir):
        points = read_points(cell.folder / POINTS)[0]
        return known_of(cell, points), curves_of(points)
    if left := curves_left(client, run):
        return Known(_last(left)), left
    return Known({}), curves_stored(client, run)


def cell_of_run(run: "Run", output_dir: str | Path | None) -> Cell | None:
    """Return the cell that a finished run was recorded from; none where it is absent or not what the run left."""
    tags = run.data.tags
    if output_dir is None or run.info.status != FINISHED or not tags.keys() >= {TOKEN, KEY, CODE}:
        return None
    identity = identity_of(tags)
    cell = cell_of(output_dir, identity.key, identity.code, identity.made_in)
    return cell if cell.state().get("token") == tags[TOKEN] and cell.record() else None


def run_of_cell(cell: Cell) -> "Run":
    """Return the finished run of a cell as a store would have it, for while the store is away."""
    from mlflow.entities import Metric, Param, Run, RunData, RunInfo, RunTag

    known, state = known_of(cell, read_points(cell.folder / POINTS)[0]), cell.state()
    tags = {TOKEN: state["token"], **known.tags}
    return Run(
        RunInfo(
            run_id=state.get("run_id") or state["token"],
            experiment_id="",
            user_id="",
            status=FINISHED,
            start_time=state["started"],
            end_time=state["ended"],
            lifecycle_stage="active",
        ),
        RunData(
            [Metric(name, value, 0, 0) for name, value in known.metrics.items()],
            [Param(name, text) for name, text in known.params.items()],
            [RunTag(name, text) for name, text in tags.items()],
        ),
    )


def known_of(cell: Cell, points: Sequence[Point]) -> Known:
    """Return what a cell says of its run."""
    state = cell.state()
    described = state.get("description", {})
    tags = {**described.get("tags", {}), **state.get("tags", {})}
    return Known(reached(points), _cut(described.get("params", {})), _cut(tags))


def reached(points: Sequence[Point]) -> dict[str, float]:
    """Return the last value of each name, as MLflow takes it: that of the last step."""
    last: dict[str, float] = {}
    for point in sorted(points, key=lambda point: (point.step, point.time)):
        last |= point.numbers
    return last


def differences(known: Known, run: "Run") -> Iterator[Difference]:
    """Yield what a store has otherwise than it is known; what else it has is not looked at."""
    data = run.data
    for kind, true, stored in (("params", known.params, data.params), ("tags", known.tags, data.tags)):
        for name, text in true.items():
            if stored.get(name) != text and name != BASELINE:
                yield Difference(kind, name, stored.get(name), text)
    for name, value in known.metrics.items():
        if not same(data.metrics.get(name), value):
            yield Difference("metrics", name, data.metrics.get(name), value)


def same(one: float | None, other: float) -> bool:
    """Tell whether two numbers are one, as far as a store keeps numbers."""
    if one is None or math.isnan(one) or math.isnan(other):
        return one is not None and math.isnan(one) and math.isnan(other)
    return math.isclose(_finite(one), _finite(other), rel_tol=1e-14)


def say_differences(wrong: Mapping[str, Sequence[Difference]]) -> None:
    """Say which runs the store has otherwise: the first ones a line each, and each of them once."""
    new = {run_id: own for run_id, own in wrong.items() if run_id not in _SAID}
    _SAID.update(new)
    for run_id, own in list(new.items())[:LINES]:
        log.warning("run %s: the store says %s; its files are believed, bertlab sync mends it", run_id, told(own))
    if len(new) > LINES:
        log.warning("%s more runs are not in the store as their files have them", len(new) - LINES)


def told(own: Sequence[Difference]) -> str:
    """Say in words what differs, the outcome first."""
    first = min(own, key=lambda each: not each.name.startswith("eval/mlm_loss"))
    return f"{first}{f', and {len(own) - 1} more' if len(own) > 1 else ''}"


def _as_known(run: "Run", known: Known) -> "Run":
    """Return a run with what is known in place of what the store says."""
    from mlflow.entities import Metric, Param, Run, RunData, RunTag

    data = run.data
    tags = {**data.tags, **{name: text for name, text in known.tags.items() if name != BASELINE}}
    return Run(
        run.info,
        RunData(
            [Metric(name, value, 0, 0) for name, value in {**data.metrics, **known.metrics}.items()],
            [Param(name, text) for name, text in {**data.params, **known.params}.items()],
            [RunTag(name, text) for name, text in tags.items()],
        ),
    )


def _last(curves: Curves) -> dict[str, float]:
    order = curves.step.argsort(kind="stable")
    return dict(zip(curves.metric[order].tolist(), curves.value[order].tolist(), strict=True))


def _cut(texts: Mapping[str, str]) -> dict[str, str]:
    return {name: text[:TEXT_LIMIT] for name, text in texts.items()}


def _finite(value: float) -> float:
    return math.copysign(LARGEST, value) if abs(value) > LARGEST else value


def _text(value: float | str | None) -> str:
    return "nothing" if value is None else f"{value:.6g}" if isinstance(value, float) else value[:40]
