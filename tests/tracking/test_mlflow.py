"""A run's life in MLflow: it ends with its true status, and with every number once."""

import platform
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import closing as closed
from pathlib import Path

import mlflow
import pytest
from mlflow.entities import Dataset, Run
from mlflow.tracking import MlflowClient

from bertlab.config.errors import InputError
from bertlab.tracking import connection as room
from bertlab.tracking import description as described
from bertlab.tracking.address import ui_command
from bertlab.tracking.connection import _make_tables
from bertlab.tracking.description import NOTE, TEXT_LIMIT, Description
from bertlab.tracking.mlflow import Tracker
from bertlab.tracking.run_folder import RunFolder
from bertlab.tracking.run_log import RunLog


def break_after_a_point(log: RunLog, error: BaseException) -> None:
    log.log(1, {"train/loss": 2.5})
    raise error


def only_run(client: MlflowClient, tracker: Tracker) -> Run:
    (run,) = client.search_runs([tracker.experiment_id(client)])
    return run


def artifact(client: MlflowClient, run: Run, name: str, folder: Path) -> str:
    return Path(client.download_artifacts(run.info.run_id, name, str(folder))).read_text("utf-8")


def test_a_run_that_ends_well_is_finished(
    tracker: Tracker, client: MlflowClient, description: Description, tmp_path: Path
) -> None:
    with tracker.run(description) as log:
        log.log(1, {"train/loss": 2.5})
        assert only_run(client, tracker).info.status == "RUNNING"
    run = only_run(client, tracker)
    assert (run.info.status, run.info.run_name) == ("FINISHED", "mask.rate=0.3")
    assert run.data.params == {"mask.rate": "0.3", "seed": "0"}
    assert run.data.metrics == {"train/loss": 2.5}
    assert (run.data.tags["bertlab.key"], run.data.tags["bertlab.kind"]) == ("abc", "run")
    assert artifact(client, run, "config.yaml", tmp_path) == "seed: 0\n"
    assert [path.path for path in client.list_artifacts(run.info.run_id)] == [
        "config.yaml",
        "curves.feather",
        "origin.json",
        "source",
    ]


def test_a_run_records_what_it_is_who_started_it_and_the_packages(
    tracker: Tracker, client: MlflowClient, description: Description, tmp_path: Path
) -> None:
    with tracker.run(description):
        pass
    run = only_run(client, tracker)
    assert run.data.tags[NOTE].startswith("**mask.rate=0.3**: seed 0.")
    assert run.data.tags["bertlab.host"] == platform.node()
    assert run.data.tags["mlflow.source.name"] == "bertlab"
    assert f"mlflow=={mlflow.__version__}\n" in artifact(client, run, "source/requirements.txt", tmp_path)


def test_a_commit_comes_with_what_was_changed_since_but_for_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def git(*words: str) -> None:
        subprocess.run(["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b", *words], check=True)

    monkeypatch.setattr(described, "CHECKOUT", tmp_path)
    for cached in (described.source_tags, described.patch):
        cached.cache_clear()
        monkeypatch.setattr(described, cached.__name__, cached.__wrapped__)
    assert "mlflow.source.git.commit" not in described.source_tags()
    git("init", "--quiet")
    (tmp_path / "a.py").write_text("rate = 1\n", "utf-8")
    git("add", ".")
    git("commit", "--quiet", "--message", "first")
    assert len(described.source_tags()["mlflow.source.git.commit"]) == 40
    assert "bertlab.uncommitted" not in described.source_tags()
    (tmp_path / "a.py").write_text("rate = 2\nAPI_TOKEN=abcdefgh\n", "utf-8")
    assert described.source_tags()["bertlab.uncommitted"] == "true"
    assert "+rate = 2" in described.patch()
    assert "abcdefgh" not in described.patch()


def test_the_dataset_is_logged(tracker: Tracker, client: MlflowClient, description: Description) -> None:
    with tracker.run(description):
        pass
    inputs = only_run(client, tracker).inputs
    assert inputs is not None
    (logged,) = inputs.dataset_inputs
    assert isinstance(logged.dataset, Dataset)
    assert (logged.dataset.name, logged.dataset.digest) == ("oracle", "0123456789abcdef")
    assert {tag.key: tag.value for tag in logged.tags} == {"mlflow.data.context": "training"}


def test_a_run_that_breaks_is_failed_and_keeps_its_traceback(
    tracker: Tracker, client: MlflowClient, description: Description, tmp_path: Path
) -> None:
    with pytest.raises(ZeroDivisionError), tracker.run(description) as log:
        break_after_a_point(log, ZeroDivisionError("division by zero"))
    run = only_run(client, tracker)
    assert run.info.status == "FAILED"
    assert run.data.metrics == {"train/loss": 2.5}
    assert "ZeroDivisionError: division by zero" in artifact(client, run, "traceback.txt", tmp_path)


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, SystemExit])
def test_a_run_that_is_interrupted_is_killed(
    tracker: Tracker, client: MlflowClient, description: Description, interruption: type[BaseException]
) -> None:
    with pytest.raises(interruption), tracker.run(description) as log:
        break_after_a_point(log, interruption())
    run = only_run(client, tracker)
    assert run.info.status == "KILLED"
    assert run.data.metrics == {"train/loss": 2.5}


