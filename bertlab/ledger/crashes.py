"""How the runs of a sweep ended, in the order in which they did: a crash that repeats itself stops what is left.

A file, because the runs may be processes on several machines.
"""

import json
from contextlib import suppress
from pathlib import Path

from bertlab.ledger.files import refusing

MOST = 3  # runs in a row that may end with the same words


class Crashes:
    """The ends of one sweep's runs."""

    def __init__(self, output_dir: str | Path, sweep: str) -> None:
        self._path = Path(output_dir) / "crashes" / f"{sweep}.jsonl"

    def note(self, error: str | None) -> None:
        """Note the end of a run; None: it ended well."""
        with refusing(self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(error) + "\n")

    def repeated(self) -> str | None:
        """Return the words with which the last runs all ended, if they are the same."""
        last = self._path.read_text(encoding="utf-8").splitlines()[-MOST:] if self._path.is_file() else []
        same = len(last) == MOST and len(set(last)) == 1
        return json.loads(last[0]) if same else None

    def forget(self) -> None:
        """Remove the notes."""
        self._path.unlink(missing_ok=True)
        with suppress(OSError):  # another sweep's notes are there
            self._path.parent.rmdir()
