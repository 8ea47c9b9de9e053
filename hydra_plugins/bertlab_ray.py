"""Runs as tasks of a Ray cluster. Hydra imports every plugin at start, so this module imports nothing heavy.

The published plugin cannot be installed with our dependencies (it requires cloudpickle<3, and boto3), passes options to
a running cluster that the cluster refuses, and leaves its workers in a folder of Ray. Here a worker changes to the
folder of the command and gets its variables, so that every path and the store are the same there.
"""

import os
import re
import socket
import sys
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, run_job, setup_globals
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict

from bertlab.config.cache import cache_root
from bertlab.config.environment import LIMITS
from bertlab.config.errors import InputError
from bertlab.tracking.result import CancelledError

OURS = ("BERTLAB_", "MLFLOW_")  # variables for a worker, in addition to those in the configuration
NAMED = re.compile(r"oc\.env:\s*(\w+)")
LOCAL = "local"
ANSWERS = 10.0  # seconds to wait for a connection to the head of a cluster
STORE = 100 << 20  # bytes for objects of a local cluster; jobs and answers are small


class RayLauncher(Launcher):
    """One task per run, on any free node of the cluster."""

    is_elsewhere = True  # jobs run on machines with other hardware

    def __init__(self, *, address: str, cpus: float, gpus: float, memory_gb: float | None) -> None:
        try:
            import ray
        except ImportError:
            raise InputError(
                "hydra/launcher=ray needs ray, which is not installed; type pip install 'bertlab-ablations[ray]', or "
                "choose hydra/launcher=joblib"
            ) from None
        self._ray: Any = ray  # its types exist only if it is installed
        self._address = address
        self._needs = {"num_cpus": cpus, "num_gpus": gpus, "memory": int((memory_gb or 0) * 2**30)}

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keep the arguments for the jobs."""
        self._context, self._task, self._config = hydra_context, task_function, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> list[Any]:
        """Return the result of each job, or the error that describes its loss."""
        self.connect()
        here = (str(Path.cwd()), variables(self._config))
        shared = self._ray.put((self._context, self._config, self._task, Singleton.get_state(), *here))
        task = self._ray.remote(**self._needs, max_retries=0)(job)  # bertlab launches lost jobs again
        numbered = enumerate(job_overrides, initial_job_idx)
        tasks = [task.options(name=f"bertlab {n}").remote(shared, list(words), n) for n, words in numbered]
        with redirect_stdout(sys.stderr):  # Ray's messages about its nodes are not a result
            return [self._end_of(each) for each in tasks]

    def connect(self) -> None:
        """Join the cluster, or start one here. Raises InputError if it does not answer."""
        if self._ray.is_initialized():
            return
        limits = {name: os.environ[name] for name in LIMITS if name in os.environ}  # read before torch is imported
        own: dict[str, Any] = {}
        if self._address == LOCAL:
            own = {"object_store_memory": STORE, "include_dashboard": False}
        host, _, port = self._address.rpartition("/")[2].rpartition(":")
        try:
            if port.isdigit():  # Ray itself would retry for minutes
                socket.create_connection((host, int(port)), ANSWERS).close()
            self._ray.init(self._address, runtime_env={"env_vars": limits}, logging_level="warning", **own)
        except (OSError, ValueError, RuntimeError) as error:
            raise InputError(
                f"hydra.launcher.address must name a Ray cluster that answers, got {self._address} "
                f"({str(error).splitlines()[0]}); start one with ray start --head, or hydra.launcher.address=local"
            ) from error

    def _end_of(self, task: Any) -> Any:
        try:
            return self._ray.get(task)
        except self._ray.exceptions.TaskCancelledError:
            return CancelledError("its Ray task was cancelled")
        except self._ray.exceptions.RayError as error:
            return getattr(error, "cause", None) or error  # the task's error, without Ray's message


def variables(config: DictConfig) -> dict[str, str]:
    """Return the variables for a worker: ours, MLflow's, those in the configuration, and the cache."""
    named = set(NAMED.findall(OmegaConf.to_yaml(config, resolve=False)))
    own = {name: value for name, value in os.environ.items() if name.startswith(OURS) or name in named}
    return {**own, "BERTLAB_CACHE": str(cache_root())}


def job(shared: tuple[Any, ...], words: list[str], number: int) -> JobReturn:
    """Run a job in the folder of the command. Raises InputError on a machine without this folder."""
    context, config, task, state, folder, own = shared
    enter(folder, own)
    setup_globals()
    Singleton.set_state(state)
    composed = context.config_loader.load_sweep_config(config, words)
    with open_dict(composed):
        composed.hydra.job.id, composed.hydra.job.num = f"bertlab_{number}", number
    HydraConfig.instance().set_config(composed)
    return run_job(
        hydra_context=context,
        config=composed,
        task_function=task,
        job_dir_key="hydra.sweep.dir",
        job_subdir_key="hydra.sweep.subdir",
    )


def enter(folder: str, variables: Mapping[str, str]) -> None:
    """Enter the folder and set the variables of the command. Raises InputError."""
    os.environ.update(variables)
    try:
        os.chdir(folder)
    except OSError as error:
        raise InputError(
            f"{folder}, where the command was typed, must be on every machine of the cluster, got {error.strerror} on "
            f"{os.uname().nodename}; type it in a folder of a shared file system"
        ) from error
