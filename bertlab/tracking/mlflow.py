"""The tracker: the tracking section of the configuration -> runs, opened after their inputs are known to be good.

A run is first kept in its folder. If there is an MLflow store, a separate thread sends the run to it. Offline, MLflow
is not even imported.
"""

import json
import logging
import os
import tempfile
import traceback
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar, Unpack

from bertlab.config.cache import digest
from bertlab.config.errors import InputError, one_of, own, true_or_false
from bertlab.config.redact import redacted, shown
from bertlab.tracking import connection
from bertlab.tracking.address import address, charts, chosen, page, ui_command
from bertlab.tracking.connection import LONGEST_NAME
from bertlab.tracking.description import PARENT, RESTARTS, Description, log_source, source_tags
from bertlab.tracking.files import write_whole
from bertlab.tracking.loggers import OtherLoggers, check_command, check_loggers, run_command
from bertlab.tracking.metrics import MetricsFile
from bertlab.tracking.retry import away, line, needing, patiently
from bertlab.tracking.run_folder import CONFIG, FAILED, FINISHED, KILLED, ORIGIN, POINTS, TRACEBACK, UNSENT, RunFolder
from bertlab.tracking.run_log import RunLog, sync_command
from bertlab.tracking.system_metrics import check_system_metrics, watched
from bertlab.tracking.upload_thread import UploadThread

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

__all__ = ["Tracker", "patiently"]

log = logging.getLogger(__name__)
Answer = TypeVar("Answer")

EXPERIMENT = "bertlab"  # default, if neither the configuration nor MLflow's variable names another
REUSE = ("same", "code", "any")


class Place(TypedDict, total=False):
    """The place of a run in a sweep or a study, set by these; it becomes part of the run's description."""

    parent: str | None
    factors: Sequence[str]
    baseline: bool | None
    study: str | None
    arm: str | None