def test_every_number_arrives_once(tracker: Tracker, client: MlflowClient, description: Description) -> None:
    with tracker.run(description) as log:
        for step in range(1, 1302):
            log.log(step, {"train/loss": 1 / step, "perf/tokens": float(step)})
        log.flush()
        log.flush()
        log.log(1302, {"train/loss": 0.5})
    run_id = only_run(client, tracker).info.run_id
    losses = [(point.step, point.value) for point in client.get_metric_history(run_id, "train/loss")]
    assert sorted(losses) == [(step, 1 / step) for step in range(1, 1302)] + [(1302, 0.5)]
    assert len(client.get_metric_history(run_id, "perf/tokens")) == 1301


def test_a_tag_may_be_set_while_a_run_runs(tracker: Tracker, client: MlflowClient, description: Description) -> None:
    with tracker.run(description) as log:
        log.tag("bertlab.diverged", "true")
    assert only_run(client, tracker).data.tags["bertlab.diverged"] == "true"


def test_long_values_are_cut_and_not_refused(tracker: Tracker, client: MlflowClient, description: Description) -> None:
    long = "x" * 20_000
    endless = Description("long", {"data.files": long}, {"bertlab.data": long}, long, description.data)
    with tracker.run(endless):
        pass
    run = only_run(client, tracker)
    assert run.info.status == "FINISHED"
    assert run.data.params["data.files"] == run.data.tags["bertlab.data"] == long[:TEXT_LIMIT]


def test_a_run_stands_under_its_parent(tracker: Tracker, client: MlflowClient, description: Description) -> None:
    parent = tracker.start(client, "sweep", {})
    child = Tracker(uri=tracker.uri, experiment=tracker.experiment, parent=parent)
    with child.run(description):
        pass
    runs = client.search_runs([tracker.experiment_id(client)])
    parents = {run.info.run_name: run.data.tags.get("mlflow.parentRunId") for run in runs}
    assert parents == {"sweep": None, "mask.rate=0.3": parent}


def test_the_link_to_the_runs_shows_no_password_and_asks_no_store(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, client: MlflowClient
) -> None:
    monkeypatch.setattr(room, "experiment_id", lambda *_: "3")
    tracker = Tracker(uri="http://bert:s3cret@host.invalid:5000/base", experiment="bertlab")
    assert "runs:" not in tracker.where(tmp_path), "the experiment is not known yet"
    tracker.experiment_id(client)
    told = tracker.where(tmp_path)
    assert "http://host.invalid:5000/base/#/experiments/3?workflowType=machine_learning" in told
    assert "s3cret" not in told


def test_the_experiment_is_made_once_and_keeps_its_files_next_to_the_database(
    tracker: Tracker, client: MlflowClient
) -> None:
    first, again = tracker.experiment_id(client), tracker.experiment_id(client)
    assert first == again
    folder = Path(tracker.uri.removeprefix("sqlite:///")).parent
    assert client.get_experiment(first).artifact_location.startswith((folder / "mlartifacts").as_uri())


def test_new_databases_are_copies_of_one_that_was_made_once_and_holds_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BERTLAB_CACHE", str(tmp_path / "cache"))
    made: list[Path] = []

    def make(folder: Path) -> None:
        made.append(folder)
        _make_tables(folder)

    monkeypatch.setattr(room, "_make_tables", make)
    clients = []
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        clients.append(Tracker(uri=f"sqlite:///{tmp_path / name / 'mlflow.db'}", experiment="own").connect())
    assert len(made) == 1
    for name, client in zip(("one", "other"), clients, strict=True):
        (first,) = client.search_experiments()
        assert first.artifact_location == str(tmp_path / name / "mlruns" / "0")
        assert client.search_runs([first.experiment_id]) == []


def test_a_database_is_made_under_a_lock_file_that_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    seen: list[set[str]] = []
    copy = shutil.copyfile

    def copied(source: Path, target: Path) -> None:
        seen.append({path.name for path in tmp_path.glob(".*.lock")})
        copy(source, target)

    monkeypatch.setattr(room.shutil, "copyfile", copied)
    for _ in range(2):
        Tracker(uri=f"sqlite:///{tmp_path / 'mlflow.db'}", experiment="own").connect()
    assert seen == [{".mlflow.db.lock"}]
    assert {path.name for path in tmp_path.iterdir()} == {"mlflow.db", "temporary"}
    assert not [*(tmp_path / "temporary").glob("bertlab*")]


