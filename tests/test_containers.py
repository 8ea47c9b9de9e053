"""The Dockerfile and the compose file name the versions, files, ports and variables that the project has."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.specifiers import SpecifierSet

from bertlab.commands.server import DEFAULTS
from bertlab.commands.server.processes import START_SECONDS, STOP_SECONDS
from bertlab.commands.server.tracking import FIRST

ROOT = Path(__file__).parents[1]
DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def test_the_image_has_a_python_that_the_project_takes_and_the_pinned_versions() -> None:
    (version,) = re.findall(r"^FROM python:([\d.]+)-", DOCKERFILE, re.MULTILINE)
    assert SpecifierSet(PROJECT["requires-python"]).contains(f"{version}.1")
    (extras,) = re.findall(r"^RUN pip install .*--constraint constraints\.txt '\.\[(.+)\]'$", DOCKERFILE, re.MULTILINE)
    assert "server" in extras.split(",")
    assert set(extras.split(",")) <= PROJECT["optional-dependencies"].keys()
    (entry,) = re.findall(r'^ENTRYPOINT \["(\w+)"\]$', DOCKERFILE, re.MULTILINE)
    assert entry in PROJECT["scripts"]


def test_the_image_takes_what_the_wheel_is_made_of_and_no_more_is_sent() -> None:
    copied = [name for line in re.findall(r"^COPY (.+)$", DOCKERFILE, re.MULTILINE) for name in line.split()[:-1]]
    assert all((ROOT / name).exists() for name in copied)
    sent = [line[1:] for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if line.startswith("!")]
    assert sent == copied
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert {*wheel["packages"], *wheel["force-include"]} <= set(copied)


def test_services_find_each_other_and_no_password_is_written_down() -> None:
    database, server, worker = (COMPOSE["services"][name] for name in ("database", "server", "worker"))
    command, *words = server["command"]
    own = dict(word.split("=", 1) for word in words)
    assert command == "server"
    assert own.keys() <= DEFAULTS.keys()
    assert own["database"].startswith(f"postgresql+psycopg2://{database['environment']['POSTGRES_USER']}@database/")
    assert worker["environment"]["MLFLOW_TRACKING_URI"] == f"http://server:{own['port']}"
    assert server["environment"]["MLFLOW_SERVER_ALLOWED_HOSTS"].startswith(f"server:{own['port']},")
    assert server["ports"] == [f"127.0.0.1:{own['port']}:{own['port']}"]
    assert f"127.0.0.1:{own['port']}/health" in server["healthcheck"]["test"][-1]
    assert server["healthcheck"]["start_period"] == f"{START_SECONDS:.0f}s"
    assert float(server["stop_grace_period"].rstrip("s")) > STOP_SECONDS
    secret = {
        database["environment"]["POSTGRES_PASSWORD"]: server["environment"]["PGPASSWORD"],
        server["environment"][FIRST]: worker["environment"]["MLFLOW_TRACKING_PASSWORD"],
    }
    for first, second in secret.items():
        assert first.startswith("${")
        assert first.strip("${}").partition(":")[0] == second.strip("${}")
    volumes = {volume.partition(":")[0] for service in COMPOSE["services"].values() for volume in service["volumes"]}
    assert volumes == COMPOSE["volumes"].keys()


@pytest.mark.parametrize("service", ["server", "worker"])
def test_the_page_says_how_each_service_is_used(service: str) -> None:
    page = (ROOT / "docs" / "cluster.md").read_text("utf-8")
    assert re.search(rf"^docker compose (up|run).* {service}\b", page, re.MULTILINE)
    for variable in re.findall(r"\$\{(\w+)", (ROOT / "compose.yaml").read_text("utf-8")):
        assert variable in page
