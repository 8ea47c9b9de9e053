"""Upload: the folder of a run -> one run in an MLflow store. It can be repeated: existing values are left alone.

A run in a store that differs from its folder is corrected. MLflow cannot delete a value from a run. For a metric the
value of the last step counts; if a step has several values, the one that was logged last counts. So the true value is
logged again at its step, later; tags are set again. This cannot correct parameters, which never change, or a false
value at a step beyond the last, which hides all later ones. Such a run is replaced by a new one, and the old run goes
to MLflow's trash under a name that says so.
"""

import json
import logging
import shutil
import time
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import Any

from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, Run, RunTag
from mlflow.tracking import MlflowClient

from bertlab.tracking.artifacts import fetched, unlike, weights_uri
from bertlab.tracking.description import ALSO, FILES, KIND, LEFT, NOTE, OUTCOME, PARENT, TEXT_LIMIT, TOKEN, note
from bertlab.tracking.differences import Difference, differences, in_words, same, values_of
from bertlab.tracking.files import file_hash
from bertlab.tracking.metrics import Point, read_points
from bertlab.tracking.retry import created
from bertlab.tracking.run_folder import CONFIG, FINISHED, MODEL, ORIGIN, POINTS, RUNNING, TRACEBACK, UNSENT, RunFolder
from bertlab.tracking.runs_table import CURVES_FILE, curves_of, packed
from bertlab.tracking.saved_model import forget_model, keep_model

log = logging.getLogger(__name__)

BATCH = 1000  # MLflow accepts at most this many metrics at once
REPLACED = "replaced"  # kind of a run that another one replaced


