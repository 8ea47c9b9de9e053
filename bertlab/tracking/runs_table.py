"""The run table: runs of an MLflow store as a data frame, and their curves.

Enters: a client of a store, and a filter or runs. Leaves: `runs`, with MLflow's column names (run_id, name, status,
`params.<key>`, `tags.<key>`, `metrics.<key>`), and `curves`, in long format.

The files of a run are authoritative; a store is a view of them. Sources, in this order: the folder on this disk,
checked by its seal; the file of curves that the run left in the store, checked by its hash; the metrics in the store,
one call per metric. The file of curves is in Arrow's format (Feather): a report reads it ten times as fast as the lines
of the points.
"""

import io
import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from hashlib import sha256
from math import nan
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
from pyarrow import feather

from bertlab.config.errors import InputError
from bertlab.tracking.artifacts import fetched
from bertlab.tracking.description import ALSO, CODE, FILES, KEY, LEFT, NAME, TOKEN, identity_of
from bertlab.tracking.differences import BASELINE, Difference, RunValues, differences, log_differences, values_of
from bertlab.tracking.metrics import Point, read_points
from bertlab.tracking.run_folder import FINISHED, POINTS, RunFolder, run_folder_of

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient

log = logging.getLogger(__name__)

PLUMBING = (ALSO, TOKEN, LEFT, FILES)  # technical tags, not shown
CALLS = 8  # simultaneous calls to a server; a file gets one
CURVES_FILE = "curves.feather"  # artifact of every finished run
TOKENS, SHOWN = "perf/tokens", ("train/", "eval/")
Floats = npt.NDArray[np.float64]


class Curves(NamedTuple):
    """The `train/` and `eval/` metrics of one run: one row per value, in columns of equal length."""

    metric: npt.NDArray[np.object_]
    step: Floats
    tokens: Floats  # seen at the step; NaN if the run did not log them
    value: Floats


def search(client: "MlflowClient", experiment: str, wanted: str) -> "list[Run]":
    """Return the runs of an experiment that an MLflow filter selects, newest first. Raises InputError."""
    found = client.get_experiment_by_name(experiment)
    if found is None:
        raise InputError(f"tracking.experiment must exist in the store, got {experiment!r}; run something first")
    from mlflow.exceptions import MlflowException

    try:
        return pages(client, [found.experiment_id], wanted)
    except MlflowException as error:
        if error.error_code != "INVALID_PARAMETER_VALUE":
            raise
        raise InputError(f"filter must be an MLflow filter, got {wanted!r}: {' '.join(str(error).split())}") from error


def pages(client: "MlflowClient", experiments: list[str], wanted: str) -> "list[Run]":
    """Return the runs of some experiments that an MLflow filter selects, newest first, page by page."""
    runs: list[Run] = []
    token = None
    while True:
        order = ["attributes.start_time DESC"]
        page = client.search_runs(experiments, wanted, max_results=1000, order_by=order, page_token=token)
        runs += page
        token = page.token
        if not token:
            return runs


@dataclass(frozen=True)
class RunsTable:
    """Some runs, one row each, with MLflow's column names, and their curves."""

    runs: pd.DataFrame
    curves: pd.DataFrame
    differences: Mapping[str, Sequence[Difference]] = field(default_factory=dict)  # by run id


def read_runs_table(client: "MlflowClient", runs: "Sequence[Run]", output_dir: str | Path | None) -> RunsTable:
    """Return the true values of some runs of a store, and log where the store differs."""
    served = client.tracking_uri.startswith("http")
    with ThreadPoolExecutor(CALLS if served else 1) as pool:
        found = list(pool.map(lambda run: _read(client, run, output_dir), runs))
    frame = runs_frame([_as_known(run, known) for run, (known, _) in zip(runs, found, strict=True)])
    curves = joined({run.info.run_id: own for run, (_, own) in zip(runs, found, strict=True)})
    compared = {run.info.run_id: list(differences(known, run)) for run, (known, _) in zip(runs, found, strict=True)}
    wrong = {run_id: own for run_id, own in compared.items() if own}
    log_differences(wrong)
    return RunsTable(frame, curves, wrong)


def _read(client: "MlflowClient", run: "Run", output_dir: str | Path | None) -> tuple[RunValues, Curves]:
    if run_folder := folder_of_run(run, output_dir):
        points = read_points(run_folder.folder / POINTS)[0]
        return values_of(run_folder, points), curves_of(points)
    if left := curves_left(client, run):
        return RunValues(_last(left)), left
    return RunValues({}), curves_stored(client, run)


def folder_of_run(run: "Run", output_dir: str | Path | None) -> RunFolder | None:
    """Return the folder of a finished run; None if it is absent or its files changed."""
    tags = run.data.tags
    if output_dir is None or run.info.status != FINISHED or not tags.keys() >= {TOKEN, KEY, CODE}:
        return None
    identity = identity_of(tags)
    run_folder = run_folder_of(output_dir, identity.key, identity.code, identity.made_in)
    return run_folder if run_folder.state().get("token") == tags[TOKEN] and run_folder.record() else None


