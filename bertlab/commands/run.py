"""Train one run, a sweep or a study."""

import logging
import multiprocessing
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from bertlab.commands.ending import say
from bertlab.config.arguments import answer
from bertlab.config.building import build_part
from bertlab.config.cards import take_cards
from bertlab.config.compose import CONF, check, given, resolved, said, typed
from bertlab.config.error_messages import explain, one_line_errors
from bertlab.config.errors import InputError
from bertlab.config.importing import import_heavy
from bertlab.config.own import take_own
from bertlab.config.reading import MULTIRUN, check_command, written_out
from bertlab.config.redact import redacted
from bertlab.data.of_start import with_model
from bertlab.data.start_weights import with_start_folders
from bertlab.sweep.sweep_log import MOST, SweepLog
from bertlab.tracking.address import without_login
from bertlab.tracking.result import Outcome, TerminatedError

if TYPE_CHECKING:
    from bertlab.commands.ending import End

log = logging.getLogger(__name__)

LAUNCHED = (*MULTIRUN, "-r", "--run")  # Hydra flags for launched runs; the other flags only print something
MODES = ("study=", "hydra.mode=")  # words that may choose between one run and several runs
WATCH = "bertlab-parent"  # the thread's name
WATCH_SECONDS = 1.0  # between checks that the parent process is alive


def main(words: Sequence[str]) -> None:
    """Run the command."""
    signal.signal(signal.SIGTERM, _terminate)
    with one_line_errors(words):
        words = with_model(written_out(take_own(words)))
        check(words)
        answer(lambda: _help(words), words)
        check_command(words)
        words = [without_login(word) for word in words]
        if any(word.startswith("-") and word not in LAUNCHED for word in words):
            _shown_by_hydra(words)
        else:
            say(launch(with_start_folders(words)))


def _help(words: Sequence[str]) -> str:
    from bertlab.commands.run_help import help_text

    return help_text([word for word in words if not word.startswith("-")])


def launch(words: Sequence[str]) -> "End":
    """Compose and run one run, a sweep or a study. Return how it ended."""
    own = [word for word in words if word not in LAUNCHED]
    if any(word.startswith("hydra/sweeper=") for word in own):
        from bertlab.sweep.searching import engine_of, search

        if engine_of(own):
            return search(own, _search)
    with hydra.initialize_config_dir(version_base="1.3", config_dir=str(CONF), job_name="run"):
        composing = GlobalHydra.instance().hydra
        assert composing is not None
        mode = composing.get_mode("run", own) if any(word.startswith(MODES) for word in own) else None
        if set(MULTIRUN) & set(words):
            if mode == RunMode.RUN:
                raise InputError("-m and hydra.mode=RUN ask for two things; leave one of them out")
            own, mode = [*own, "hydra.mode=MULTIRUN"], RunMode.MULTIRUN
        several = mode == RunMode.MULTIRUN
        end: End = composing.multirun("run", job, own) if several else composing.run("run", job, own).return_value
        return end


def _search(words: list[str]) -> None:
    """Let the sweeper that the words choose launch its jobs."""
    with hydra.initialize_config_dir(version_base="1.3", config_dir=str(CONF), job_name="run"):
        composing = GlobalHydra.instance().hydra
        assert composing is not None
        composing.multirun("run", job, [*words, "hydra.mode=MULTIRUN"])


def _shown_by_hydra(words: Sequence[str]) -> None:
    """Let Hydra print a configuration or other information."""
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")  # Hydra then raises errors instead of printing them
    sys.argv[1:] = words  # Hydra reads the command line there
    hydra.main(version_base="1.3", config_path=str(CONF), config_name="run")(job)()


def job(config: DictConfig) -> Outcome:
    """Run one job. A single run raises its error. In a sweep, the error is the job's outcome and the others go on."""
    alone, overrides = HydraConfig.get().mode == RunMode.RUN, said()
    if alone:
        with _refused_without_trace(), one_line_errors(given(HydraConfig.get())):
            if config.get("study"):
                raise InputError("hydra.mode must be MULTIRUN for a study, got RUN; do not set it")
            from bertlab.train.early import check_card, check_early

            check_early([resolved(config)])
            check_card(resolved(config))
    import_heavy("bertlab.sweep.run")  # import late, so that configuration errors appear at once
    take_cards(config.trainer)
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _terminate)
    _end_with_parent()
    if alone:
        from bertlab.sweep.run import train

        with _refused_without_trace(), one_line_errors(given(HydraConfig.get())):
            tracker = build_part(resolved(config), "tracking")
            result = train(resolved(config), typed(config, overrides), tracker)
            return Outcome(tuple(overrides), result=result, where=tracker.where(config.output_dir))
    diary, number = SweepLog(config.output_dir, str(config.tracking.parent)), int(HydraConfig.get().job.num)
    if words := diary.repeated():
        return Outcome(tuple(overrides), f"{MOST} runs in a row ended with {words}", started=False)
    diary.begin(number, overrides)
    outcome = _outcome(config, overrides)
    diary.end(number, outcome)
    log.info("%s", diary.progress())
    return outcome


def _outcome(config: DictConfig, overrides: list[str]) -> Outcome:
    """Train a job of a sweep; an error becomes its outcome. Raises TerminatedError if only its own process must stop.

    Then the sweep goes on. If the sweep itself is told to stop, the request passes through.
    """
    from bertlab.sweep.run import train

    try:
        result = train(resolved(config), typed(config, overrides))
    except Exception as error:
        explained = explain(error, overrides)
        log.error("the run failed: %s", explained or "see below", exc_info=None if explained else error)
        return Outcome(tuple(overrides), explained or redacted(f"{type(error).__name__}: {error}"))
    except SystemExit as error:
        if multiprocessing.parent_process() is None or _is_orphan():
            raise
        raise TerminatedError(f"its process got a signal to stop (exit code {error.code})") from None
    finally:
        if _is_orphan():
            os._exit(128 + signal.SIGTERM)  # a pool worker would otherwise take the next job
    return Outcome(tuple(overrides), result=result)


@contextmanager
def _refused_without_trace() -> Iterator[None]:
    """Remove the folder that Hydra makes for every command, if it holds only Hydra's own files."""
    try:
        yield
    except SystemExit:
        folder = Path(HydraConfig.get().runtime.output_dir)
        if {path.name for path in folder.iterdir()} <= {".hydra"}:
            shutil.rmtree(folder)
            with suppress(OSError):  # keep a folder with other files
                folder.parent.rmdir()
                folder.parents[1].rmdir()
        raise


def _terminate(signum: int, _: object) -> None:
    raise SystemExit(128 + signum)


def _end_with_parent() -> None:
    """Close the run and end this pool worker if the process that leads the sweep dies.

    A killed process cannot tell its workers. Without this they would continue to train.
    """
    if multiprocessing.parent_process() and WATCH not in (thread.name for thread in threading.enumerate()):
        threading.Thread(target=_watch, name=WATCH, daemon=True).start()


def _watch() -> None:
    while not _is_orphan():
        time.sleep(WATCH_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)


def _is_orphan() -> bool:
    parent = multiprocessing.parent_process()  # None if no pool started this process
    return parent is not None and parent.pid != os.getppid()
