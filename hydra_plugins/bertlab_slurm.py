"""Runs as jobs of Slurm, through the published plugin for submitit. Hydra imports this at start: nothing heavy here.

The plugin runs a job on its node, in the folder and with the environment of the command. This module waits for the
jobs: the plugin stops at the first job without a result, queries a queue only through its accounting (sacct), which
some clusters lack, and does not know jobs that an earlier command left in the queue.
"""

import json
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from shutil import which
from typing import Any, TypedDict, Unpack

from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from bertlab.config.errors import InputError, at, whole_number
from bertlab.sweep.slurm import GONE, LOCAL, Job, Queue, clock_of, forget_older, is_over, outside_of_a_job, seen
from bertlab.tracking.result import CancelledError, LostError

log = logging.getLogger(__name__)

Words = Sequence[str]
NOTES = "jobs.jsonl"  # the job of each run, for the next command
LATE = 15.0  # seconds until a file is visible on another node


class Settings(TypedDict, total=False):
    """The keys of conf/hydra/launcher/slurm.yaml that are passed to submitit."""

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
    """One job per run, in arrays of at most `array_size`."""

    is_elsewhere = True  # jobs run on machines with other hardware
    CLUSTER = "slurm"
    PLUGIN = "SlurmLauncher"
    PLAIN = (
        "name",
        "timeout_min",
        "cpus_per_task",
        "mem_gb",
        "gpus_per_node",
    )  # names that submitit uses for every kind of cluster

    def __init__(self, *, array_size: int, **settings: Unpack[Settings]) -> None:
        with at("hydra.launcher"):
            self._size = whole_number("array_size", array_size, 1)
            for key in ("timeout_min", "cpus_per_task"):
                whole_number(key, settings.get(key), 1)
        if unknown := sorted(settings.keys() - Settings.__annotations__.keys()):
            raise InputError(f"hydra.launcher.{unknown[0]} is not a key of this launcher; leave it out")
        self._settings: dict[str, Any] = {key: value for key, value in settings.items() if value is not None}
        self._plugin = published(self.PLUGIN)
        self._queue, self._names = Queue(), list[str]()

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keep the arguments for the jobs."""
        self._plugin.setup(hydra_context=hydra_context, task_function=task_function, config=config)

    def connect(self) -> None:
        """Raise InputError on a machine that cannot submit jobs."""
        if which("sbatch") is None:
            raise InputError(
                "hydra/launcher=slurm must run where Slurm's commands are, got no sbatch here; log in to a node of the "
                "cluster, or choose hydra/launcher=slurm_local"
            )

    def name_runs(self, names: Sequence[str]) -> None:
        """Take unique names of the runs of the next launch, equal in every command."""
        self._names = list(names)

    def launch(self, job_overrides: Sequence[Words], initial_job_idx: int) -> list[Any]:
        """Return the result of each job, or the error that describes its loss."""
        numbers = range(initial_job_idx, initial_job_idx + len(job_overrides))
        runs = [Run(*each) for each in zip(self._names, numbers, job_overrides, strict=True)]
        back: list[Any] = []
        for start in range(0, len(runs), self._size):
            jobs = self._jobs(runs[start : start + self._size])
            with self._watched(jobs):
                back += [self._end_of(job) for job in jobs]
        return back

    def _jobs(self, runs: Sequence["Run"]) -> list[Any]:
        """Return the job of each run: the one that an earlier command left in the queue, or a new one."""
        jobs = self._left(runs)
        if jobs:
            log.warning("%s of %s runs have a job in the queue already", len(jobs), len(runs))
        if new := [run for run in runs if run.name not in jobs]:
            submitted = {run.name: job for run, job in zip(new, self._submit(new), strict=True)}
            self._note({name: job.job_id for name, job in submitted.items()})
            jobs |= submitted
        return [jobs[run.name] for run in runs]

    def _submit(self, runs: Sequence["Run"]) -> list[Any]:
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
        jobs = [(list(run.words), "hydra.sweep.dir", run.number, f"job_{run.number}", state) for run in runs]
        before = clock_of(self._notes.parent)
        with outside_of_a_job():
            submitted = list(executor.map_array(Job(self._plugin), *zip(*jobs, strict=True)))
        forget_older([job.paths.result_pickle for job in submitted], before)
        return submitted

    @property
    def _notes(self) -> Path:
        return Path(self._settings["submitit_folder"]).expanduser().absolute().parent / NOTES

    def _note(self, jobs: Mapping[str, str]) -> None:
        with self._notes.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps({"run": name, "job": job}) + "\n" for name, job in jobs.items())

    def _noted(self) -> dict[str, str]:
        """Return the last job of each run."""
        jobs = dict[str, str]()
        for line in self._notes.read_text("utf-8").splitlines() if self._notes.is_file() else []:
            with suppress(ValueError, KeyError):  # an incomplete line from a killed command
                note = json.loads(line)
                jobs[str(note["run"])] = str(note["job"])
        return jobs

    def _left(self, runs: Sequence["Run"]) -> dict[str, Any]:
        """Return the noted jobs of some runs that are still in the queue, by the names of the runs."""
        from submitit import SlurmJob

        known = self._noted()
        noted = {run.name: known[run.name] for run in runs if run.name in known}
        states = self._queue.ask(noted.values()) if noted else {}
        living = {name: job for name, job in noted.items() if not is_over(states.get(job, GONE))}
        return {name: SlurmJob(folder=self._settings["submitit_folder"], job_id=job) for name, job in living.items()}

    def _end_of(self, job: Any) -> Any:
        """Wait for a job and return its result, or the error that describes its loss."""
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
        """Poll jobs during the block; if the command is stopped, log that its jobs go on."""
        self._queue.watch(job.job_id for job in jobs)
        try:
            yield
        except (KeyboardInterrupt, SystemExit):
            ids = " ".join(sorted({job.job_id.partition("_")[0] for job in jobs}))
            log.warning("the jobs stay in the queue: the same command again waits for them, scancel %s ends them", ids)
            raise


class SlurmLocalLauncher(SlurmLauncher):
    """The same on this machine without Slurm, `array_size` runs at a time: a test of a command for the cluster."""

    is_elsewhere = False
    CLUSTER = LOCAL
    PLUGIN = "LocalLauncher"

    def connect(self) -> None:
        """Do nothing: there is nothing to connect to."""

    def _left(self, runs: Sequence["Run"]) -> dict[str, Any]:
        return {}  # the locks of the runs wait for jobs of an earlier command

    def _note(self, jobs: Mapping[str, str]) -> None:
        pass

    def _state(self, job: Any) -> str:
        return "COMPLETED" if job.done() else "RUNNING"

    def _end_of(self, job: Any) -> Any:
        end = super()._end_of(job)
        while job.state == "RUNNING":  # it has answered, but its process has not ended yet
            time.sleep(0.1)
        return end

    @contextmanager
    def _watched(self, jobs: Sequence[Any]) -> Iterator[None]:
        yield


@dataclass(frozen=True)
class Run:
    """The run of a job."""

    name: str  # unique
    number: int  # its number in the sweep
    words: Words


def published(name: str) -> Any:
    """Return a launcher of the published plugin. Raises InputError if it is not installed."""
    try:
        from hydra_plugins.hydra_submitit_launcher import submitit_launcher
    except ImportError:
        raise InputError(
            "hydra/launcher=slurm and slurm_local need hydra-submitit-launcher, which is not installed; type "
            "pip install 'bertlab-ablations[slurm]', or choose hydra/launcher=joblib"
        ) from None
    return getattr(submitit_launcher, name)()
