"""Reports for sites: three committed studies with the facts, a ladder, and all committed reports."""

import json
import math
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bertlab.config.compose import PACKAGE
from bertlab.report.ladder import keep_predictions
from bertlab.report.site.page import HERE
from bertlab.report.site.write import write_site
from bertlab.report.study import write_study
from bertlab.study.judge import judge
from bertlab.study.ladder import predict, read_ladder
from tests.report.study.test_ladder import COMPUTE, rung

REPORTS = PACKAGE.parent / "reports"
FEW = ("cls", "heads", "mask_policy_oracle")  # one that could not be judged, a small one, one with many arms
EFFECTS = {"nano": (0.4, 0.0), "tiny": (0.25, 0.0), "mini": (0.1, 0.0)}
RULE = HERE / "static" / "rule.js"


@pytest.fixture(scope="session")
def reports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of a few reports: committed studies, the facts, and a ladder whose last rung was predicted."""
    folder = tmp_path_factory.mktemp("reports")
    for name in FEW:
        shutil.copytree(REPORTS / name, folder / name, ignore=shutil.ignore_patterns("figures", "*.xz"))
    shutil.copy(REPORTS / "facts.md", folder)
    shutil.copytree(REPORTS / "facts", folder / "facts")
    for name, effects in EFFECTS.items():
        if name == "mini":
            ladder = read_ladder(folder / "mask_rate")
            assert ladder is not None
            made = tuple(predict(ladder, name, COMPUTE[name], "2026-01-01T00:00:00+00:00"))
            keep_predictions(folder / "mask_rate", "mask_rate", made)
        write_study(judge(rung(name, *effects, later=["huge"])), folder)
    return folder


@pytest.fixture(scope="session")
def small(reports: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the site of a few reports."""
    return write_site(reports, tmp_path_factory.mktemp("small")).parent


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the site of all committed reports."""
    return write_site(REPORTS, tmp_path_factory.mktemp("whole")).parent


def plain(value: Any) -> Any:
    """Return a value as in JSON, with None for a number that is not finite."""
    if isinstance(value, dict):
        return {name: plain(own) for name, own in value.items()}
    if isinstance(value, list | tuple):
        return [plain(own) for own in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


@pytest.fixture(scope="session")
def in_node(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Any], Any]:
    """Return a function that runs JavaScript on data with the site's rule and returns the value of `result`."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not here; the rule in JavaScript is compared with it")

    def run(script: str, data: Any) -> Any:
        path = tmp_path_factory.mktemp("node") / "data.json"
        path.write_text(json.dumps(plain(data)), "utf-8")
        read = f"require({json.dumps(str(RULE))}); const data = require({json.dumps(str(path))}); let result;"
        write = "process.stdout.write(JSON.stringify(result));"
        done = subprocess.run([node, "-e", f"{read}\n{script}\n{write}"], capture_output=True, check=True, text=True)
        return json.loads(done.stdout)

    return run
