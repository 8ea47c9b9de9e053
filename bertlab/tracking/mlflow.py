"""A run's life in MLflow: opened when its inputs are known to be good, fed with points, closed with its true status."""

import logging
import os
import shlex
import sys
import time
import traceback
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from bertlab.errors import InputError

FLUSH_SECONDS = 5.0  # points wait at most this long before they are sent
LEAD_SECONDS = 60.0  # the first ones wait for the outcome, at most this long, so that it is sent first
REACH_SECONDS = 5.0  # a server that does not answer within this is taken to be absent
PARENT, KIND = "mlflow.parentRunId", "bertlab.kind"
OUTCOME = "eval/mlm_loss"  # MLflow compares runs by the metric that they sent first, until told otherwise
TEXT_LIMIT = 5000  # characters of a tag or parameter


@dataclass(frozen=True)
class Description:
    """What a run is, for the people who will look at it."""

    name: str
    params: Mapping[str, str]  # the factors and the few settings that identify a run at a glance
    tags: Mapping[str, str]
    config: str  # the full configuration, YAML
    data: Dataset


class Tracker:
    """Opens runs in one MLflow experiment."""

    def __init__(
        self,
        *,
        uri: str | None,
        experiment: str,
        parent: str | None = None,
        factors: Sequence[str] = (),
        baseline: bool | None = None,
        study: str | None = None,
        arm: str | None = None,
        weights: bool = True,
    ) -> None:
        if not experiment or not isinstance(experiment, str):
            raise InputError(f"tracking.experiment must be a name, got {experiment!r}; choose for example bertlab")
        if not isinstance(weights, bool):
            raise InputError(f"tracking.weights must be true or false, got {weights}; choose one")
        self.weights, self.study, self.arm = weights, study, arm
        self.uri = str(uri or os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{Path.cwd() / 'mlflow.db'}")
        self.experiment, self.parent, self.factors, self.baseline = experiment, parent, list(factors), baseline

    def connect(self) -> MlflowClient:
        """Return a client of a store that answers. Raises InputError at once where none does."""
        if self.uri.startswith(("http://", "https://")):
            _reach(self.uri)
        elif self.uri.startswith("sqlite:///"):
            _writable(Path(self.uri.removeprefix("sqlite:///")))
        logging.getLogger("mlflow.store.db.utils").setLevel(logging.WARNING)  # it announces that it makes its tables
        try:
            client = MlflowClient(tracking_uri=self.uri)
            client.search_experiments(max_results=1)
        except Exception as error:  # every back end raises its own kind
            raise InputError(f"tracking.uri must name an MLflow store, got {self.uri}: {_line(error)}") from error
        return client

    def experiment_id(self, client: MlflowClient) -> str:
        """Return the experiment's id; it is made on first use, beside the database where that is a local file."""
        if found := client.get_experiment_by_name(self.experiment):
            return str(found.experiment_id)
        database = Path(self.uri.removeprefix("sqlite:///"))
        artifacts = (database.parent / "mlartifacts").as_uri() if self.uri.startswith("sqlite:///") else None
        try:
            return str(client.create_experiment(self.experiment, artifact_location=artifacts))
        except MlflowException:  # another process made it in the meantime
            if found := client.get_experiment_by_name(self.experiment):
                return str(found.experiment_id)
            raise

    def start(self, client: MlflowClient, name: str, tags: Mapping[str, str]) -> str:
        """Create a run and return its id."""
        own = {key: value[:TEXT_LIMIT] for key, value in tags.items()}
        parent = {PARENT: self.parent} if self.parent else {}
        run = client.create_run(self.experiment_id(client), run_name=name, tags={**own, **parent})
        return str(run.info.run_id)

    @contextmanager
    def run(self, description: Description) -> Iterator["RunLog"]:
        """Open a run, and close it as FINISHED, KILLED (interrupt, termination) or FAILED (with the traceback)."""
        client = self.connect()
        run_id = self.start(client, description.name, {KIND: "run", **description.tags})
        log = RunLog(client, run_id)
        with closing(client, run_id, log.flush):
            client.log_batch(
                run_id, params=[Param(key, value[:TEXT_LIMIT]) for key, value in description.params.items()]
            )
            client.log_inputs(run_id, [DatasetInput(description.data, [InputTag("mlflow.data.context", "training")])])
            client.log_text(run_id, description.config, "config.yaml")
            yield log


@contextmanager
def closing(client: MlflowClient, run_id: str, flush: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Set the run's true status however the block ends."""
    status = "FAILED"
    try:
        try:
            yield
        finally:
            flush()
        status = "FINISHED"
    except (KeyboardInterrupt, SystemExit):
        status = "KILLED"
        raise
    except Exception:
        client.log_text(run_id, traceback.format_exc(), "traceback.txt")
        raise
    finally:
        client.set_terminated(run_id, status)


@dataclass
class RunLog:
    """Where a run's numbers go. Points are sent together every few seconds."""

    client: MlflowClient
    run_id: str
    _waiting: list[Metric] = field(default_factory=list)
    _sent: float = field(default_factory=time.monotonic)
    _led: bool = False  # whether anything has been sent

    def log(self, step: int, numbers: Mapping[str, float]) -> None:
        """Keep a point, and send what waits when it has waited long enough."""
        now = int(time.time() * 1000)
        self._waiting += [Metric(key, value, now, step) for key, value in numbers.items()]
        patience = FLUSH_SECONDS if self._led or OUTCOME in numbers else LEAD_SECONDS
        if time.monotonic() - self._sent > patience:
            self.flush()

    def flush(self) -> None:
        """Send what waits, the outcome first."""
        self._waiting.sort(key=lambda metric: metric.key != OUTCOME)
        for start in range(0, len(self._waiting), 1000):  # MLflow takes 1000 metrics at once
            self.client.log_batch(self.run_id, metrics=self._waiting[start : start + 1000])
        self._waiting, self._sent, self._led = [], time.monotonic(), True

    def tag(self, key: str, value: str) -> None:
        """Set a tag."""
        self.client.log_batch(self.run_id, tags=[RunTag(key, value[:TEXT_LIMIT])])


def ui_command(uri: str) -> str:
    """Return the line that opens the MLflow UI on a store, with this environment's own Python."""
    if uri.startswith(("http://", "https://")):
        return f"open {uri}"
    return f"{sys.executable} -m mlflow ui --backend-store-uri {shlex.quote(uri)}"


def _reach(uri: str) -> None:
    try:
        with urllib.request.urlopen(f"{uri.rstrip('/')}/health", timeout=REACH_SECONDS):
            pass
    except (urllib.error.URLError, OSError, ValueError) as error:
        raise InputError(
            f"tracking.uri must reach an MLflow server, got {uri}: {_line(error)}; start the server or leave "
            "tracking.uri and MLFLOW_TRACKING_URI unset to use a local file"
        ) from error


def _writable(database: Path) -> None:
    place = database if database.is_file() else database.parent
    if not (database.is_file() or place.is_dir()) or not os.access(place, os.W_OK):
        raise InputError(f"tracking.uri must be a database that can be written, got {database}; choose another folder")


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:300]
