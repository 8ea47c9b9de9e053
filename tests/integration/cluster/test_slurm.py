"""A real Slurm: if jobs, workers or the command are killed, nothing is lost and nothing is trained twice."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pandas.testing import assert_frame_equal

from tests.integration.cluster.runs import (
    GRID,
    LONG,
    LONG_RUNS,
    LONGEST,
    RUN,
    STUDY,
    TINY,
    Basic,
    at_work,
    disturb,
    essences,
    kill,
    restarts,
    slurm_job,
    study_numbers,
)
from tests.integration.conftest import Spawn

pytestmark = [pytest.mark.integration, pytest.mark.timeout(3600), pytest.mark.usefixtures("slurm")]

SLURM = ("hydra/launcher=slurm", "hydra.launcher.mem_gb=null")


def jobs_in(outputs: Path) -> list[str]:
    """Return the jobs that were submitted."""
    lines = (outputs / "slurm" / "jobs.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line)["job"] for line in lines]


def slurm(*command: str) -> Callable[[int], Any]:
    """Return what gives a command of Slurm to the job of a process."""
    return lambda pid: subprocess.run([*command, slurm_job(pid)], check=True)


def test_a_grid_computes_the_same_bits_as_the_basic_launcher(spawn: Spawn, basic: Basic, tmp_path: Path) -> None:
    sweep = spawn(*RUN, *GRID, *SLURM, "hydra.launcher.array_size=3")
    out, err = sweep.communicate(timeout=LONGEST)
    assert sweep.returncode == 0, err
    assert [line.split()[0] for line in out.splitlines()[:4]] == ["finished"] * 4
    assert essences(tmp_path / "outputs") == essences(basic(*GRID))
    assert len(set(jobs_in(tmp_path / "outputs"))) == 4


def test_what_becomes_of_one_job_is_its_own(spawn: Spawn, basic: Basic, tmp_path: Path) -> None:
    """One is cancelled, one loses its worker, one is queued again by hand, one is preempted, one is not touched."""
    outputs, expected = tmp_path / "outputs", essences(basic(*LONG_RUNS))
    sweep = spawn(*RUN, "-m", *TINY, LONG, "seed=0,1,2,3,4", *SLURM)
    acts = {
        "seed=0": slurm("scancel"),
        "seed=1": kill(signal.SIGKILL),
        "seed=2": slurm("scontrol", "requeue"),
        "seed=3": slurm("scancel", "--signal=USR2"),
    }
    out, err = disturb(sweep, outputs, acts)
    assert sweep.returncode == 1, err
    table = {line.split()[1]: line for line in out.splitlines()[:5]}
    assert {name: line.split()[0] for name, line in table.items()} == {
        "seed=0": "failed",
        **dict.fromkeys(acts.keys() - {"seed=0"} | {"seed=4"}, "finished"),
    }
    assert "its Slurm job " in table["seed=0"]
    assert table["seed=0"].endswith(" was cancelled")
    assert essences(outputs) == {name: value for name, value in expected.items() if name != "seed=0"}
    assert restarts(outputs) == {"seed=0": 0, "seed=1": 1, "seed=2": 1, "seed=3": 1, "seed=4": 0}
    assert len(jobs_in(outputs)) == 6, "only the run whose worker was killed is submitted again"
    assert "Traceback" not in err


def test_a_command_that_is_killed_finds_its_jobs_when_it_is_typed_again(
    spawn: Spawn, basic: Basic, tmp_path: Path
) -> None:
    outputs, expected = tmp_path / "outputs", essences(basic(*LONG_RUNS))
    words = (*RUN, "-m", *TINY, LONG, "seed=0,1,2", *SLURM)
    first = spawn(*words)
    end = time.monotonic() + LONGEST
    while len(workers := dict(at_work(outputs))) < 2 and time.monotonic() < end:  # the third one waits for a CPU
        time.sleep(0.05)
    first.kill()
    for pid in workers.values():
        os.kill(pid, signal.SIGSTOP)  # so that none of them ends before it is looked for
    second = spawn(*words)
    assert second.stderr is not None
    assert any("3 of 3 runs have a job in the queue already" in line for line in second.stderr)
    for pid in workers.values():
        os.kill(pid, signal.SIGCONT)
    out, err = second.communicate(timeout=LONGEST)
    assert second.returncode == 0, err
    assert len(jobs_in(outputs)) == 3
    assert restarts(outputs) == {"seed=0": 0, "seed=1": 0, "seed=2": 0}
    assert essences(outputs) == {name: expected[name] for name in ("seed=0", "seed=1", "seed=2")}
    assert [line.split()[0] for line in out.splitlines()[:3]] == ["finished"] * 3


def test_a_study_computes_the_same_bits_as_with_the_basic_launcher(spawn: Spawn, basic: Basic, tmp_path: Path) -> None:
    study = spawn(*RUN, *STUDY, *SLURM)
    out, err = study.communicate(timeout=LONGEST)
    assert study.returncode == 0, err
    assert out.startswith("The claim ")
    assert_frame_equal(study_numbers(tmp_path / "outputs"), study_numbers(basic(*STUDY)))
    assert len(jobs_in(tmp_path / "outputs")) == len(study_numbers(tmp_path / "outputs"))