def test_a_cache_that_cannot_hold_the_tables_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("BERTLAB_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(InputError, match="the cache folder must be writable"):
        Tracker(uri=f"sqlite:///{tmp_path / 'mlflow.db'}", experiment="own").connect()
    assert not (tmp_path / "mlflow.db").exists()


@pytest.mark.parametrize(
    ("given", "environment", "expected"),
    [
        ("sqlite:///given.db", {"MLFLOW_TRACKING_URI": "http://elsewhere"}, "sqlite:///{folder}/given.db"),
        (
            None,
            {"MLFLOW_TRACKING_URI": "sqlite:///../told.db?timeout=9"},
            "sqlite:///{folder.parent}/told.db?timeout=9",
        ),
        (None, {"MLFLOW_TRACKING_URI": "http://elsewhere"}, "http://elsewhere"),
        (None, {}, "sqlite:///{folder}/mlflow.db"),
    ],
)
def test_the_store_is_the_one_given_else_the_environments_else_a_file_here(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, given: str | None, environment: Mapping[str, str], expected: str
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert Tracker(uri=given, experiment="bertlab").uri == expected.format(folder=tmp_path)


@pytest.fixture
def silent_server() -> Iterator[str]:
    """A server that takes connections and never answers."""
    with closed(socket.create_server(("127.0.0.1", 0))) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def nobody() -> str:
    """An address where no program listens."""
    with closed(socket.create_server(("127.0.0.1", 0))) as server:
        port = server.getsockname()[1]
    return f"http://127.0.0.1:{port}"


def test_a_server_that_is_not_there_is_an_input_error_at_once(nobody: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    with pytest.raises(
        InputError, match=rf"tracking\.uri must reach an MLflow server, got {nobody}: .*start the server"
    ):
        Tracker(uri=nobody, experiment="bertlab").connect()
    assert pauses == []


def test_a_server_that_does_not_answer_is_an_input_error(silent_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert room.REACH_SECONDS <= 5
    monkeypatch.setattr(room, "REACH_SECONDS", 0.2)
    with pytest.raises(
        InputError, match=rf"tracking\.uri must reach an MLflow server, got {silent_server}: .*timed out"
    ):
        Tracker(uri=silent_server, experiment="bertlab").connect()


def test_a_database_in_a_folder_that_is_not_there_is_an_input_error_and_makes_nothing(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"tracking\.uri must be a database that can be written, got .*absent/mlflow\.db"
    ):
        Tracker(uri=f"sqlite:///{tmp_path}/absent/mlflow.db", experiment="bertlab").connect()
    assert list(tmp_path.iterdir()) == []


def test_a_database_below_a_file_is_an_input_error(below_a_file: Path) -> None:
    with pytest.raises(InputError, match=r"tracking\.uri must be a database that can be written"):
        Tracker(uri=f"sqlite:///{below_a_file}", experiment="bertlab").connect()


def test_a_file_that_is_no_database_is_an_input_error_and_stays_as_it_was(tmp_path: Path) -> None:
    file = tmp_path / "letter.db"
    file.write_text("Dear reader, " * 500, "utf-8")
    with pytest.raises(
        InputError, match=r"tracking\.uri must name an MLflow store, got sqlite:.*letter\.db: .*not a database"
    ):
        Tracker(uri=f"sqlite:///{file}", experiment="bertlab").connect()
    assert file.read_text("utf-8") == "Dear reader, " * 500


@pytest.mark.parametrize("uri", ["ftp://somewhere", "postgresql://nobody@127.0.0.1:1/none", "::"])
def test_a_store_of_an_unknown_kind_is_an_input_error(uri: str) -> None:
    with pytest.raises(InputError, match=r"tracking\.uri must name a.* got ") as caught:
        Tracker(uri=uri, experiment="bertlab").connect()
    assert "\n" not in str(caught.value)


def test_the_line_that_opens_the_ui_names_the_store() -> None:
    opens = f"{sys.executable} -m mlflow ui --host 127.0.0.1 --workers 1 --backend-store-uri sqlite:////data/mlflow.db"
    assert ui_command("sqlite:////data/mlflow.db") == opens
    assert ui_command("https://mlflow.example") == "open https://mlflow.example"


@pytest.mark.parametrize("weights", ["yes", 1, None])
def test_whether_weights_are_kept_is_true_or_false(weights: object) -> None:
    with pytest.raises(InputError, match=rf"^weights must be true or false, got {weights}; choose one$"):
        Tracker(uri=None, experiment="bertlab", weights=weights)  # type: ignore[arg-type]
    assert Tracker(uri=None, experiment="bertlab").weights is True


def test_a_run_that_is_started_again_says_how_often(
    tracker: Tracker, client: MlflowClient, description: Description, tmp_path: Path
) -> None:
    cell = RunFolder(tmp_path / "cell")
    for _ in range(2):
        with cell.held(), pytest.raises(KeyboardInterrupt), tracker.run(description, cell) as run:
            assert client.get_run(run.run_id).data.tags.get("bertlab.restarts") is None
            raise KeyboardInterrupt
    with cell.held(), tracker.run(description, cell) as run:
        run.tag("own", "yes")
    tags = client.get_run(run.run_id).data.tags
    assert (tags["bertlab.restarts"], tags["own"]) == ("2", "yes")
