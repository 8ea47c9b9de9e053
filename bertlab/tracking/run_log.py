"""The log of a run while it trains: where its numbers, checkpoints and status go; and the end of a parent run.

Enters: numbers, checkpoints, tags, and the final status. Leaves: files in the run's folder, and the same in a store. A
store may get them later, or not at all if it is away.
"""

import logging
import shlex
import shutil
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from bertlab.config.redact import redacted
from bertlab.tracking.connection import connect
from bertlab.tracking.files import refusing
from bertlab.tracking.loggers import OtherLoggers
from bertlab.tracking.metrics import Mark, MetricsFile, holds
from bertlab.tracking.retry import AwayError, away, line
from bertlab.tracking.run_folder import FAILED, FINISHED, KILLED, MODEL, TRACEBACK, UNSENT, RunFolder, checkpoints
from bertlab.tracking.upload_thread import UploadThread

if TYPE_CHECKING:  # reports import this module, and torch takes seconds
    from torch import Tensor

    from bertlab.tracking.checkpoint import Checkpoint

log = logging.getLogger(__name__)

PATIENCE = {
    FINISHED: 30.0,
    FAILED: 10.0,
    KILLED: 5.0,
}  # seconds that a run waits at its end for the upload of its points
SYNC = "bertlab sync"
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class RunLog:
    """Log of a run's numbers and its state."""

    cell: RunFolder
    points: MetricsFile
    sender: UploadThread | None
    also: OtherLoggers | None = None

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
        """Keep a point, unless it is there already, and send it."""
        point = self.points.add(step, numbers)
        if point and self.sender:
            self.sender.add(point)
        if point and self.also:
            self.also.log(point)

    def flush(self) -> None:
        """Wait until all logged points have arrived, up to a time limit."""
        if self.sender:
            self.sender.flush(PATIENCE[FINISHED])

    def tag(self, key: str, value: str) -> None:
        """Set a tag; it is sent when the run ends."""
        self.cell.note(tags={**self.cell.state().get("tags", {}), key: value})

    def save(self, step: int, tensors: "Mapping[str, Tensor]", counters: Mapping[str, Any]) -> None:
        """Write a checkpoint, after its points."""
        from bertlab.tracking.checkpoint import Checkpoint, save_checkpoint

        about = {**self.cell.made_by, "run_id": self.run_id, "counters": dict(counters)}
        mark = vars(self.points.sync())
        save_checkpoint(self.cell.folder, Checkpoint(step, tensors, {**about, "points": mark}))

    def saved(self) -> "Checkpoint | None":
        """Return the newest valid checkpoint, if there is one."""
        from bertlab.tracking.checkpoint import newest_checkpoint

        return newest_checkpoint(self.cell.folder, self._fault)

    def _fault(self, about: Mapping[str, Any]) -> str | None:
        if not self.cell.made_by.items() <= about.items():
            return "it belongs to another run"
        if not holds(self.points.path, Mark(**about["points"])):
            return "some of its points are missing"
        return None

    def finish(self, outcome: str, *, diverged: bool) -> None:
        """Write the record, which makes the run finished. Its checkpoints are no longer needed."""
        self.cell.finish(self.points.sync(), outcome=outcome, diverged=diverged)
        with refusing(self.cell.folder):
            for path in checkpoints(self.cell.folder):
                path.unlink()

    def close(self, status: str) -> None:
        """Record the final status, here and in the store; what cannot be sent stays here, with a warning."""
        try:
            if self.also:
                self.also.close(status)
            self.cell.end(status)
        finally:
            if self.sender and self.sender.finish(PATIENCE[status]):
                shutil.rmtree(self.cell.folder / MODEL, ignore_errors=True)  # the store has it now
                (self.cell.folder / UNSENT).unlink(missing_ok=True)
            elif self.sender:
                output_dir = self.cell.folder.parents[1]
                log.warning("the store did not take all of the run; when it is back, type %s", sync_command(output_dir))


def sync_command(output_dir: str | Path) -> str:
    """Return the command that uploads the runs of a folder to a store."""
    return f"{SYNC} from={shlex.quote(str(output_dir))}"


class BestEffort:
    """Sends values to a store, but does not stop the work if that fails: the first error is kept, not raised."""

    def __init__(self) -> None:
        self.failure = ""

    def __call__(self, attempt: Callable[[], Answer]) -> Answer | None:
        """Return the result of the attempt, None if the store is away."""
        try:
            return attempt()
        except away() as error:
            self.failure = self.failure or line(error)
            return None


@contextmanager
def closing_parent(uri: str, run_id: str, remedy: str) -> Iterator[BestEffort]:
    """Set the true status of a run without a folder, such as a sweep's, at any end of the block.

    If the store did not take everything that the block or its end sent, one line says so and gives the `remedy`.
    """
    telling, status, trace, is_said = BestEffort(), FAILED, "", False
    try:
        yield telling
        status = FINISHED
    except (KeyboardInterrupt, SystemExit):
        status = KILLED
        raise
    except AwayError:
        is_said = True  # in the line of the error
        raise
    except Exception:
        trace = redacted(traceback.format_exc())
        raise
    finally:
        telling(lambda: _end(uri, run_id, status, trace))
        if telling.failure and not is_said:
            log.warning(
                "the store went away, parent run %s is not complete there: %s; when it is back, type %s",
                *(run_id, telling.failure, remedy),
            )


def _end(uri: str, run_id: str, status: str, trace: str) -> None:
    client = connect(uri)  # a new client: it quickly checks whether the store answers
    client.set_terminated(run_id, status)
    if trace:
        client.log_text(run_id, trace, TRACEBACK)
