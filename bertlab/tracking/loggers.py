"""Other loggers of a run: Lightning's loggers in addition to MLflow, and the user's command at the end of the run.

Enters: every point that a run keeps, and the final status. Leaves: files of TensorBoard or W&B, which contact no
server. The command gets BERTLAB_RUN_FOLDER, BERTLAB_RUN_STATUS (FINISHED, FAILED or KILLED) and BERTLAB_RUN_NAME in its
environment, and from the environment of this process only the variables in KEPT: no password and no token. It runs
without a shell.

An error of a logger or of the command gives a warning and does not stop the run.
"""

import logging
import os
import re
import shlex
import subprocess
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from subprocess import DEVNULL, PIPE
from typing import Any

from bertlab.config.errors import InputError, own
from bertlab.config.redact import redacted
from bertlab.tracking.metrics import Point
from bertlab.tracking.run_folder import FINISHED, RunFolder

log = logging.getLogger(__name__)

LOOSE = re.compile(r"[^\w.=,+-]+")  # characters not allowed in a folder's name
LONGEST = 100  # characters of a run's name in a folder's name
KEPT = ("PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "VIRTUAL_ENV")
COMMAND_SECONDS = 60.0  # time limit of a command


def tensorboard(run_folder: RunFolder, folder: Path, project: str) -> Any:
    """Return a logger that writes event files to `<output_dir>/tensorboard/<name of the run>/<cell>`."""
    from pytorch_lightning.loggers import TensorBoardLogger

    name = LOOSE.sub("_", run_folder.state()["description"]["name"])[:LONGEST]
    return TensorBoardLogger(folder / "tensorboard", name=name, version=run_folder.folder.name)


def wandb(run_folder: RunFolder, folder: Path, project: str) -> Any:
    """Return a logger that writes `<output_dir>/wandb` offline; `wandb sync` uploads it."""
    os.environ.setdefault("WANDB_SILENT", "true")
    from pytorch_lightning.loggers import WandbLogger
    from wandb import Settings

    state = run_folder.state()
    quiet = Settings(console="off", disable_git=True, disable_code=True, x_disable_stats=True, silent=True)
    place = folder / "wandb"
    place.mkdir(parents=True, exist_ok=True)
    return WandbLogger(
        project=project,
        name=state["description"]["name"],
        id=state["token"],
        save_dir=folder,
        offline=True,
        settings=quiet,
    )


LOGGERS: Mapping[str, Callable[[RunFolder, Path, str], Any]] = {"tensorboard": tensorboard, "wandb": wandb}


def check_loggers(names: object) -> tuple[str, ...]:
    """Return the names of trackers, if each is known and its package is installed. Raises InputError."""
    if isinstance(names, str) or not isinstance(names, Sequence) or (set(names) - LOGGERS.keys()):
        raise InputError(f"{own('also')} must list some of {', '.join(LOGGERS)}, got {names}; write also=[tensorboard]")
    for name in names:
        if find_spec(name) is None:
            raise InputError(
                f"{own('also')} must name trackers that are installed, got {name}; type pip install "
                f"'bertlab-ablations[{name}]', or leave it out"
            )
    return tuple(dict.fromkeys(names))


class OtherLoggers:
    """The trackers of one run other than MLflow."""

    def __init__(self, names: Sequence[str], run_folder: RunFolder, project: str) -> None:
        self._loggers = dict[str, Any]()
        for name in names:
            self._attempt(name, self._open, name, run_folder, project)

    def log(self, point: Point) -> None:
        """Send a point to all of them."""
        for name, logger in [*self._loggers.items()]:
            self._attempt(name, logger.log_metrics, dict(point.numbers), point.step)

    def close(self, status: str) -> None:
        """Let all of them write their buffers and the final status."""
        for name, logger in [*self._loggers.items()]:
            self._attempt(name, _close, logger, status)

    def _open(self, name: str, run_folder: RunFolder, project: str) -> None:
        logger = LOGGERS[name](run_folder, run_folder.folder.parents[1], project)
        logger.log_hyperparams(dict(run_folder.state()["description"]["params"]))
        self._loggers[name] = logger

    def _attempt(self, name: str, attempt: Callable[..., None], *arguments: Any) -> None:
        try:
            attempt(*arguments)
        except Exception as error:  # each tracker raises its own types
            self._loggers.pop(name, None)
            log.warning("%s is left out from here on: %s", name, " ".join(str(error).split())[:200])


def _close(logger: Any, status: str) -> None:
    logger.save()
    logger.finalize("success" if status == FINISHED else "failed")
    if finish := getattr(logger.experiment, "finish", None):  # W&B has a process of its own
        finish(exit_code=int(status != FINISHED))


def check_command(command: object) -> list[str]:
    """Return the words of a command, empty for null. Raises InputError."""
    if command is None:
        return []
    try:
        words = shlex.split(command) if isinstance(command, str) else []
    except ValueError:
        words = []
    if not words:
        raise InputError(
            f"{own('on_end')} must be a command, got {command}; write for example on_end='python notify.py'"
        )
    return words


def run_command(words: list[str], run_folder: RunFolder, status: str) -> None:
    """Run a command for an ended run. If it fails or takes too long, log a warning."""
    about = {
        "BERTLAB_RUN_FOLDER": str(run_folder.folder.resolve()),
        "BERTLAB_RUN_STATUS": status,
        "BERTLAB_RUN_NAME": run_folder.state()["description"]["name"],
    }
    environment = {name: os.environ[name] for name in KEPT if name in os.environ} | about
    try:
        done = subprocess.run(
            words,
            env=environment,
            stdin=DEVNULL,
            stdout=DEVNULL,
            stderr=PIPE,
            timeout=COMMAND_SECONDS,
            text=True,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        log.warning("tracking.on_end did not run: %s", redacted(str(error)))
        return
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it says nothing"])[-1]
        log.warning("tracking.on_end failed with exit code %s: %s", done.returncode, redacted(last))
