"""One sweep is one run in the store, even if it was killed often, or started elsewhere at the same time."""

import json
import signal
import threading
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from subprocess import Popen
from typing import Any

import pytest
from mlflow.entities import Run
from mlflow.tracking import MlflowClient

from bertlab.commands.server.tracking import mlflow_server
from bertlab.tracking.description import KIND, PARENT
from tests.experiment.test_run_study import LOOKS
from tests.experiment.test_run_study import TINY as STUDY
from tests.integration.test_stopped import until

pytestmark = pytest.mark.integration

SWEEP = (
    *("-m", "bertlab.run", "-m", "data=oracle", "data.documents=60", "batch.size=4", "batch.length=35"),
    *("evaluation.sequences=8", "evaluation.pseudo=0", "trainer.progress=false", "trainer.checkpoint_seconds=0"),
    *("budget.tokens=20000", "seed=0,1,2"),
)
Spawn = Callable[..., Popen[str]]


def runs(client: MlflowClient, kind: str) -> list[Run]:
    experiment = client.get_experiment_by_name("bertlab")
    return list(client.search_runs([experiment.experiment_id], f"tags.`{KIND}` = '{kind}'")) if experiment else []


def leases(client: MlflowClient) -> list[str]:
    return [key for key in client.get_experiment_by_name("bertlab").tags if key.startswith("bertlab.lease")]


def test_a_sweep_that_is_killed_again_and_again_has_one_parent_and_all_its_runs(tmp_path: Path, spawn: Spawn) -> None:
    client = MlflowClient(uri := f"sqlite:///{tmp_path / 'mlflow.db'}")
    for done in range(2):  # each time while it trains another of its runs

        def trains(done: int = done) -> bool:
            finished = len([*tmp_path.glob("outputs/cells/*/record.json")])
            return finished >= done and any(tmp_path.glob("outputs/cells/*/checkpoint-*"))

        sweep = spawn(*SWEEP, f"tracking.uri={uri}")
        assert until(trains, 120)
        sweep.send_signal(signal.SIGKILL)
        sweep.wait()
    sweep = spawn(*SWEEP, f"tracking.uri={uri}")
    _, err = sweep.communicate(timeout=300)
    assert sweep.returncode == 0, err
    (parent,) = runs(client, "sweep")
    assert parent.info.status == "FINISHED"
    found = runs(client, "run")
    assert sorted(run.info.run_name for run in found) == ["seed=0", "seed=1", "seed=2"]
    assert {(run.data.tags[PARENT], run.info.status) for run in found} == {(parent.info.run_id, "FINISHED")}
    assert leases(client) == []


@pytest.mark.parametrize(
    ("kind", "words", "made"), [("sweep", SWEEP, 3), ("study", ("-m", "bertlab.run", *STUDY, *LOOKS), None)]
)
def test_what_is_typed_in_two_folders_at_once_is_trained_once(
    kind: str, words: tuple[str, ...], made: int | None, tmp_path: Path, spawn: Spawn
) -> None:
    client = MlflowClient(uri := f"sqlite:///{tmp_path / 'mlflow.db'}")
    sweeps = [spawn(*words, f"tracking.uri={uri}", f"output_dir={name}") for name in ("one", "two")]
    ended = [sweep.communicate(timeout=500) for sweep in sweeps]
    assert [sweep.returncode for sweep in sweeps] == [0, 0], ended
    (parent,) = runs(client, kind)
    found = runs(client, "run")
    keys = Counter(run.data.tags["bertlab.key"] for run in found)
    assert set(keys.values()) == {1}
    assert made in (None, len(found))
    assert {(run.data.tags[PARENT], run.info.status) for run in found} == {(parent.info.run_id, "FINISHED")}
    assert parent.info.status == "FINISHED"
    assert sum("leads this already" in err for _, err in ended) == 1
    for name in ("one", "two"):
        assert [*(tmp_path / name).glob("**/report.md"), *(tmp_path / name).glob("reports/padding.md")]


@pytest.fixture
def losing(tmp_path: Path) -> Iterator[tuple[str, str, list[str]]]:
    """A server, the address of a proxy that loses the first answer to each create, and the names asked for."""
    asked: list[str] = []

    class Proxy(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._forward()

        def do_POST(self) -> None:
            self._forward()

        def do_PUT(self) -> None:
            self._forward()

        def do_PATCH(self) -> None:
            self._forward()

        def _forward(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            kept = {name: text for name, text in self.headers.items() if name.lower() not in ("host", "connection")}
            request = urllib.request.Request(f"{address}{self.path}", body or None, kept, method=self.command)
            try:
                with urllib.request.urlopen(request) as answer:
                    status, content = answer.status, answer.read()
            except urllib.error.HTTPError as error:
                status, content = error.code, error.read()
            if self.path.endswith("runs/create"):
                asked.append(json.loads(body)["run_name"])
                if asked.count(asked[-1]) == 1:
                    status, content = 500, b"{}"
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            pass

    (tmp_path / "server").mkdir()
    with mlflow_server(f"sqlite:///{tmp_path / 'server' / 'mlflow.db'}", tmp_path / "server") as address:
        proxy = ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
        thread = threading.Thread(target=proxy.serve_forever)
        thread.start()
        yield address, f"http://127.0.0.1:{proxy.server_port}", asked
        proxy.shutdown()
        thread.join()
        proxy.server_close()


def test_lost_answers_to_creates_leave_no_twins(
    losing: tuple[str, str, list[str]], tmp_path: Path, spawn: Spawn
) -> None:
    address, proxy, asked = losing
    sweep = spawn(*SWEEP, f"tracking.uri={proxy}")
    _, err = sweep.communicate(timeout=400)
    assert sweep.returncode == 0, err
    client = MlflowClient(address)
    assert sorted(asked) == ["seed=0", "seed=0,1,2", "seed=1", "seed=2"]
    found = [*runs(client, "sweep"), *runs(client, "run")]
    assert sorted((run.info.run_name, run.info.status) for run in found) == [
        (name, "FINISHED") for name in sorted(asked)
    ]
    (curves,) = tmp_path.glob("outputs/sweeps/*/report/report/runs.csv")
    assert len(curves.read_text("utf-8").splitlines()) == 4
