"""The compose file in containers, if a container runtime answers."""

import os
import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path
from shutil import which
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from mlflow import MlflowClient

from bertlab.tracking.description import KIND
from tests.integration.conftest import ROOT

pytestmark = [pytest.mark.integration, pytest.mark.timeout(3600)]

COMPOSE = ROOT / "compose.yaml"
PROJECT = "bertlab-test"
SERVER = "http://localhost:5000"
TINY = (
    *("data=oracle", "data.documents=60", "batch.size=4", "batch.length=35", "budget.tokens=700"),
    *("evaluation.sequences=8", "evaluation.pseudo=0", "trainer.progress=false"),
)
SECRETS = {name: secrets.token_hex(12) for name in ("BERTLAB_DATABASE_PASSWORD", "BERTLAB_PASSWORD")}
UP = ("up", "--detach", "--wait", "server")
WORKER = ("run", "--rm", "-T", "worker")


def runtime() -> list[str]:
    """Return the command of a runtime that answers. Skips the test if there is none."""
    for name in ("docker", "podman"):
        words = [name, "compose"]
        if which(name) and not any(
            subprocess.run(each, capture_output=True, check=False).returncode
            for each in ([*words, "version"], [name, "info"])
        ):
            return words
    pytest.skip("no container runtime answers: neither docker compose nor podman compose")


@pytest.fixture
def compose() -> Iterator[list[str]]:
    """The first words of each command, for a separate project that is removed completely."""
    words = [*runtime(), "--file", str(COMPOSE), "--project-name", PROJECT]
    try:
        yield words
    finally:
        print(done(words, "logs", "--no-color"))  # shown where the test fails
        done(words, "--profile", "work", "down", "--volumes")  # without the profile, volumes of workers stay


def started(compose: list[str], *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen([*compose, *words], stdout=subprocess.PIPE, text=True, env={**os.environ, **SECRETS})


def done(compose: list[str], *words: str) -> str:
    """Return the output of a command, which must succeed."""
    with started(compose, *words) as process:
        printed = process.communicate()[0]
    assert process.returncode == 0, printed
    return printed


def test_two_workers_track_their_runs_on_a_server_that_keeps_them_and_asks_who_is_there(
    compose: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done(compose, "build", "server")
    done(compose, *UP)
    with pytest.raises(HTTPError, match="401"):
        urlopen(f"{SERVER}/api/2.0/mlflow/experiments/get?experiment_id=0")
    for worker in [started(compose, *WORKER, "sweep", *TINY, f"seed={seeds}") for seeds in ("0,1", "2,3")]:
        with worker:
            printed = worker.communicate()[0]
        assert worker.returncode == 0, printed

    done(compose, "down")
    done(compose, *UP)
    assert done(compose, *WORKER, "runs").count("finished") == 4
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "admin")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", SECRETS["BERTLAB_PASSWORD"])
    store = MlflowClient(SERVER)
    experiments = [experiment.experiment_id for experiment in store.search_experiments()]
    kept = store.search_runs(experiments, f"tags.`{KIND}` = 'run'")
    assert [run.info.status for run in kept] == ["FINISHED"] * 4

    done(compose, "cp", "server:/runs/artifacts", str(tmp_path))
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len([path for path in files if path.name == "report.html"]) == 2
    assert len([path for path in files if path.name == "model.safetensors"]) == 4
    dump = done(compose, "exec", "-T", "database", "pg_dump", "--username", "bertlab")
    written = [dump.encode(), *(path.read_bytes() for path in files)]
    assert "PUBLIC" in dump.upper()
    assert not [name for name, secret in SECRETS.items() if any(secret.encode() in text for text in written)]
