"""A run's life: opened when its inputs are known to be good, fed with points, closed with its true status.

All of it is kept in the run's cell first; a store of MLflow, if there is one, is told by a thread of its own. Offline
MLflow is not even imported.
"""

import logging
import os
import shlex
import shutil
import sys
import tempfile
import time
import traceback
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from bertlab.cache import digest
from bertlab.errors import InputError
from bertlab.ledger.cell import CONFIG, FAILED, FINISHED, KILLED, MODEL, POINTS, TRACEBACK, Cell, checkpoints
from bertlab.ledger.checkpoint import Checkpoint, newest_checkpoint, save_checkpoint
from bertlab.ledger.files import refusing, write_whole
from bertlab.ledger.points import Mark, Points, holds
from bertlab.tracking.description import KIND, OUTCOME, PARENT, TEXT_LIMIT, Dataset, Description
from bertlab.tracking.sender import Sender

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient
    from torch import Tensor

__all__ = ["KIND", "OUTCOME", "PARENT", "TEXT_LIMIT", "Dataset", "Description", "RunLog", "Tracker", "closing"]
log = logging.getLogger(__name__)

REACH_SECONDS = 5.0  # a server that does not answer within this is taken to be absent
PATIENCE = {FINISHED: 30.0, FAILED: 10.0, KILLED: 5.0}  # seconds that a run waits at its end for its points to arrive
BUSY_SECONDS = 30.0  # a store that is locked or restarting is tried again for so long at the start of a run
SYNC = "python -m bertlab.sync"
REUSE = ("same", "any")


