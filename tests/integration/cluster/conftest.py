"""Engines that start once for all tests, and the results of the basic launcher for the same runs."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.cluster.engines import lacks_ray, lacks_slurm, slurm_node, two_raylets
from tests.integration.conftest import ROOT


@pytest.fixture(scope="session")
def slurm_variables() -> Iterator[dict[str, str]]:
    """A Slurm of one node with two CPUs."""
    if reason := lacks_slurm():
        pytest.skip(reason)
    with tempfile.TemporaryDirectory(prefix="slurm-") as name, slurm_node(Path(name)) as own:
        yield own


@pytest.fixture
def slurm(slurm_variables: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Slurm, found by all commands of the test."""
    for name, value in slurm_variables.items():
        monkeypatch.setenv(name, value)
    return slurm_variables


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[Any]:
    """A Ray cluster of two nodes; their workers are started with our code, in a folder that no command knows."""
    if reason := lacks_ray():
        pytest.skip(reason)
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "OMP_NUM_THREADS": "1", "RAY_worker_niceness": "0"}  # 15 is usual
    with tempfile.TemporaryDirectory(prefix="raylets-") as elsewhere, two_raylets(Path(elsewhere)) as cluster:
        yield cluster
        assert not list(Path(elsewhere).iterdir()), "a worker wrote into the folder of its raylet"


@pytest.fixture
def ray(ray_cluster: Any) -> tuple[str, str]:
    """The words that choose the cluster."""
    return "hydra/launcher=ray", f"hydra.launcher.address={ray_cluster.address}"


@pytest.fixture(scope="session")
def basic(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Return the outputs of a command with the basic launcher; each command is run once."""
    made: dict[tuple[str, ...], Path] = {}

    def outputs(*words: str) -> Path:
        if words not in made:
            folder = tmp_path_factory.mktemp("basic")
            env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
            subprocess.run([sys.executable, "-m", "bertlab.run", *words], cwd=folder, env=env, check=True)
            made[words] = folder / "outputs"
        return made[words]

    return outputs
