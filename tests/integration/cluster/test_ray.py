"""A real Ray cluster of two nodes: workers on another node, lost workers, lost machines and a lost command."""

import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from pandas.testing import assert_frame_equal

from tests.integration.cluster.engines import OBJECTS
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
    lives,
    parent,
    restarts,
    study_numbers,
)
from tests.integration.conftest import Spawn

pytestmark = [pytest.mark.integration, pytest.mark.timeout(3600)]


Words = tuple[str, str]


def test_a_grid_computes_the_same_bits_as_the_basic_launcher_in_the_folder_of_the_command(
    ray: Words, spawn: Spawn, basic: Basic, tmp_path: Path
) -> None:
    sweep = spawn(*RUN, *GRID, *ray)
    out, err = sweep.communicate(timeout=LONGEST)
    assert sweep.returncode == 0, err
    assert [line.split()[0] for line in out.splitlines()[:4]] == ["finished"] * 4
    assert essences(tmp_path / "outputs") == essences(basic(*GRID))


def test_a_lost_worker_and_a_lost_machine_cost_the_steps_since_the_last_checkpoint(
    ray: Words, ray_cluster: Any, spawn: Spawn, basic: Basic, tmp_path: Path
) -> None:
    """The node without the head is lost during its run; the other run loses its worker."""
    outputs, expected = tmp_path / "outputs", essences(basic(*LONG_RUNS))
    (second,) = ray_cluster.worker_nodes
    raylet = second.all_processes["raylet"][0].process.pid

    def lose(pid: int) -> None:
        if parent(pid) == raylet:
            ray_cluster.remove_node(second, allow_graceful=False)
        else:
            os.kill(pid, signal.SIGKILL)

    sweep = spawn(*RUN, "-m", *TINY, LONG, "seed=0,1", *ray)
    try:
        out, err = disturb(sweep, outputs, {"seed=0": lose, "seed=1": lose})
    finally:
        ray_cluster.add_node(num_cpus=1, object_store_memory=OBJECTS)
    assert sweep.returncode == 0, err
    assert [line.split()[0] for line in out.splitlines()[:2]] == ["finished"] * 2
    assert restarts(outputs) == {"seed=0": 1, "seed=1": 1}
    assert essences(outputs) == {name: expected[name] for name in ("seed=0", "seed=1")}
    assert second not in ray_cluster.worker_nodes


def test_a_command_that_is_killed_goes_on_from_the_checkpoints_when_it_is_typed_again(
    ray: Words, spawn: Spawn, basic: Basic, tmp_path: Path
) -> None:
    outputs, expected = tmp_path / "outputs", essences(basic(*LONG_RUNS))
    words = (*RUN, "-m", *TINY, LONG, "seed=0,1", *ray)
    first = spawn(*words)
    end = time.monotonic() + LONGEST
    while len(workers := dict(at_work(outputs))) < 2 and time.monotonic() < end:
        time.sleep(0.05)
    first.kill()
    second = spawn(*words)
    out, err = second.communicate(timeout=LONGEST)
    assert second.returncode == 0, err
    assert restarts(outputs) == {"seed=0": 1, "seed=1": 1}
    assert not any(map(lives, workers.values())), "Ray ends the workers of a command that ends"
    assert essences(outputs) == {name: expected[name] for name in ("seed=0", "seed=1")}
    assert [line.split()[0] for line in out.splitlines()[:2]] == ["finished"] * 2


def test_a_study_computes_the_same_bits_as_with_the_basic_launcher(
    ray: Words, spawn: Spawn, basic: Basic, tmp_path: Path
) -> None:
    study = spawn(*RUN, *STUDY, *ray)
    out, err = study.communicate(timeout=LONGEST)
    assert study.returncode == 0, err
    assert out.startswith("The claim ")
    assert_frame_equal(study_numbers(tmp_path / "outputs"), study_numbers(basic(*STUDY)))
