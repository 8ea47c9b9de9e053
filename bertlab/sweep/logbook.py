"""The logbook of a sweep: finds finished runs and writes the report, from MLflow or, offline, from the disk."""

import time
import uuid
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from bertlab.config.errors import InputError
from bertlab.sweep.unsent import bring_unsent
from bertlab.tracking.description import PARENT, SWEEP_KEY, TOKEN, Description, Identity, identity_of
from bertlab.tracking.files import sealed, write_whole
from bertlab.tracking.mlflow import Tracker
from bertlab.tracking.parent_runs import link_existing, seen_as
from bertlab.tracking.result import RunResult
from bertlab.tracking.reuse import (
    REUSED_HERE,
    as_reused,
    finished_folders,
    finished_runs,
    folder_identity,
    result_of,
    result_on_disk,
)
from bertlab.tracking.run_folder import FAILED, FINISHED, KILLED, RUNNING, SWEEP, UNSENT, RunFolder
from bertlab.tracking.run_log import BestEffort, closing_parent, sync_command

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from mlflow.entities import Run


class Logbook(Protocol):
    """What a sweep needs from its logbook."""

    parent: str
    tracker: Tracker

    def sweep(self, name: str, tags: Mapping[str, str]) -> "AbstractContextManager[str]":
        """Open the sweep's own entry, yield its id, and close it with the true status."""

    def tag(self, key: str, value: str) -> None:
        """Tag the open sweep's entry."""

    def finished(self, identities: Collection[Identity], reuse: str | None = None) -> dict[str, RunResult]:
        """Return the keys of the identities with finished runs, and the results of these runs.

        `reuse`: the rule for runs of other environments or code; by default the tracker's.
        """

    def adopt(self, descriptions: Mapping[str, Description]) -> None:
        """Link finished runs to this sweep, with the sweep's descriptions."""

    def report(self) -> Path:
        """Write the sweep's report and return its path."""


def open_logbook(tracker: Tracker, output_dir: str, folder: Path) -> Logbook:
    """Return the logbook of the sweep in `folder`. Raises InputError if the store does not answer."""
    return DiskLogbook(tracker, output_dir, folder) if tracker.offline else StoreLogbook(tracker, output_dir, folder)


class StoreLogbook:
    """A sweep in an MLflow store and on disk. If the store fails, it continues on disk."""

    def __init__(self, tracker: Tracker, output_dir: str, folder: Path) -> None:
        self.tracker, self.output_dir, self.folder = tracker, output_dir, folder
        self.client = tracker.ready()
        self.parent = ""
        self._runs: dict[str, Run] = {}
        self._disk = DiskLogbook(tracker, output_dir, folder)
        self._telling = BestEffort()

    @contextmanager
    def sweep(self, name: str, tags: Mapping[str, str]) -> Iterator[str]:
        """Open the parent run."""
        from bertlab.tracking.parent_runs import open_parent
        from bertlab.tracking.sweep_lock import leased

        with leased(self.tracker, self.client, tags[SWEEP_KEY]):
            self.parent = open_parent(self.tracker, self.client, name, tags, self.output_dir)
            self.client.set_tag(self.parent, TOKEN, self.parent)
            self.tracker.parent = self._disk.parent = self.parent
            remedy = sync_command(self.output_dir)
            try:
                with (
                    closing_parent(self.tracker.uri, self.parent, remedy) as self._telling,
                    self._disk.sweep(name, tags),
                ):
                    yield self.parent
            finally:
                if self._telling.failure:
                    write_whole(self.folder / UNSENT, self.tracker.place)

    def tag(self, key: str, value: str) -> None:
        """Tag the parent run."""
        self._disk.tag(key, value)
        self._telling(lambda: self.client.set_tag(self.parent, key, value))

    def finished(self, identities: Collection[Identity], reuse: str | None = None) -> dict[str, RunResult]:
        """Return the results that are finished in the store or on disk."""
        if not identities:
            return {}
        found = self._telling(lambda: finished_runs(self.tracker, self.output_dir, identities, reuse))
        if found is None:
            return self._disk.finished(identities, reuse)
        self._runs |= found
        wanted = {identity.key: identity for identity in identities}
        cells = finished_folders(self.output_dir, identities, reuse or self.tracker.reuse)
        return {key: result_of(run, cells.get(key), wanted[key]) for key, run in found.items()}

    def adopt(self, descriptions: Mapping[str, Description]) -> None:
        """Tag runs that another sweep made."""
        from bertlab.tracking.parent_runs import take_over

        self._disk.adopt(descriptions)
        for key in descriptions.keys() & self._runs.keys():
            run, seen = self._runs[key], seen_as(descriptions[key])
            if run.data.tags.get(PARENT) != self.parent:
                self._telling(partial(link_existing, self.client, self.parent, run, seen))
                self._telling(partial(take_over, self.client, self.parent, [run]))

    def report(self) -> Path:
        """Write the report, and attach it to the parent run.

        Raises InputError if the store failed and not all runs are on disk.
        """
        from bertlab.report.gather import report_sweep

        def attempt() -> Path:
            return report_sweep(self.client, self.client.get_run(self.parent), self.folder / "report", self.output_dir)

        self._telling(lambda: bring_unsent(self.tracker, self.output_dir))  # the store may answer again
        if made := self._telling(attempt):
            return made
        if self._runs.keys() - self._disk.cells.keys():
            raise InputError(
                f"tracking.uri must answer for a report of runs that are not in {self.output_dir}, got "
                f"{self._telling.failure}; type the same command again when the store is back"
            )
        return self._disk.report()


