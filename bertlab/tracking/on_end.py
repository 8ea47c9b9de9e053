"""A command of one's own at the end of a run, such as one that sends a message.

It gets BERTLAB_RUN_FOLDER, BERTLAB_RUN_STATUS (FINISHED, FAILED or KILLED) and BERTLAB_RUN_NAME in its environment, and
of the environment of this process what KEPT names: no password and no token. No shell reads it.
"""

import logging
import os
import shlex
import subprocess
from subprocess import DEVNULL, PIPE

from bertlab.config.errors import InputError, own
from bertlab.config.redact import redacted
from bertlab.ledger.run_folder import Cell

log = logging.getLogger(__name__)

KEPT = ("PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "VIRTUAL_ENV")
SECONDS = 60.0  # that a command may take


def check_command(command: object) -> list[str]:
    """Return the words of a command, none for null. Raises InputError."""
    if command is None:
        return []
    try:
        words = shlex.split(command) if isinstance(command, str) else []
    except ValueError:
        words = []
    if not words:
        raise InputError(f"{own('on_end')} must be a command, got {command}; write for example on_end='python told.py'")
    return words


def run_command(words: list[str], cell: Cell, status: str) -> None:
    """Run a command for a run that has ended. One that fails, or takes too long, costs a line."""
    about = {
        "BERTLAB_RUN_FOLDER": str(cell.folder.resolve()),
        "BERTLAB_RUN_STATUS": status,
        "BERTLAB_RUN_NAME": cell.state()["description"]["name"],
    }
    environment = {name: os.environ[name] for name in KEPT if name in os.environ} | about
    try:
        done = subprocess.run(
            words, env=environment, stdin=DEVNULL, stdout=DEVNULL, stderr=PIPE, timeout=SECONDS, text=True, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        log.warning("tracking.on_end did not run: %s", redacted(str(error)))
        return
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it says nothing"])[-1]
        log.warning("tracking.on_end failed with exit code %s: %s", done.returncode, redacted(last))
