"""Launchers for Slurm and Ray, as far as they can be tested without these; tests/integration/cluster has the rest."""

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from omegaconf import OmegaConf

from bertlab.commands.run_help import help_text
from bertlab.config.compose import CONF
from bertlab.config.errors import InputError
from bertlab.sweep import slurm
from bertlab.sweep.grid import checkable
from bertlab.sweep.slurm import GONE, Queue, clock_of, forget_older, is_over, outside_of_a_job, seen
from hydra_plugins import bertlab_ray, bertlab_slurm
from hydra_plugins.bertlab_slurm import Settings
from tests.conftest import Command

LAUNCHERS = CONF / "hydra" / "launcher"


@pytest.fixture
def squeue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A squeue that prints a file, and fails with the lines of another one."""
    program = tmp_path / "bin" / "squeue"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\ncat "$0.out"\ncat "$0.err" >&2\n! test -s "$0.err"\n', "utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)
    return program


def answer(squeue: Path, out: str = "", err: str = "") -> None:
    squeue.with_name("squeue.out").write_text(out, "utf-8")
    squeue.with_name("squeue.err").write_text(err, "utf-8")


@pytest.mark.parametrize(
    ("launcher", "module", "extra"),
    [
        ("slurm", "hydra_plugins.hydra_submitit_launcher", "slurm"),
        ("slurm_local", "hydra_plugins.hydra_submitit_launcher", "slurm"),
        ("ray", "ray", "ray"),
    ],
)
def test_a_launcher_that_is_not_installed_is_one_line_that_names_its_extra(
    command: Command, monkeypatch: pytest.MonkeyPatch, launcher: str, module: str, extra: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    code, out, err = command("-m", "seed=0,1", f"hydra/launcher={launcher}")
    assert (code, out) == (2, "")
    assert f"pip install 'bertlab-ablations[{extra}]'" in err
    assert len(err.splitlines()) == 1


def test_help_lists_the_launchers() -> None:
    assert "  basic joblib ray slurm slurm_local" in help_text([]).replace(" submitit_local submitit_slurm", "")


@pytest.mark.parametrize("name", ["slurm", "slurm_local", "ray"])
def test_the_keys_of_a_launcher_are_those_of_its_class_and_each_is_explained(name: str) -> None:
    text = (LAUNCHERS / f"{name}.yaml").read_text("utf-8")
    target, *keys = yaml.safe_load(text)
    assert target == "_target_"
    known = {"ray": {"address", "cpus", "gpus", "memory_gb"}}.get(name, {"array_size", *Settings.__annotations__})
    assert set(keys) <= known
    assert all("#" in line for line in text.splitlines()[2:])


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"array_size": 0}, "hydra.launcher.array_size must be a whole number of at least 1, got 0"),
        ({"array_size": 2, "timeout_min": 0}, "hydra.launcher.timeout_min must be a whole number of at least 1"),
        ({"array_size": 2, "setup": ["rm"]}, "hydra.launcher.setup is not a key of this launcher"),
    ],
)
def test_settings_of_slurm_that_cannot_be_meant_are_refused(given: Any, words: str) -> None:
    with pytest.raises(InputError, match=words.replace(".", r"\.")):
        bertlab_slurm.SlurmLauncher(**{"timeout_min": 1, "cpus_per_task": 1, **given})


def test_slurm_is_asked_without_its_accounts_and_what_it_does_not_know_is_over(squeue: Path) -> None:
    queue, jobs = Queue(), ("17_0", "17_1", "17_2")
    answer(squeue, "17_0 COMPLETED\n17_1 RUNNING\n")
    queue.watch(jobs)
    assert [queue.state(job) for job in jobs] == ["COMPLETED", "RUNNING", GONE]
    assert [is_over(queue.state(job)) for job in jobs] == [True, False, True]


def test_how_a_job_ended_stays_known_when_slurm_has_forgotten_it(squeue: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Slurm forgets a job after some minutes; meanwhile the launcher may wait for another job."""
    monkeypatch.setattr(slurm, "LOOKS", (0.0, 0.0))
    queue = Queue()
    queue.watch(["17_0", "17_1"])
    answer(squeue, "17_0 RUNNING\n17_1 CANCELLED\n")
    assert queue.state("17_0") == "RUNNING"
    answer(squeue, "17_0 RUNNING\n")
    assert [queue.state(job) for job in ("17_0", "17_1")] == ["RUNNING", "CANCELLED"]


def test_a_job_that_slurm_holds_is_said_once(squeue: Path, caplog: pytest.LogCaptureFixture) -> None:
    queue, jobs = Queue(), ("17_0", "17_1")
    answer(squeue, "17_0 PENDING launch failed requeued held\n17_1 PENDING Resources\n9_0 PENDING JobHeldUser\n")
    for _ in range(2):
        assert queue.ask(jobs) == {"17_0": "PENDING", "17_1": "PENDING", "9_0": "PENDING"}
    line = "Slurm holds job 17_0 (launch failed requeued held): scontrol release 17_0, or scancel 17_0"
    assert caplog.messages == [line]


def test_a_controller_that_does_not_answer_ends_no_job(squeue: Path) -> None:
    queue = Queue()
    queue.watch(["17_0"])
    answer(squeue, "17_0 RUNNING\n")
    assert queue.state("17_0") == "RUNNING"
    answer(squeue, err="slurm_load_jobs error: Unable to contact slurm controller (connect failure)\n")
    assert queue.ask(["17_0"]) == {"17_0": "RUNNING"}
    assert not is_over(queue.ask(["18"])["18"])
    answer(squeue, err="slurm_load_jobs error: Invalid job id specified\n")
    assert queue.ask(["17_0"]) == {}