class DiskLogbook:
    """A sweep without a store: its folder keeps what `bertlab sync` uploads later."""

    def __init__(self, tracker: Tracker, output_dir: str, folder: Path) -> None:
        self.tracker, self.output_dir, self.folder = tracker, output_dir, folder
        self.parent = uuid.uuid4().hex
        self._about: dict[str, Any] = {}
        self.cells: dict[str, tuple[RunFolder, Description]] = {}

    @contextmanager
    def sweep(self, name: str, tags: Mapping[str, str]) -> Iterator[str]:
        """Write the sweep's entry to its folder."""
        now = time.time_ns() // 1_000_000
        about = {"name": name, "tags": dict(tags), "experiment": self.tracker.experiment, "started": now}
        self._note(id=self.parent, status=RUNNING, **about)
        status = FAILED
        try:
            yield self.parent
            status = FINISHED
        except (KeyboardInterrupt, SystemExit):
            status = KILLED
            raise
        finally:
            self._note(status=status, ended=max(time.time_ns() // 1_000_000, now))

    def tag(self, key: str, value: str) -> None:
        """Write the tag to the folder, for the later parent run."""
        self._note(tags={**self._about["tags"], key: value})

    def finished(self, identities: Collection[Identity], reuse: str | None = None) -> dict[str, RunResult]:
        """Return the results that are finished on disk."""
        wanted = {identity.key: identity for identity in identities}
        cells = finished_folders(self.output_dir, identities, reuse or self.tracker.reuse)
        return {key: as_reused(result_on_disk(cell), folder_identity(cell), wanted[key]) for key, cell in cells.items()}

    def adopt(self, descriptions: Mapping[str, Description]) -> None:
        """Write the list of the sweep's run folders; a run that is only in a store has none."""
        identities = [identity_of(description.tags) for description in descriptions.values()]
        cells = finished_folders(self.output_dir, identities, REUSED_HERE[self.tracker.reuse])
        self.cells |= {key: (cells[key], description) for key, description in descriptions.items() if key in cells}
        seen = {cell.folder.name: seen_as(described) for cell, described in self.cells.values()}
        self._note(cells=seen)

    def report(self) -> Path:
        """Write the report from the run folders."""
        from bertlab.report.gather import report_cells

        return report_cells(list(self.cells.values()), self._about, self.folder / "report")

    def _note(self, **fields: object) -> None:
        self._about |= fields
        write_whole(self.folder / SWEEP, sealed(self._about))