class RunUpload:
    """The upload of one run into one experiment. Raises the errors of the store."""

    def __init__(
        self,
        client: MlflowClient,
        experiment_id: str,
        run_folder: RunFolder,
        source: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """Take the tags that only the store gets, `source`: where the run was started."""
        self.client, self.experiment_id, self.cell, self.source = client, experiment_id, run_folder, source
        self.run_id = ""

    def open(self, parent: str | None) -> str:
        """Create or find the run, send its description, and return its id."""
        state = self.cell.state()
        run = self._run(state, parent)
        self.run_id = str(run.info.run_id)
        if state["status"] == RUNNING and run.info.status != RUNNING:
            self.client.update_run(self.run_id, status=RUNNING)
        about = state["description"]
        if new := {name: value for name, value in about["params"].items() if name not in run.data.params}:
            self.client.log_batch(self.run_id, params=[Param(name, text[:TEXT_LIMIT]) for name, text in new.items()])
        if run.inputs is None or not run.inputs.dataset_inputs:
            data = DatasetInput(Dataset(**about["data"]), [InputTag("mlflow.data.context", "training")])
            self.client.log_inputs(self.run_id, [data])
        self._artifact(CONFIG)
        self._artifact(ORIGIN)
        return self.run_id

    def _run(self, state: dict[str, Any], parent: str | None) -> Run:
        about = state["description"]
        tags = {KIND: "run", NOTE: note(about), **self.source, **about["tags"], **({PARENT: parent} if parent else {})}
        return created(self.client, self.experiment_id, state["token"], about["name"], tags, state["started"])

    def _artifact(self, name: str) -> None:
        """Upload what is missing or differs: a full disk or a server that went away may have left only a part."""
        if not self._has(name):
            self._upload(name)

    def _upload(self, name: str) -> None:
        self.client.log_artifact(self.run_id, str(self.cell.folder / name))

    def _has(self, name: str) -> bool:
        """Return whether the store has exactly this file of the run. Reads it only if its size agrees."""
        path = self.cell.folder / name
        there = self.client.list_artifacts(self.run_id)
        if (name, path.stat().st_size) not in {(found.path, found.file_size) for found in there}:
            return False
        with fetched(self.client, f"{self.client.get_run(self.run_id).info.artifact_uri}/{name}") as found:
            return unlike(found.parent, {name: file_hash(path)}) is None

    def missing(self, points: Sequence[Point]) -> list[Point]:
        """Return the points that the run lacks or has with other values.

        A value cannot be deleted from a run. A later one of the same step replaces it.
        """
        last: dict[tuple[str, int], Metric] = {}
        for name in {name for point in points for name in point.numbers}:
            for has in sorted(self.client.get_metric_history(self.run_id, name), key=lambda has: has.timestamp):
                last[name, has.step] = has
        wanted = list[Point]()
        for p in points:
            new = {name: value for name, value in p.numbers.items() if (name, p.step) not in last}
            wanted += [Point(p.step, p.time, new)] if new else []
            for name, value in p.numbers.items():
                there = last.get((name, p.step))
                if there and not same(there.value, value):
                    wanted.append(Point(p.step, max(p.time, there.timestamp + 1), {name: value}))
        return wanted

    def send(self, points: Iterable[Point]) -> None:
        """Send points, the outcome first."""
        metrics = [Metric(name, value, p.time, p.step) for p in points for name, value in p.numbers.items()]
        metrics.sort(key=lambda metric: metric.key != OUTCOME)
        for start in range(0, len(metrics), BATCH):
            self.client.log_batch(self.run_id, metrics=metrics[start : start + BATCH])

    def close(self) -> None:
        """Send the final files of a run, and its status last: then the store has everything, byte for byte.

        Raises OSError if the store has other weights than it was given: then the local ones must stay.
        """
        state = self.cell.state()
        own = {**state.get("tags", {}), **(self._leave() if state["status"] == FINISHED else {})}
        if tags := [RunTag(name, value[:TEXT_LIMIT]) for name, value in own.items()]:
            self.client.log_batch(self.run_id, tags=tags)
        if state["status"] == FINISHED:
            points = read_points(self.cell.folder / POINTS)[0]
            keep_model(self.client, self.run_id, self.cell.folder / MODEL, state["description"], points)
        if state["status"] != FINISHED and (self.cell.folder / TRACEBACK).is_file():
            self._upload(TRACEBACK)
        if state["status"] != RUNNING:
            self.client.set_terminated(self.run_id, state["status"], end_time=state["ended"])

    def _leave(self) -> dict[str, str]:
        """Write all curves to one file for reports; return the tags with the hashes of that file and of all files."""
        content = packed(curves_of(read_points(self.cell.folder / POINTS)[0]))
        with TemporaryDirectory() as folder:
            path = Path(folder) / CURVES_FILE
            path.write_bytes(content)
            self.client.log_artifact(self.run_id, str(path))
        files = (self.cell.record() or {}).get("files")
        return {LEFT: sha256(content).hexdigest(), **({FILES: json.dumps(files)} if files else {})}


def upload_run(client: MlflowClient, experiment_id: str, run_folder: RunFolder, parent: str | None) -> str:
    """Upload the whole folder of a run to an experiment and return the run's id."""
    delivery = RunUpload(client, experiment_id, run_folder)
    delivery.open(parent)
    delivery.send(delivery.missing(read_points(run_folder.folder / POINTS)[0]))
    delivery.close()
    (run_folder.folder / UNSENT).unlink(missing_ok=True)
    return delivery.run_id


def repair(client: MlflowClient, experiment_id: str, run_folder: RunFolder, run_id: str) -> str | None:
    """Correct a finished run from its folder, and return a line about it; None if it was correct."""
    points = read_points(run_folder.folder / POINTS)[0]
    known = values_of(run_folder, points)
    if not (wrong := list(differences(known, client.get_run(run_id)))):
        return None
    _say_again(client, run_id, wrong, points)
    if not list(differences(known, run := client.get_run(run_id))):
        return f"run {run_id} had {in_words(wrong)}; it is corrected"
    new = _replace(client, experiment_id, run_folder, run)
    return f"run {run_id} had {in_words(wrong)}; it is in MLflow's trash, and run {new} replaces it"


def _say_again(client: MlflowClient, run_id: str, wrong: list[Difference], points: list[Point]) -> None:
    steps = {name: point.step for point in sorted(points, key=lambda p: (p.step, p.time)) for name in point.numbers}
    metrics = []
    for own in wrong:
        if own.kind == "metrics":
            latest = max((has.timestamp for has in client.get_metric_history(run_id, own.name)), default=0)
            later = max(time.time_ns() // 1_000_000, latest + 1)
            metrics.append(Metric(own.name, float(own.true), later, steps[own.name]))
    tags = [RunTag(own.name, str(own.true)) for own in wrong if own.kind == "tags"]
    client.log_batch(run_id, metrics=metrics, tags=tags)


def _replace(client: MlflowClient, experiment_id: str, run_folder: RunFolder, old: Run) -> str:
    """Create a new run from a folder, with the sweeps' tags of the old one; delete the old one; return the new id."""
    own, tags = old.info.run_id, old.data.tags
    if not (run_folder.folder / MODEL).exists():
        _bring_model(client, old, run_folder)
    client.delete_tag(own, TOKEN)  # this run is not found any more, even if the next calls fail
    client.set_tag(own, KIND, REPLACED)
    new = upload_run(client, experiment_id, run_folder, tags.get(PARENT))
    for name in tags:
        if name.startswith(ALSO):
            client.set_tag(new, name, tags[name])
    forget_model(client, old)
    client.update_run(own, name=f"{REPLACED} by {new}")
    client.delete_run(own)
    run_folder.note(run_id=new)
    return new


def _bring_model(client: MlflowClient, run: Run, run_folder: RunFolder) -> None:
    """Copy the weights back from a run that has them, if they are unchanged."""
    prefix = f"{MODEL}/"
    files = (run_folder.record() or {}).get("files", {})
    left = {name.removeprefix(prefix): own for name, own in files.items() if name.startswith(prefix)}
    if not left:
        return
    with fetched(client, weights_uri(client, run)) as folder:
        if unlike(folder, left) is None:
            shutil.copytree(folder, run_folder.folder / MODEL)
        else:
            log.warning(
                "run %s: the weights in the store are not those that the run left; they stay behind", run.info.run_id
            )