@pytest.mark.parametrize("state", ["PENDING", "RUNNING", "REQUEUED", "SUSPENDED", "COMPLETING", "CONFIGURING"])
def test_a_job_that_may_still_run_is_waited_for(state: str) -> None:
    assert not is_over(state)


def test_a_file_that_comes_late_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "17_0" / "17_0_0_result.pkl"
    assert not seen(path)
    path.parent.mkdir()
    path.touch()
    assert seen(path)


def test_a_command_within_a_job_submits_as_from_a_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SLURM_MEM_PER_CPU", "SBATCH_ACCOUNT", "SLURM_CONF"):
        monkeypatch.setenv(name, "1")
    with outside_of_a_job():
        assert {"SLURM_MEM_PER_CPU", "SBATCH_ACCOUNT", "SLURM_CONF"} <= os.environ.keys(), "a person's own"
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    with outside_of_a_job():
        assert {"SLURM_MEM_PER_CPU", "SBATCH_ACCOUNT", "SLURM_JOB_ID"} & os.environ.keys() == set()
        assert "SLURM_CONF" in os.environ
    assert os.environ["SBATCH_ACCOUNT"] == "1"


@pytest.mark.usefixtures("back")
@pytest.mark.parametrize("cluster", ["slurm", "local"])
def test_a_preempted_job_is_queued_again_and_gets_one_signal_to_end(
    monkeypatch: pytest.MonkeyPatch, cluster: str
) -> None:
    """A run trains without the variables of its cluster; after two signals to end it would not save its state."""
    asked, told = list[str](), list[int]()

    def submitits(*_: Any) -> None:
        asked.append(os.environ["SLURM_JOB_ID"])
        if cluster == "slurm":
            os.kill(os.getpid(), signal.SIGTERM)  # by the queue
        raise SystemExit(144)

    def train(*given: Any) -> Any:
        del os.environ["SLURM_JOB_ID"]
        os.kill(os.getpid(), signal.SIGUSR2)
        raise SystemExit(143)

    monkeypatch.setenv("SLURM_JOB_ID", "17")
    monkeypatch.setenv("SUBMITIT_EXECUTOR", cluster)
    monkeypatch.setattr(slurm, "submitit_signal", lambda: signal.SIGUSR2)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGUSR2, signal.SIGTERM)}
    try:
        signal.signal(signal.SIGUSR2, submitits)
        signal.signal(signal.SIGTERM, lambda number, _: told.append(number))
        with pytest.raises(SystemExit) as ended:
            slurm.Job(train)(1, "a")
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    assert (asked, told, ended.value.code) == (["17"], [signal.SIGTERM], 144)


@pytest.fixture
def back(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Undo the changes of a worker to its process."""
    monkeypatch.chdir(tmp_path)
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.mark.usefixtures("back")
def test_a_worker_gets_the_variables_that_its_run_needs_and_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("BERTLAB_OWN", "MLFLOW_TRACKING_PASSWORD", "CORPUS", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("BERTLAB_CACHE", "cache")
    config = OmegaConf.create({"data": {"files": "${oc.env:CORPUS}"}})
    own = bertlab_ray.variables(config)
    assert own["BERTLAB_CACHE"] == str(Path.cwd() / "cache")
    assert {"BERTLAB_OWN", "MLFLOW_TRACKING_PASSWORD", "CORPUS"} <= own.keys()
    assert not {"AWS_SECRET_ACCESS_KEY", "PATH", "HOME"} & own.keys()


@pytest.mark.usefixtures("back")
def test_a_worker_works_in_the_folder_of_the_command(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    bertlab_ray.enter(str(tmp_path / "here"), {"BERTLAB_CACHE": "/cache"})
    assert (Path.cwd(), os.environ["BERTLAB_CACHE"]) == (tmp_path / "here", "/cache")
    with pytest.raises(InputError, match=r"absent, where the command was typed, must be on every machine .*shared"):
        bertlab_ray.enter(str(tmp_path / "absent"), {})


@pytest.mark.parametrize("address", ["auto", "127.0.0.1:1", "ray://127.0.0.1:1"])
def test_a_cluster_that_does_not_answer_is_one_line_at_once(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    """Nothing listens at port 1, so Ray is not even called."""
    asked = list[str]()

    def init(given: str, **_: Any) -> None:
        asked.append(given)
        raise ConnectionError("Could not find any running Ray instance.\nMore of it.")

    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(init=init, is_initialized=lambda: False))
    with pytest.raises(
        InputError, match=rf"hydra\.launcher\.address must name .*, got {address} .*ray start"
    ) as refused:
        bertlab_ray.RayLauncher(address=address, cpus=1, gpus=0, memory_gb=None).connect()
    assert "\n" not in str(refused.value)
    assert asked == ([address] if address == "auto" else [])


def test_hardware_that_only_the_cluster_has_is_not_looked_for_here() -> None:
    config = {"trainer": {"accelerator": "gpu", "threads": 1}}

    class Far:
        is_elsewhere = True

    far: Any = Far()
    assert checkable(config, far) == {"trainer": {"accelerator": "cpu", "threads": 1}}
    assert checkable(config, None) == config


def test_a_job_that_has_the_number_of_an_earlier_one_is_not_answered_by_that_ones_result(tmp_path: Path) -> None:
    before, after, none = (tmp_path / "jobs" / f"{name}_result.pkl" for name in ("1_0", "1_1", "1_2"))
    before.parent.mkdir()
    before.write_text("of an earlier cluster", "ascii")
    os.utime(before, (now := clock_of(tmp_path / "jobs") - 5, now))
    submitted = clock_of(tmp_path / "jobs")
    after.write_text("of this job", "ascii")
    forget_older([before, after, none], submitted)
    assert [path.name for path in before.parent.iterdir()] == ["1_1_result.pkl"]