def run_of_folder(run_folder: RunFolder) -> "Run":
    """Return the finished run of a folder as a store would have it, for use while the store is away."""
    from mlflow.entities import Metric, Param, Run, RunData, RunInfo, RunTag

    known, state = values_of(run_folder, read_points(run_folder.folder / POINTS)[0]), run_folder.state()
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


def _as_known(run: "Run", known: RunValues) -> "Run":
    """Return a run with the known values in place of those in the store."""
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


def runs_frame(runs: "list[Run]") -> pd.DataFrame:
    """Return one row for each run."""
    return pd.DataFrame([_row(run) for run in runs])


def _row(run: "Run") -> dict[str, object]:
    row: dict[str, object] = {
        "run_id": run.info.run_id,
        "name": run.data.tags.get(NAME, run.info.run_name),
        "status": run.info.status,
    }
    row |= {f"params.{key}": value for key, value in run.data.params.items()}
    row |= {
        f"tags.{key}": value
        for key, value in run.data.tags.items()
        if key.startswith("bertlab.") and not key.startswith(PLUMBING)
    }
    return row | {f"metrics.{key}": value for key, value in run.data.metrics.items()}


def curves_left(client: "MlflowClient", run: "Run") -> Curves | None:
    """Return the curves that the run left in the store as one file; None if that is missing or damaged."""
    if run.info.status != FINISHED or LEFT not in run.data.tags:
        return None
    try:
        with fetched(client, f"{run.info.artifact_uri}/{CURVES_FILE}") as path:
            content = path.read_bytes()
    except Exception as error:  # each kind of storage raises its own types
        fault = " ".join(str(error).split())[:200]
    else:
        if sha256(content).hexdigest() == run.data.tags[LEFT]:
            return unpacked(content)
        fault = "it is not what the run left"
    log.warning(
        "%s of run %s cannot be read, its points are asked for instead: %s", CURVES_FILE, run.info.run_id, fault
    )
    return None


def curves_stored(client: "MlflowClient", run: "Run") -> Curves:
    """Return the curves from the store's metrics: the latest if a step has several values."""
    names = [TOKENS, *(name for name in run.data.metrics if name.startswith(SHOWN))]
    histories = {name: client.get_metric_history(run.info.run_id, name) for name in names}
    latest = {
        (name, one.step): one for name, has in histories.items() for one in sorted(has, key=lambda each: each.timestamp)
    }
    return curves_of([Point(step, one.timestamp, {name: one.value}) for (name, step), one in latest.items()])


def curves_of(points: Sequence[Point]) -> Curves:
    """Return the curves from the points of one run."""
    tokens = {point.step: point.numbers[TOKENS] for point in points if TOKENS in point.numbers}
    alike = defaultdict[tuple[str, ...], list[tuple[float, ...]]](list)  # most points have the same names
    for point in points:
        alike[tuple(point.numbers)].append((point.step, tokens.get(point.step, nan), *point.numbers.values()))
    return _stacked(_rows(names, table) for names, table in alike.items())


def joined(runs: Mapping[str, Curves]) -> pd.DataFrame:
    """Return the curves of some runs, given by id, as one table: run_id, metric, step, tokens, value."""
    metric, step, tokens, value = _stacked(runs.values())
    lengths = np.array([len(curves.value) for curves in runs.values()], dtype=np.int64)
    run_id = np.repeat(np.array(list(runs), dtype=object), lengths)
    texts = {"run_id": pd.Series(run_id, dtype=object), "metric": pd.Series(metric, dtype=object)}
    return pd.DataFrame({**texts, "step": step.astype(np.int64), "tokens": tokens, "value": value})


def packed(curves: Curves) -> bytes:
    """Return the bytes of a run's file of curves."""
    numbers = curves._asdict() | {"metric": pa.array(curves.metric, pa.string()).dictionary_encode()}
    file = io.BytesIO()
    feather.write_feather(pa.table(numbers), file)
    return file.getvalue()


def unpacked(content: bytes) -> Curves:
    """Return the curves from the bytes of a file."""
    table = feather.read_table(io.BytesIO(content))
    return Curves(*(table[name].to_numpy() for name in Curves._fields))


def _rows(names: Sequence[str], points: Sequence[Sequence[float]]) -> Curves:
    """Return the curves of points with these columns: step, tokens and then a value for each name."""
    shown = [place for place, name in enumerate(names) if name.startswith(SHOWN)]
    table = np.array(points, dtype=np.float64)
    step, tokens = (np.repeat(column, len(shown)) for column in table[:, :2].T)
    metric = np.tile(np.array(names, dtype=object)[shown], len(points))
    return Curves(metric, step, tokens, table[:, 2:][:, shown].ravel())


def _stacked(parts: Iterable[Curves]) -> Curves:
    none = Curves(np.empty(0, dtype=object), np.empty(0), np.empty(0), np.empty(0))
    return Curves(*map(np.concatenate, zip(none, *parts, strict=True)))
