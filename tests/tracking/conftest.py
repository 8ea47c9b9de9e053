"""A tracking database for the session, with a separate experiment for each test."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient

from bertlab.tracking.description import Dataset, Description, Identity
from bertlab.tracking.mlflow import Tracker
from bertlab.tracking.run_folder import RunFolder, run_folder_of

Make = Callable[..., RunFolder]


@pytest.fixture(scope="session")
def uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"sqlite:///{tmp_path_factory.mktemp('tracking') / 'mlflow.db'}"


@pytest.fixture
def tracker(uri: str, request: pytest.FixtureRequest) -> Tracker:
    return Tracker(uri=uri, experiment=request.node.name)


@pytest.fixture
def client(tracker: Tracker) -> MlflowClient:
    return tracker.connect()


@pytest.fixture(scope="session")
def description() -> Description:
    return Description(
        name="mask.rate=0.3",
        params={"mask.rate": "0.3", "seed": "0"},
        tags={"bertlab.key": "abc"},
        config="seed: 0\n",
        data=Dataset("oracle", "0123456789abcdef", "bertlab", "{}", profile="{}"),
    )


@pytest.fixture
def below_a_file(tmp_path: Path) -> Path:
    """A path that no user can create: its parent is a file."""
    (tmp_path / "file").write_text("", "utf-8")
    return tmp_path / "file" / "mlflow.db"


@pytest.fixture
def output_dir(tmp_path: Path) -> Path:
    return tmp_path / "outputs"


@pytest.fixture
def make(output_dir: Path, description: Description) -> Make:
    """Make a finished cell: two points and an outcome."""

    def make(
        tracker: Tracker, key: str = "abc", code: str = "code", environment: str = "here", weights: bytes = b""
    ) -> RunFolder:
        cell = run_folder_of(output_dir, key, code, Identity(key, code, environment).made_in)
        tags = {"bertlab.key": key, "bertlab.code": code, "bertlab.environment": environment}
        with cell.held(), tracker.run(replace(description, tags=tags), cell) as run:
            for step in (1, 2):
                run.log(step, {"eval/mlm_loss": 1 / step, "perf/tokens": 10.0 * step})
            run.tag("bertlab.note", "seen")
            if weights:
                (cell.folder / "model").mkdir()
                (cell.folder / "model" / "model.safetensors").write_bytes(weights)
            run.finish("eval/mlm_loss 0.500", diverged=False)
        return cell

    return make
