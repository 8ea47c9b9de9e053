"""Real engines for a test, as its children: a Slurm of one node, and a Ray cluster of two.

Slurm needs no systemd, accounts or configuration of the machine: all its files are in one folder.
"""

import getpass
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from shutil import which
from typing import Any

from bertlab.commands.server.processes import free_port

DAEMONS = ("munged", "slurmctld", "slurmd")
PLACES = os.pathsep.join([os.environ["PATH"], "/usr/sbin", "/sbin"])
STARTS = 60.0  # seconds within which an engine answers
OBJECTS = 80 << 20  # bytes for objects of a Ray node: the least that it takes
CONF = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
SlurmctldPort={controller}
SlurmdPort={node}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=batch_sched_delay=1,sched_interval=2,bf_interval=2
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
KillWait=10
ReturnToService=2
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 State=UNKNOWN
PartitionName=all Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""  # cred_expire: a job that is queued again waits for so many seconds; without accounts there is no sacct


def lacks_slurm() -> str:
    """Return what is missing for Slurm, or nothing."""
    if missing := [name for name in DAEMONS if which(name, path=PLACES) is None]:
        return f"{missing[0]} is not installed (apt-get install slurm-wlm munge)"
    return "" if has("hydra_plugins.hydra_submitit_launcher") else "pip install 'bertlab-ablations[slurm]'"


def lacks_ray() -> str:
    """Return what is missing for Ray, or nothing."""
    return "" if has("ray") else "pip install 'bertlab-ablations[ray]'"


def has(module: str) -> bool:
    """Return whether a module can be imported."""
    return find_spec(module) is not None


@contextmanager
def slurm_node(folder: Path) -> Iterator[dict[str, str]]:
    """Run Slurm in a folder; yields the variables by which its commands find it."""
    host = socket.gethostname().partition(".")[0]
    names = {"host": host, "user": getpass.getuser(), "folder": folder}
    (folder / "slurm.conf").write_text(CONF.format(**names, controller=free_port(), node=free_port()), "utf-8")
    (folder / "munge.key").write_bytes(os.urandom(1024))
    (folder / "munge.key").chmod(0o400)
    for name in ("state", "spool"):
        (folder / name).mkdir()
    own = {"SLURM_CONF": str(folder / "slurm.conf"), "PATH": PLACES}
    places = [f"--{name}-file={folder}/munge.{name}" for name in ("key", "pid", "log", "seed")]
    with ExitStack() as stack:
        for command in (
            ["munged", "--foreground", "--force", f"--socket={folder}/munge.socket", *places],
            ["slurmctld", "-D"],
            ["slurmd", "-D"],
        ):
            stack.enter_context(daemon(command, own, folder))
            if command[0] == "munged":
                wait_for((folder / "munge.socket").exists, "munged")
        wait_for(lambda: "idle" in told(["sinfo", "--noheader", "--format=%t"], own), "slurmd")
        yield own
        told(["scancel", f"--user={getpass.getuser()}"], own)
        wait_for(lambda: not told(["squeue", "--noheader"], own), "the end of the jobs")


@contextmanager
def daemon(command: Sequence[str], own: dict[str, str], folder: Path) -> Iterator[None]:
    """Run a daemon as a child."""
    with (folder / f"{command[0]}.out").open("w") as log:
        process = subprocess.Popen(command, env={**os.environ, **own}, stdout=log, stderr=log)
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def told(command: Sequence[str], own: dict[str, str]) -> str:
    """Return what a command of Slurm prints."""
    return subprocess.run(command, env={**os.environ, **own}, capture_output=True, text=True, check=False).stdout


def wait_for(there: Callable[[], Any], what: str, seconds: float = STARTS) -> None:
    """Wait until something is there."""
    end = time.monotonic() + seconds
    while not there():
        assert time.monotonic() < end, f"{what} did not come within {seconds:.0f} s"
        time.sleep(0.1)


@contextmanager
def two_raylets(elsewhere: Path) -> Iterator[Any]:
    """Run a Ray cluster of two nodes with one CPU each, which work in a separate folder; yields its Cluster."""
    before = Path.cwd()
    Path("/tmp/ray").mkdir(exist_ok=True)  # where Ray notes its address, and does not make the folder itself
    os.chdir(elsewhere)
    try:
        from ray.cluster_utils import Cluster

        own = {"num_cpus": 1, "object_store_memory": OBJECTS}
        cluster = Cluster(initialize_head=True, head_node_args={**own, "include_dashboard": False})
        try:
            cluster.add_node(**own)
            yield cluster
        finally:
            cluster.shutdown()
    finally:
        os.chdir(before)