class Tracker:
    """Opens runs in one MLflow experiment, or offline."""

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
        offline: bool = False,
        reuse: str = "same",
    ) -> None:
        if not experiment or not isinstance(experiment, str):
            raise InputError(f"tracking.experiment must be a name, got {experiment!r}; choose for example bertlab")
        for key, value in {"weights": weights, "offline": offline}.items():
            if not isinstance(value, bool):
                raise InputError(f"tracking.{key} must be true or false, got {value}; choose one")
        if reuse not in REUSE:
            raise InputError(f"tracking.reuse must be {' or '.join(REUSE)}, got {reuse}; choose one")
        self.weights, self.offline, self.reuse, self.study, self.arm = weights, offline, reuse, study, arm
        self.uri = str(uri or os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{Path.cwd() / 'mlflow.db'}")
        self.experiment, self.parent, self.factors, self.baseline = experiment, parent, list(factors), baseline

    def connect(self) -> "MlflowClient":
        """Return a client of a store that answers. Raises InputError at once where none does."""
        if self.uri.startswith(("http://", "https://")):
            _reach(self.uri)
        elif self.uri.startswith("sqlite:///"):
            _writable(Path(self.uri.removeprefix("sqlite:///")))
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")  # the sender has a patience of its own
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")
        os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")  # a run ends with lines of its own
        from mlflow.tracking import MlflowClient

        logging.getLogger("mlflow.store.db.utils").setLevel(logging.WARNING)  # it announces that it makes its tables
        try:
            if self.uri.startswith("sqlite:///"):
                _make_whole(Path(self.uri.removeprefix("sqlite:///")))
            client = MlflowClient(tracking_uri=self.uri)
            client.search_experiments(max_results=1)
        except Exception as error:  # every back end raises its own kind
            raise InputError(f"tracking.uri must name an MLflow store, got {self.uri}: {_line(error)}") from error
        return client

    def experiment_id(self, client: "MlflowClient") -> str:
        """Return the experiment's id; it is made on first use, beside the database where that is a local file."""
        from mlflow.exceptions import MlflowException

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

    @property
    def place(self) -> str:
        """What tells this experiment of this store from others, without the password that a URI may hold."""
        return digest(self.uri, self.experiment)

    def where(self, output_dir: str | Path) -> str:
        """Return the line that shows where to look at the runs."""
        if self.offline:
            return f"offline:   {SYNC} from={shlex.quote(str(output_dir))} brings the runs into a store"
        return f"MLflow UI: {ui_command(self.uri)}"

    def start(self, client: "MlflowClient", name: str, tags: Mapping[str, str]) -> str:
        """Create a run and return its id."""
        own = {key: value[:TEXT_LIMIT] for key, value in tags.items()}
        parent = {PARENT: self.parent} if self.parent else {}
        run = client.create_run(self.experiment_id(client), run_name=name, tags={**own, **parent})
        return str(run.info.run_id)

    @contextmanager
    def run(self, description: Description, cell: Cell | None = None) -> Iterator["RunLog"]:
        """Open a run, and close it as FINISHED, KILLED (interrupt, termination) or FAILED (with the traceback).

        Hold the cell's lock meanwhile; without a cell the run keeps nothing on disk.
        """
        with ExitStack() as stack:
            cell = cell or Cell(Path(stack.enter_context(tempfile.TemporaryDirectory())))
            own = cell.state().get("description") or _plain(description)  # a run that goes on stays what it was
            cell.begin(description=own, place=self.place, experiment=self.experiment, parent=self.parent)
            write_whole(cell.folder / CONFIG, description.config)
            points = Points(cell.folder / POINTS)
            stack.callback(points.close)
            sender = None if self.offline else self._sender(cell, points)
            run = RunLog(cell, points, sender)
            status = FAILED
            try:
                yield run
                status = FINISHED
            except (KeyboardInterrupt, SystemExit):
                status = KILLED
                raise
            except Exception:
                with suppress(InputError):  # a disk that is full has no room for this either
                    write_whole(cell.folder / TRACEBACK, traceback.format_exc())
                raise
            finally:
                run.close(status)

    def _sender(self, cell: Cell, points: Points) -> Sender:
        """Open the cell's run in the store and return the thread that feeds it. Raises what the store raises."""
        from bertlab.tracking.delivery import Delivery

        client = self.connect()
        way = Delivery(client, patiently(lambda: self.experiment_id(client)), cell)
        cell.note(run_id=patiently(lambda: way.open(self.parent)))
        sender = Sender(way, points.points, doubtful=bool(points.points))
        sender.start()
        return sender


@dataclass(frozen=True)
class RunLog:
    """Where a run's numbers and its state go."""

    cell: Cell
    points: Points
    sender: Sender | None

    @property
    def run_id(self) -> str:
        """The id in the store; offline the run's own token."""
        state = self.cell.state()
        return str(state.get("run_id") or state["token"])

    @property
    def name(self) -> str:
        """The run's name."""
        return str(self.cell.state()["description"]["name"])

    def log(self, step: int, numbers: Mapping[str, float]) -> None:
        """Keep a point, unless it is there already, and have it sent."""
        point = self.points.add(step, numbers)
        if point and self.sender:
            self.sender.add(point)

    def flush(self) -> None:
        """Wait until what was logged has arrived, for some time."""
        if self.sender:
            self.sender.flush(PATIENCE[FINISHED])

    def tag(self, key: str, value: str) -> None:
        """Set a tag; it arrives when the run ends."""
        self.cell.note(tags={**self.cell.state().get("tags", {}), key: value})

    def save(self, step: int, tensors: "Mapping[str, Tensor]", counters: Mapping[str, Any]) -> None:
        """Write a checkpoint, after everything that it stands on."""
        about = {"key": self.cell.key, "code": self.cell.code, "run_id": self.run_id, "counters": dict(counters)}
        mark = vars(self.points.sync())
        save_checkpoint(self.cell.folder, Checkpoint(step, tensors, {**about, "points": mark}))

    def saved(self) -> Checkpoint | None:
        """Return the newest checkpoint that can be trusted, if there is one."""
        return newest_checkpoint(self.cell.folder, self._fault)

    def _fault(self, about: Mapping[str, Any]) -> str | None:
        if (about["key"], about["code"]) != (self.cell.key, self.cell.code):
            return "it belongs to another run"
        if not holds(self.points.path, Mark(**about["points"])):
            return "points that it stands on are gone"
        return None

    def finish(self, outcome: str, *, diverged: bool) -> None:
        """Write the record: from here on the run is finished. Its checkpoints are needed no more."""
        self.cell.finish(self.points.sync(), outcome=outcome, diverged=diverged)
        with refusing(self.cell.folder):
            for path in checkpoints(self.cell.folder):
                path.unlink()

    def close(self, status: str) -> None:
        """Note how the run ended, here and in the store; what cannot be sent stays here, and is said to."""
        try:
            self.cell.end(status)
        finally:
            if self.sender and self.sender.finish(PATIENCE[status]):
                shutil.rmtree(self.cell.folder / MODEL, ignore_errors=True)  # the store has it now
            elif self.sender:
                output_dir = shlex.quote(str(self.cell.folder.parents[1]))
                log.warning("the store did not take all of the run; when it is back, type %s from=%s", SYNC, output_dir)


def _plain(description: Description) -> dict[str, Any]:
    return {name: value for name, value in asdict(description).items() if name != "config"}


def patiently(attempt: Callable[[], str]) -> str:
    """Return what the attempt returns; try again while the store is locked or restarting. Raises InputError."""
    started, pause = time.monotonic(), 0.2
    while True:
        try:
            return attempt()
        except Exception as error:  # every back end raises its own kind
            if time.monotonic() - started > BUSY_SECONDS:
                raise InputError(f"tracking.uri must name a store that takes runs, got: {_line(error)}") from error
            time.sleep(pause)
            pause = min(2 * pause, 5.0)


@contextmanager
def closing(client: "MlflowClient", run_id: str) -> Iterator[None]:
    """Set the true status of a run that has no cell, as a sweep's, however the block ends."""
    status = FAILED
    try:
        yield
        status = FINISHED
    except (KeyboardInterrupt, SystemExit):
        status = KILLED
        raise
    except Exception:
        _try(lambda: client.log_text(run_id, traceback.format_exc(), TRACEBACK))
        raise
    finally:
        _try(lambda: client.set_terminated(run_id, status))


def _try(attempt: Callable[[], None]) -> None:
    """Tell the store something, if it is there: what went wrong before is worth more than this."""
    try:
        attempt()
    except Exception as error:  # every back end raises its own kind
        log.warning("the store cannot be reached: %s; type the same command again when it is back", _line(error))


def ui_command(uri: str) -> str:
    """Return the line that opens the MLflow UI on a store, with this environment's own Python."""
    if uri.startswith(("http://", "https://")):
        return f"open {uri}"
    return f"{sys.executable} -m mlflow ui --host 127.0.0.1 --backend-store-uri {shlex.quote(uri)}"


def _reach(uri: str) -> None:
    try:
        with urllib.request.urlopen(f"{uri.rstrip('/')}/health", timeout=REACH_SECONDS):
            pass
    except (urllib.error.URLError, OSError, ValueError) as error:
        raise InputError(
            f"tracking.uri must reach an MLflow server, got {uri}: {_line(error)}; start the server or leave "
            "tracking.uri and MLFLOW_TRACKING_URI unset to use a local file"
        ) from error


def _make_whole(database: Path) -> None:
    """Let a new database appear with all its tables: MLflow makes them one by one, without a lock of its own."""
    from mlflow.tracking import MlflowClient

    with FileLock(Path(tempfile.gettempdir()) / f"bertlab-{digest(str(database.resolve()))}.lock"):
        if database.exists() and database.stat().st_size:
            return
        with tempfile.TemporaryDirectory(dir=database.parent, prefix=".mlflow-") as folder:
            new = Path(folder) / database.name
            MlflowClient(tracking_uri=f"sqlite:///{new}").search_experiments(max_results=1)
            new.replace(database)


def _writable(database: Path) -> None:
    place = database if database.is_file() else database.parent
    if not (database.is_file() or place.is_dir()) or not os.access(place, os.W_OK):
        raise InputError(f"tracking.uri must be a database that can be written, got {database}; choose another folder")


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:300]
