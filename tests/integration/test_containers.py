"""What the compose file says, tried: in containers where a runtime answers, and as processes of this machine."""

import json
import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from shutil import which
from typing import Any

import pytest
import yaml

from bertlab.commands.server import free_port, postgres, programs
from tests.integration.conftest import ROOT
from tests.integration.test_stopped import until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(3600)]

COMPOSE = ROOT / "compose.yaml"
TINY = (
    *("data=oracle", "data.documents=60", "batch.size=4", "batch.length=35", "budget.tokens=700"),
    *("evaluation.sequences=8", "evaluation.pseudo=0", "trainer.progress=false", "seed=0,1"),
)
SECRETS = {name: secrets.token_hex(12) for name in ("BERTLAB_DATABASE_PASSWORD", "BERTLAB_PASSWORD")}


def runtime() -> list[str]:
    """Return the words of a runtime that answers. Skips the test where there is none."""
    for name in ("docker", "podman"):
        words = [name, "compose"]
        if which(name) and not any(
            subprocess.run(each, capture_output=True, check=False).returncode
            for each in ([*words, "version"], [name, "info"])
        ):
            return words
    pytest.skip("no container runtime answers: neither docker compose nor podman compose")


def test_the_containers_build_and_a_worker_tracks_its_runs_on_the_server() -> None:
    compose = [*runtime(), "--file", str(COMPOSE), "--project-name", "bertlab-test"]
    env = {**os.environ, **SECRETS}
    try:
        subprocess.run([*compose, "up", "--build", "--detach", "--wait", "server"], check=True, env=env)
        subprocess.run([*compose, "run", "--rm", "worker", "sweep", *TINY], check=True, env=env)
        listed = subprocess.run(
            [*compose, "run", "--rm", "worker", "runs"], check=True, env=env, capture_output=True, text=True
        )
        assert listed.stdout.count("finished") == 2
    finally:
        subprocess.run([*compose, "down", "--volumes"], check=False, env=env)


@pytest.mark.skipif(programs() is None, reason="PostgreSQL is not installed")
def test_commands_and_variables_of_the_services_work_together_as_processes(tmp_path: Path) -> None:
    """Addresses of containers become those of this machine; PostgreSQL has its own password."""
    services: dict[str, Any] = yaml.safe_load(COMPOSE.read_text("utf-8"))["services"]
    port = str(free_port())
    with tempfile.TemporaryDirectory() as name, postgres(Path(name)) as uri:
        database, password = Path(name), (Path(name) / "pgpass").read_text("utf-8").strip().rpartition(":")[2]
        own = {
            "${BERTLAB_DATABASE_PASSWORD}": password,
            "@database/bertlab": f"@/postgres?host={database}",
            "=/runs": f"={tmp_path}/runs",
            "//server:": "//127.0.0.1:",
            "5000": port,
        }
        assert "passfile" in uri, "the password that the test gives is the one that counts"
        words = [here(word, own) for word in services["server"]["command"]]
        command = [sys.executable, "-m", "bertlab"]
        server = subprocess.Popen([*command, *words], env=variables(services["server"], own), cwd=tmp_path)
        try:
            assert until((tmp_path / "runs" / "mlflow.log").exists, 60)
            worker = variables(services["worker"], own)
            address = worker["MLFLOW_TRACKING_URI"]
            probe = ["curl", "--silent", "--fail", "--output", os.devnull, f"{address}/health"]
            assert until(lambda: subprocess.run(probe, check=False).returncode == 0, 200)
            swept = subprocess.run([*command, "sweep", *TINY], env=worker, cwd=tmp_path, capture_output=True, text=True)
            assert swept.returncode == 0, swept.stderr
            stranger = {**worker, "MLFLOW_TRACKING_PASSWORD": "password1234"}
            refused = subprocess.run([*command, "runs"], env=stranger, cwd=tmp_path, capture_output=True, text=True)
            assert refused.returncode == 2
            assert refused.stderr.count("\n") == 1
        finally:
            server.terminate()
            server.wait(60)
        kept = json.loads(sql(database, password, "select json_agg(status) from runs"))
        assert kept == ["FINISHED"] * 3, "two runs and their sweep"


def here(text: str, own: Mapping[str, str]) -> str:
    """Replace what holds in containers alone."""
    for name, value in own.items():
        text = text.replace(name, value)
    return text


def variables(service: Mapping[str, Any], own: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of a service, and those that any process needs."""
    given = {name: here(value, own) for name, value in service["environment"].items()}
    given = {
        name: SECRETS["BERTLAB_PASSWORD"] if "BERTLAB_PASSWORD" in value else value for name, value in given.items()
    }
    return {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "MLFLOW_DISABLE_TELEMETRY": "true", **given}


def sql(folder: Path, password: str, query: str) -> str:
    """Return what a query gives."""
    place = programs()
    assert place is not None
    words = [place / "psql", "-w", "-h", folder, "-U", "bertlab", "-d", "postgres", "-Atc", query]
    return subprocess.run(
        words, env={"PGPASSWORD": password}, cwd="/", capture_output=True, text=True, check=True
    ).stdout
