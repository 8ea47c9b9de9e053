"""The log of a sweep: which of its jobs began, and how they ended, in order of time.

Enters: the numbers and overrides of jobs, and their outcomes. Leaves: `<output_dir>/crashes/<sweep>.jsonl`, and from it
the outcomes again. It is a file because the jobs may run on several machines, and because a launcher may lose what it
knows before the leading process of the sweep gets it. A repeated crash stops the remaining jobs.
"""

import json
import time
from collections.abc import Collection, Mapping
from contextlib import suppress
from os import SEEK_END, SEEK_SET
from pathlib import Path
from typing import Any

from bertlab.tracking.files import DAMAGE, refusing
from bertlab.tracking.result import Outcome, RunResult

MOST = 3  # consecutive jobs that may end with the same error
HEAD = 1 << 12  # bytes, enough for the first note
TAIL = 1 << 18  # bytes: each of possibly thousands of jobs reads the last notes of its sweep


def span(seconds: float) -> str:
    """Write a time in a readable unit: 40 s, 12 min, 3.5 h."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 3600 else f"{seconds / 3600:.1f} h"


class SweepLog:
    """The notes of one sweep."""

    def __init__(self, output_dir: str | Path, sweep: str) -> None:
        self._path = Path(output_dir) / "crashes" / f"{sweep}.jsonl"
        self._ends = self._path.with_suffix(".ended")  # a byte for each job that ended

    def expect(self, jobs: int) -> None:
        """Note the number of launched jobs and the time."""
        self._add({"expected": jobs, "time": time.time()})

    def progress(self) -> str:
        """Return how many of the expected jobs have ended and how long the rest may take, at the pace so far.

        Only the first note is read: each of possibly thousands of jobs calls this.
        """
        first = self._notes(HEAD, SEEK_SET)[:1]
        if not first or "expected" not in first[0]:
            return ""
        try:
            total, begun = int(first[0]["expected"]), float(first[0]["time"])
            ended = self._ends.stat().st_size if self._ends.is_file() else 0
        except DAMAGE:
            return ""
        ended = min(ended, total)  # a job that is launched again may end twice
        left = (time.time() - begun) / max(ended, 1) * (total - ended)
        return f"{ended} of {total} runs have ended{f', about {span(left)} left' if ended < total else ''}"

    def begin(self, job: int, overrides: Collection[str] = ()) -> None:
        """Note that a job begins. Raises InputError for a full disk, as `end` does."""
        self._add({"job": job, "overrides": list(overrides)})

    def end(self, job: int, outcome: Outcome) -> None:
        """Note how a job ended."""
        result = outcome.result.as_json() if outcome.result else None
        self._add({"job": job, "error": outcome.error, "result": result, "overrides": outcome.overrides})
        with refusing(self._ends), self._ends.open("ab") as file:
            file.write(b".")

    def outcomes(self, launched: Mapping[int, Collection[str]] | None = None) -> dict[int, Outcome | None]:
        """Return the jobs that began and how they ended, None for one without an outcome yet.

        `launched`: the overrides of each job. On a cluster jobs of an earlier command may go on, with other numbers.
        """
        found: dict[int, Outcome | None] = {}
        for note in self._notes():
            if "job" not in note or (
                launched is not None and set(launched.get(note["job"], ())) != set(note["overrides"])
            ):
                continue
            found[note["job"]] = _outcome(note) if "error" in note else found.get(note["job"])
        return found

    def repeated(self) -> str | None:
        """Return the error of the last jobs, if it is the same for all."""
        last = [note["error"] for note in self._notes(TAIL) if "error" in note][-MOST:]
        return last[0] if len(last) == MOST and len(set(last)) == 1 else None

    def forget(self) -> None:
        """Remove the notes."""
        for path in (self._path, self._ends):
            path.unlink(missing_ok=True)
        with suppress(OSError):  # it has notes of another sweep
            self._path.parent.rmdir()

    def _add(self, note: dict[str, object]) -> None:
        with refusing(self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a", encoding="utf-8") as file:
                file.write(f"\n{json.dumps(note)}\n")  # a killed job may have left half a line

    def _notes(self, most: int | None = None, end: int = SEEK_END) -> list[dict[str, Any]]:
        """Return the complete notes: all, or those in the last bytes of the file, or in the first (SEEK_SET)."""
        if not self._path.is_file():
            return []
        with self._path.open("rb") as file:
            if most and end == SEEK_END:
                file.seek(-min(most, self._path.stat().st_size), SEEK_END)
            lines = file.read(most).splitlines()
        found = []
        for line in lines:
            with suppress(ValueError, TypeError):
                found.append(dict(json.loads(line)))
        return found


def _outcome(note: Mapping[str, Any]) -> Outcome:
    result = RunResult.from_json(note["result"]) if note["result"] else None
    return Outcome(tuple(note["overrides"]), note["error"], result)
