"""A store that goes away between the runs of a sweep: runs go on offline and are uploaded later, once."""

from pathlib import Path

import pytest
from mlflow.entities import Run
from mlflow.tracking import MlflowClient

from bertlab.commands.sync import sync
from bertlab.study.record import read_record
from bertlab.tracking import connection
from bertlab.tracking.parent_runs import children
from bertlab.tracking.retry import AwayError
from bertlab.tracking.run_folder import UNSENT, run_folders_in
from bertlab.tracking.run_log import RunLog
from tests.conftest import Command
from tests.experiment.test_run_study import TINY as STUDY

TINY = (
    *("data=oracle", "data.documents=60", "batch.size=4", "batch.length=35", "budget.tokens=700"),
    *("evaluation.sequences=8", "evaluation.pseudo=0", "trainer.progress=false"),
)


class Store:
    """Whether the store of the test answers; it goes away after some runs."""

    def __init__(self) -> None:
        self.is_away, self.runs_left = False, 10**6

    def ended(self) -> None:
        self.runs_left -= 1
        self.is_away |= self.runs_left == 0


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Store:
    store, connect, close = Store(), connection.connect, RunLog.close

    def refused(uri: str) -> MlflowClient:
        if store.is_away:
            raise AwayError("tracking.uri must reach an MLflow server, got nobody")
        return connect(uri)

    def closed(self: RunLog, status: str) -> None:
        close(self, status)
        store.ended()

    monkeypatch.setattr(connection, "connect", refused)
    monkeypatch.setattr("bertlab.tracking.run_log.connect", refused)
    monkeypatch.setattr(RunLog, "close", closed)
    return store


def found(kind: str) -> list[Run]:
    client = MlflowClient(f"sqlite:///{Path.cwd() / 'mlflow.db'}")
    ids = [experiment.experiment_id for experiment in client.search_experiments()]
    return list(client.search_runs(ids, f"tags.`bertlab.kind` = '{kind}'"))


def assert_all_arrived(count: int) -> None:
    (parent,) = found("sweep")
    runs = children(MlflowClient(f"sqlite:///{Path.cwd() / 'mlflow.db'}"), parent)
    assert [run.info.status for run in runs] == ["FINISHED"] * count
    assert len(found("run")) == count
    assert all(len(run.data.metrics) > 5 for run in runs)
    assert parent.info.status == "FINISHED"
    assert list(Path("outputs").rglob(UNSENT)) == []
    assert Path("mlartifacts", parent.info.run_id, "artifacts/report/report.md").is_file()


SWEEP = ("-m", *TINY, "seed=0,1,2")


def test_later_runs_go_on_offline_and_sync_brings_them(command: Command, store: Store) -> None:
    store.runs_left = 1
    code, out, err = command(*SWEEP)
    assert code == 0, err
    assert out.count("finished") == 3
    assert err.count("the run goes on without its store: tracking.uri must reach an MLflow server") == 2
    assert err.count("type bertlab sync from=outputs") == 1
    assert [cell.state()["status"] for cell in run_folders_in("outputs")] == ["FINISHED"] * 3
    assert len(list(Path("outputs/cells").glob(f"*/{UNSENT}"))) == 2
    assert len(found("run")) == 1
    store.is_away = False
    for _ in range(2):
        sync({"from": "outputs", "uri": None, "experiment": None})
        assert_all_arrived(3)


@pytest.mark.slow
def test_any_next_command_uploads_them(command: Command, store: Store) -> None:
    store.runs_left = 2
    assert command(*SWEEP)[0] == 0
    assert command(*TINY, "seed=9")[0] == 2, "a store that is away when a command begins is an error before any work"
    assert len(list(run_folders_in("outputs"))) == 3
    store.is_away = False
    code, _, err = command(*TINY, "seed=0")
    assert code == 0, err
    assert_all_arrived(3)


@pytest.mark.slow
def test_a_store_that_is_back_at_the_end_has_all(command: Command, store: Store) -> None:
    store.runs_left = 1
    end, ended = store.ended, []

    def back() -> None:
        end()
        ended.append(1)
        store.is_away &= len(ended) < 2

    store.ended = back  # type: ignore[method-assign]
    code, _, err = command(*SWEEP)
    assert code == 0, err
    assert err.count("the run goes on without its store") == 1
    assert_all_arrived(3)


@pytest.mark.slow
def test_a_study_is_judged_without_its_store_and_arrives_later(command: Command, store: Store) -> None:
    store.runs_left = 4
    words = (*STUDY, "study.seeds=3", "study.looks=[3]")
    code, out, err = command(*words)
    assert code == 0, err
    assert out.startswith("The claim ")
    record = read_record(Path("outputs/reports/padding"))
    assert len(record.runs) == len(list(run_folders_in("outputs"))) == 15
    assert len(found("run")) == 4
    assert err.splitlines()[-1].endswith("and the same command again for the rest")

    store.is_away = False
    code, again, err = command(*words)
    assert (code, again.splitlines()[:2]) == (0, out.splitlines()[:2])
    assert [run.info.status for run in found("run")] == ["FINISHED"] * 15
    assert [run.info.status for run in found("study")] == ["FINISHED"]
    anew = read_record(Path("outputs/reports/padding"))
    numbers = [name for name in anew.runs if name != "run_id"]
    assert anew.runs[numbers].equals(record.runs[numbers])
    assert list(Path("outputs").rglob(UNSENT)) == []


def test_a_single_run_does_not_begin_without_its_store(command: Command, store: Store) -> None:
    assert command(*TINY)[0] == 0
    store.is_away = True
    code, _, err = command(*TINY, "seed=1")
    assert (code, err) == (2, "bertlab: tracking.uri must reach an MLflow server, got nobody\n")
    assert len(run_folders_in("outputs")) == 1