class Tracker:
    """Opens runs in one MLflow experiment, or offline."""

    def __init__(
        self,
        *,
        uri: str | None,
        experiment: str | None,
        weights: bool = True,
        offline: bool = False,
        reuse: str = "same",
        also: Sequence[str] = (),
        on_end: str | None = None,
        system_metrics: bool = False,
        **place: Unpack[Place],
    ) -> None:
        experiment = os.environ.get("MLFLOW_EXPERIMENT_NAME") or EXPERIMENT if experiment is None else experiment
        if not isinstance(experiment, str) or not 0 < len(experiment) <= LONGEST_NAME:
            got = f"one of {len(experiment)}" if isinstance(experiment, str) and experiment else repr(experiment)
            raise InputError(
                f"{own('experiment')} must be a name of at most {LONGEST_NAME} characters, got {got}; choose for "
                "example bertlab"
            )
        self.weights, self.offline = true_or_false("weights", weights), true_or_false("offline", offline)
        self.system_metrics = check_system_metrics(system_metrics, self.offline)
        self.reuse = one_of("reuse", reuse, REUSE)
        self._also, self._on_end = check_loggers(also), check_command(on_end)
        if unknown := sorted(place.keys() - Place.__annotations__.keys()):
            raise InputError(f"{own(unknown[0])} is not a key of this part; leave it out")
        self.is_tracked = not offline  # whether a store gets the runs in the end
        self.uri = chosen(uri)
        self.experiment, self.parent = experiment, place.get("parent")
        self._seen_id: str | None = None  # id of the experiment, for the link to its runs

    def look(self) -> None:
        """Raise InputError if the store does not accept runs. Does not create an absent local store.

        A run of a sweep or a study goes on without a store that was there when its command began.
        """
        if self.offline:
            return
        if self.parent:
            self.or_offline(self.ready, lambda: None)
        elif connection.is_there(self.uri):
            self.ready()
        else:
            connection.look(self.uri)

    def connect(self) -> "MlflowClient":
        """Return a client of a store that answers. Raises InputError at once if it does not."""
        return connection.connect(self.uri)

    def existing(self) -> "MlflowClient":
        """Return a client of an existing store. Raises InputError."""
        if not connection.is_there(self.uri):
            raise InputError(
                f"uri must name a store that holds runs, got {shown(self.uri)}; go to its folder or name another"
            )
        return self.connect()

    def ready(self) -> "MlflowClient":
        """Return a client of a store that accepts runs of this experiment. Raises InputError at once if it does not."""
        client = self.connect()
        connection.check_experiment(client, self.uri, self.experiment)
        return client

    def or_offline(self, attempt: Callable[[], Answer], instead: Callable[[], Answer] | None = None) -> Answer:
        """Return the result of an attempt that needs the store.

        If the store is away during a sweep or a study, the run goes on offline and the result of `instead` is returned
        (default: the same attempt). The store gets what it missed later. Raises InputError for a single run.
        """
        if self.offline or not self.parent:
            with nullcontext() if self.offline else needing(self.uri):
                return attempt()
        try:
            return attempt()
        except away() as error:
            log.warning("the run goes on without its store: %s", line(error))
            self.offline = True
            return (instead or attempt)()

    def experiment_id(self, client: "MlflowClient") -> str:
        """Return the experiment's id; created at first use."""
        self._seen_id = connection.experiment_id(client, self.uri, self.experiment)
        return self._seen_id

    @property
    def place(self) -> str:
        """Hash of this experiment and its store, without the password that a URI may contain."""
        return digest(shown(self.uri), self.experiment)

    def where(self, output_dir: str | Path) -> str:
        """Return the lines that show where the runs can be seen; does not contact the store, which may be away."""
        if self.offline:
            return f"offline:   {sync_command(output_dir)} brings the runs into a store"
        store = address(self.uri)
        server = str(store) if store.is_served else None  # without user and password
        links = {"runs": page, "charts": charts} if self._seen_id else {}
        told = [f"\n{name + ':':<11}{link(server, str(self._seen_id))}" for name, link in links.items()]
        return "".join([f"MLflow UI: {ui_command(self.uri)}", *told])

    def start(self, client: "MlflowClient", name: str, tags: Mapping[str, str]) -> str:
        """Create a run and return its id. Retries for some time, then raises InputError."""
        from bertlab.tracking.retry import created

        token = uuid.uuid4().hex
        own = {**source_tags(), **tags, **({PARENT: self.parent} if self.parent else {})}
        return patiently(lambda: str(created(client, self.experiment_id(client), token, name, own).info.run_id))

    @contextmanager
    def run(self, description: Description, run_folder: RunFolder | None = None) -> Iterator[RunLog]:
        """Open a run, and close it as FINISHED, KILLED (interrupt, termination) or FAILED (with the traceback).

        The caller must hold the lock of the run's folder. Without a folder the run keeps nothing on disk.
        """
        with ExitStack() as stack:
            run_folder = run_folder or RunFolder(Path(stack.enter_context(tempfile.TemporaryDirectory())))
            before = run_folder.state()
            own = before.get("description") or _plain(description)  # a continued run keeps its description
            about = {"description": own, "place": self.place, "experiment": self.experiment, "parent": self.parent}
            run_folder.begin(**about, **_restarted(before))
            write_whole(run_folder.folder / CONFIG, description.config)
            write_whole(run_folder.folder / ORIGIN, json.dumps(description.origin, indent=1) + "\n")
            points = MetricsFile(run_folder.folder / POINTS)
            stack.callback(points.close)
            if self.is_tracked:
                (run_folder.folder / UNSENT).touch()
            sender = None if self.offline else self.or_offline(lambda: self._sender(run_folder, points), lambda: None)
            run = RunLog(
                run_folder,
                points,
                sender,
                OtherLoggers(self._also, run_folder, self.experiment) if self._also else None,
            )
            status = FAILED
            try:
                with watched(self.uri, run.run_id, sender) if sender and self.system_metrics else nullcontext():
                    yield run
                status = FINISHED
            except (KeyboardInterrupt, SystemExit):
                status = KILLED
                raise
            except Exception:
                with suppress(InputError):  # a full disk has no room for this either
                    write_whole(run_folder.folder / TRACEBACK, redacted(traceback.format_exc()))
                raise
            finally:
                run.close(status)
                if self._on_end:
                    run_command(self._on_end, run_folder, str(run_folder.state()["status"]))

    def _sender(self, run_folder: RunFolder, points: MetricsFile) -> UploadThread | None:
        """Open the run of a folder in the store and return its upload thread. Raises the errors of the store."""
        from bertlab.tracking.upload import RunUpload

        client = self.connect()
        upload = RunUpload(client, patiently(lambda: self.experiment_id(client)), run_folder, source_tags())
        run_folder.note(run_id=patiently(lambda: upload.open(self.parent)))
        patiently(lambda: log_source(client, upload.run_id))
        sender = UploadThread(upload, points.points, doubtful=bool(points.points))
        sender.start()
        return sender


def _restarted(before: Mapping[str, Any]) -> dict[str, Any]:
    """Return the tags of a restarted run, whose process ended without a result; empty for the first start."""
    if "description" not in before:
        return {}
    tags = dict(before.get("tags", {}))
    return {"tags": {**tags, RESTARTS: str(int(tags.get(RESTARTS, 0)) + 1)}}


def _plain(description: Description) -> dict[str, Any]:
    return {name: value for name, value in asdict(description).items() if name not in ("config", "origin")}
