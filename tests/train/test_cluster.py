"""A run is the same on a cluster: Lightning ignores a scheduler's variables and left-over files."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bertlab.train.fit import Hardware
from tests.marks import slow_but
from tests.train.test_fit import HARDWARE

Fit = Callable[..., Any]
CLUSTERS = {
    "slurm": {
        "SLURM_NTASKS": "4",
        "SLURM_JOB_ID": "17",
        "SLURM_PROCID": "3",
        "SLURM_LOCALID": "3",
        "SLURM_NODEID": "1",
    },
    "torchelastic": {
        **{"TORCHELASTIC_RUN_ID": "1", "GROUP_RANK": "1", "RANK": "3", "LOCAL_RANK": "1"},
        **{"WORLD_SIZE": "4", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "10.0.0.1", "MASTER_PORT": "1"},
    },
    "kubeflow": {
        "KUBERNETES_PORT": "tcp://10.0.0.1:443",
        "MASTER_ADDR": "a",
        "MASTER_PORT": "1",
        "WORLD_SIZE": "2",
        "RANK": "1",
    },
    "lsf": {
        "LSB_JOBID": "1",
        "LSB_DJOB_RANKFILE": "/nowhere",
        "JSM_NAMESPACE_LOCAL_RANK": "1",
        "JSM_NAMESPACE_SIZE": "2",
    },
    "mpi": {"OMPI_COMM_WORLD_RANK": "1", "OMPI_COMM_WORLD_SIZE": "2", "OMPI_COMM_WORLD_LOCAL_RANK": "1"},
    "lightning": {
        **{"PL_TRAINER_LIMIT_TRAIN_BATCHES": "2", "PL_TRAINER_ACCUMULATE_GRAD_BATCHES": "4", "PL_GLOBAL_SEED": "5"},
        **{"PL_TRAINER_FAST_DEV_RUN": "True", "PL_TRAINER_PRECISION": "16", "NODE_RANK": "1", "STANDALONE_PORT": "x"},
    },
}


@pytest.fixture(scope="module")
def expected(fit: Fit) -> Any:
    """The run as it is without a cluster."""
    return fit()


@pytest.mark.parametrize("cluster", slow_but(["slurm"], CLUSTERS))
@pytest.mark.parametrize("precision", slow_but(["32-true"], ["32-true", "bf16-products"]))
def test_a_run_on_a_cluster_is_the_same_to_the_bit(
    cluster: str, precision: str, fit: Fit, expected: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = expected if precision == "32-true" else fit(f"trainer.precision={precision}")
    for name, value in CLUSTERS[cluster].items():
        monkeypatch.setenv(name, value)
    before = dict(os.environ)
    Hardware(**{**HARDWARE, "precision": precision}).check()
    found = fit(f"trainer.precision={precision}")
    for name in ("train/loss", "eval/mlm_loss"):
        assert found.curve(name) == alone.curve(name)
    assert dict(os.environ) == before, "what the run starts, or runs after it, finds its cluster"


@pytest.mark.parametrize("variables", [{}, CLUSTERS["slurm"]], ids=["plain", "slurm"])
def test_a_checkpoint_that_a_cluster_left_in_the_working_directory_is_not_loaded(
    variables: dict[str, str], fit: Fit, expected: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "hpc_ckpt_1.ckpt").write_bytes(b"of another run")
    monkeypatch.chdir(tmp_path)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert fit().curve("train/loss") == expected.curve("train/loss")
    assert [path.name for path in tmp_path.iterdir()] == ["hpc_ckpt_1.ckpt"]


def test_there_is_no_warning_if_srun_exists(
    fit: Fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder, capfd: Any
) -> None:
    srun = tmp_path / "srun"
    srun.write_text("#!/bin/sh\n", "utf-8")
    srun.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    Hardware(**HARDWARE).check()
    fit()
    assert not [str(each.message) for each in recwarn if "srun" in str(each.message)]
    assert "srun" not in "".join(capfd.readouterr())
