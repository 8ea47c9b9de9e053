"""The compose file in containers, where a runtime answers."""

import os
import secrets
import subprocess
from shutil import which

import pytest

from tests.integration.conftest import ROOT

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
