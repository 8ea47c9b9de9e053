"""Runs as jobs of Slurm, through the published plugin for submitit. Hydra imports every plugin at start: this is light.

The plugin runs a job on its node, in the folder and with the environment of the command. Waiting for jobs is done here:
the plugin stops at the first job that leaves no result, asks a queue only by its accounting (sacct), which not every
cluster keeps, and does not know jobs that an earlier command left in the queue.
"""

import json
import logging
import os
import signal
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from shutil import which
from subprocess import run
from typing import Any, TypedDict, Unpack

from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from bertlab.config.cache import digest
from bertlab.config.errors import InputError, at, whole_number
from bertlab.ledger.outcome import CancelledError, LostError

log = logging.getLogger(__name__)

Words = Sequence[str]
ENDED = frozenset(
    {"BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "TIMEOUT"}
)
PREEMPTED, GONE = "PREEMPTED", "GONE"  # ended where its partition does not requeue; no longer known to Slurm
NOTES = "jobs.jsonl"  # which job makes which run, for the next command
LATE = 15.0  # seconds that a file may need to be seen from another node
LOOKS = (2.0, 60.0)  # seconds between two questions to Slurm: at first, and at most


class Settings(TypedDict, total=False):
    """The keys of conf/hydra/launcher/slurm.yaml that submitit is given."""

    submitit_folder: str
    name: str
    timeout_min: int
    max_num_timeout: int
    signal_delay_s: int
    cpus_per_task: int
    mem_gb: float | None
    gpus_per_node: int | None
    partition: str | None
    account: str | None
    qos: str | None
    constraint: str | None
    array_parallelism: int


class SlurmLauncher(Launcher):
    """One job a run, in arrays of at most `array_size`."""

    is_elsewhere = True  # other machines than the one that plans have their own hardware
    CLUSTER = "slurm"
    PLUGIN = "SlurmLauncher"
    PLAIN = ("name", "timeout_min", "cpus_per_task", "mem_gb", "gpus_per_node")  # submitit's names for every cluster

    def __init__(self, *, array_size: int, **settings: Unpack[Settings]) -> None:
        with at("hydra.launcher"):
            self._size = whole_number("array_size", array_size, 1)
            for key in ("timeout_min", "cpus_per_task"):
                whole_number(key, settings.get(key), 1)
        if unknown := sorted(settings.keys() - Settings.__annotations__.keys()):
            raise InputError(f"hydra.launcher.{unknown[0]} is not a key of this launcher; leave it out")
        self._settings: dict[str, Any] = {key: value for key, value in settings.items() if value is not None}
        self._plugin = published(self.PLUGIN)
        self._queue = Queue()

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Take what the jobs need."""
        self._plugin.setup(hydra_context=hydra_context, task_function=task_function, config=config)

    def connect(self) -> None:
        """Raise InputError on a machine that cannot submit jobs."""
        if which("sbatch") is None:
            raise InputError(
                "hydra/launcher=slurm must run where Slurm's commands are, got no sbatch here; log in to a node of the "
                "cluster, or choose hydra/launcher=slurm_local"
            )

    def launch(self, job_overrides: Sequence[Words], initial_job_idx: int) -> list[Any]:
        """Return for each job what it returned, or the error that says how it was lost."""
        numbered = list(enumerate(job_overrides, initial_job_idx))
        back: list[Any] = []
        for start in range(0, len(numbered), self._size):
            jobs = self._jobs(numbered[start : start + self._size])
            with self._watched(jobs):
                back += [self._end_of(job) for job in jobs]
        return back

    def _jobs(self, numbered: Sequence[tuple[int, Words]]) -> list[Any]:
        """Return the job of each run: the one that an earlier command left in the queue, or a new one."""
        jobs = self._left([words for _, words in numbered])
        new = [(number, words) for number, words in numbered if run_of(words) not in jobs]
        if jobs:
            log.warning("%s of %s runs have a job in the queue already", len(numbered) - len(new), len(numbered))
        if new:
            submitted = self._submit(new)
            jobs |= {run_of(words): job for (_, words), job in zip(new, submitted, strict=True)}
            self._note([(run_of(words), job.job_id) for (_, words), job in zip(new, submitted, strict=True)])
        return [jobs[run_of(words)] for _, words in numbered]

    def _submit(self, numbered: Sequence[tuple[int, Words]]) -> list[Any]:
        """Submit new jobs as one array."""
        import submitit

        prefix = f"{self.CLUSTER}_"
        given = dict(self._settings)
        executor = submitit.AutoExecutor(
            folder=given.pop("submitit_folder"),
            cluster=self.CLUSTER,
            **{f"{prefix}max_num_timeout": given.pop("max_num_timeout")},
        )
        executor.update_parameters(
            stderr_to_stdout=True,
            **{key if key in self.PLAIN else f"{prefix}{key}": value for key, value in given.items()},
        )
        state = Singleton.get_state()
        jobs = [(list(words), "hydra.sweep.dir", number, f"job_{number}", state) for number, words in numbered]
        with outside_of_a_job():
            return list(executor.map_array(Job(self._plugin), *zip(*jobs, strict=True)))

    @property
    def _notes(self) -> Path:
        return Path(self._settings["submitit_folder"]).expanduser().absolute().parent / NOTES

    def _note(self, pairs: Sequence[tuple[str, str]]) -> None:
        with self._notes.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps({"run": name, "job": job}) + "\n" for name, job in pairs)

    def _left(self, wanted: Sequence[Words]) -> dict[str, Any]:
        """Return the jobs of some runs that are noted and still in the queue."""
        from submitit import SlurmJob

        lines = self._notes.read_text("utf-8").splitlines() if self._notes.is_file() else []
        noted = {str(note["run"]): str(note["job"]) for note in map(json.loads, lines)}
        noted = {name: noted[name] for name in map(run_of, wanted) if name in noted}
        states = self._queue.ask(noted.values()) if noted else {}
        folder = self._settings["submitit_folder"]
        living = {name: job for name, job in noted.items() if not is_over(states.get(job, GONE))}
        return {name: SlurmJob(folder=folder, job_id=job) for name, job in living.items()}

    def _end_of(self, job: Any) -> Any:
        """Wait for a job and return what it returned, or the error that says how it was lost."""
        from submitit.core.utils import pickle_load

        result: Path = job.paths.result_pickle
        while not seen(result):
            if is_over(state := self._state(job)):
                if state == "CANCELLED":
                    return CancelledError(f"its Slurm job {job.job_id} was cancelled")
                if not seen(result, LATE):
                    return LostError(f"its Slurm job {job.job_id} ended as {state}; see {job.paths.stdout}")
            time.sleep(0.5)
        how, what = pickle_load(result)
        if how == "success" and isinstance(what, JobReturn):
            return what
        return LostError(f"its Slurm job {job.job_id} failed: {str(what).strip().splitlines()[-1]}")

    def _state(self, job: Any) -> str:
        return self._queue.state(job.job_id)

    @contextmanager
    def _watched(self, jobs: Sequence[Any]) -> Iterator[None]:
        """Ask for jobs while the block runs; say of a command that is stopped that its jobs go on without it."""
        self._queue.watch(job.job_id for job in jobs)
        try:
            yield
        except (KeyboardInterrupt, SystemExit):
            ids = " ".join(sorted({job.job_id.partition("_")[0] for job in jobs}))
            log.warning("the jobs stay in the queue: the same command again waits for them, scancel %s ends them", ids)
            raise


class SlurmLocalLauncher(SlurmLauncher):
    """The same on this machine without Slurm, `array_size` runs side by side: a trial of a command for the cluster."""

    is_elsewhere = False
    CLUSTER = "local"
    PLUGIN = "LocalLauncher"

    def connect(self) -> None:
        """Find nothing missing: there is nothing to connect to."""

    def _left(self, wanted: Sequence[Words]) -> dict[str, Any]:
        return {}  # jobs of a command that is gone are waited for by the locks of their runs

    def _note(self, pairs: Sequence[tuple[str, str]]) -> None:
        pass

    def _state(self, job: Any) -> str:
        return "COMPLETED" if job.done() else "RUNNING"

    @contextmanager
    def _watched(self, jobs: Sequence[Any]) -> Iterator[None]:
        yield


@dataclass(frozen=True)
class Job:
    """What runs on a node: the plugin's way to run a job, which is queued again where Slurm asks for its place."""

    plugin: Any

    def __call__(self, *given: Any) -> Any:
        """Run a job."""
        own, number, ends = dict(os.environ), submitit_signal(), list[SystemExit]()
        submitits: Any = signal.getsignal(number)

        def queue_again(signum: int, frame: Any) -> None:
            os.environ.update(own)  # a run trains without the variables of its cluster, by which submitit knows the job
            try:
                submitits(signum, frame)
            except SystemExit as end:
                ends.append(end)
                if own.get("SUBMITIT_EXECUTOR") == SlurmLocalLauncher.CLUSTER:
                    signal.raise_signal(signal.SIGTERM)  # Slurm sends it itself; a run keeps where it is, and ends

        signal.signal(number, queue_again)
        try:
            return self.plugin(*given)
        except SystemExit as end:
            raise ends[0] if ends else end from None

    def checkpoint(self, *given: Any) -> Any:
        """Return what is run when the job has its turn again: the same, which finds its run's checkpoint."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self, *given)


def submitit_signal() -> int:
    """Return the signal by which a node is told to free its place."""
    from submitit import JobEnvironment

    return int(JobEnvironment._usr_sig())


class Queue:
    """What Slurm says of jobs; it is asked rarely, for all jobs at once, and need not keep accounts."""

    def __init__(self) -> None:
        self._states: dict[str, str] = {}  # of the jobs that are waited for
        self._since = self._asked = 0.0

    def watch(self, jobs: Iterable[str]) -> None:
        """Wait for some jobs from now on."""
        self._states = dict.fromkeys(jobs, "UNKNOWN")
        self._since, self._asked = time.monotonic(), -LOOKS[1]

    def state(self, job: str) -> str:
        """Return the state of a job as it was a moment ago. How it ended stays known when Slurm has forgotten it."""
        now, (first, longest) = time.monotonic(), LOOKS
        if now - self._asked >= min(longest, max(first, (now - self._since) / 10)):
            told, self._asked = self.ask(self._states), now
            self._states |= {each: told.get(each, GONE) for each, state in self._states.items() if not is_over(state)}
        return self._states[job]

    def ask(self, jobs: Iterable[str]) -> dict[str, str]:
        """Return the states of the jobs that Slurm knows; those that were seen last where it does not answer."""
        jobs = list(jobs)
        arrays = ",".join(sorted({job.partition("_")[0] for job in jobs}))
        command = ["squeue", "--noheader", "--array", "--states=all", "--format=%i %T", f"--jobs={arrays}"]
        told = run(command, capture_output=True, text=True, check=False)
        if told.returncode and "Invalid job id" not in told.stderr:
            return {job: self._states.get(job, "UNKNOWN") for job in jobs}
        return dict(line.split() for line in told.stdout.splitlines())


def published(name: str) -> Any:
    """Return a launcher of the published plugin. Raises InputError where it is not installed."""
    try:
        from hydra_plugins.hydra_submitit_launcher import submitit_launcher
    except ImportError:
        raise InputError(
            "hydra/launcher=slurm and slurm_local need hydra-submitit-launcher, which is not installed; type "
            "pip install 'bertlab-ablations[slurm]', or choose hydra/launcher=joblib"
        ) from None
    return getattr(submitit_launcher, name)()


def run_of(words: Words) -> str:
    """Return what tells the runs of all commands apart: the words, without the sweep that they belong to."""
    return digest(sorted(word for word in words if not word.startswith("tracking.parent=")))


def is_over(state: str) -> bool:
    """Tell whether a job in this state never runs again."""
    return state in ENDED or state in (PREEMPTED, GONE)


def seen(path: Path, seconds: float = 0.0) -> bool:
    """Tell whether a file is there, or comes within some seconds; to list a folder has NFS look again."""
    end = time.monotonic() + seconds
    while not (there := path.parent.is_dir() and path in path.parent.iterdir()) and time.monotonic() < end:
        time.sleep(0.5)
    return there


@contextmanager
def outside_of_a_job() -> Iterator[None]:
    """Submit as from a shell: a command that is a job itself would pass on its own size and limits."""
    own = ("SLURM_", "SLURMD_", "SRUN_", "SBATCH_") if "SLURM_JOB_ID" in os.environ else ()
    hidden = {name: os.environ.pop(name) for name in [*os.environ] if name.startswith(own) and name != "SLURM_CONF"}
    try:
        yield
    finally:
        os.environ.update(hidden)
