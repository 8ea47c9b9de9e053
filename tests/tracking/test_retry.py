"""A run is created once, even if answers of the store are lost."""

import json
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from mlflow.tracking import MlflowClient

from bertlab.tracking import retry
from bertlab.tracking.description import Description
from bertlab.tracking.mlflow import Tracker
from bertlab.tracking.retry import created, find_token


@pytest.fixture
def losing(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let the store create every run, but lose its first answer; return the requested names."""
    asked: list[str] = []
    make = MlflowClient.create_run

    def lose(client: MlflowClient, *rest: Any, **fields: Any) -> Any:
        run = make(client, *rest, **fields)
        asked.append(fields["run_name"])
        if asked.count(fields["run_name"]) == 1:
            raise ConnectionError("500 after the work was done")
        return run

    monkeypatch.setattr(MlflowClient, "create_run", lose)
    return asked


def test_a_create_whose_answer_was_lost_makes_no_twin(
    tracker: Tracker, client: MlflowClient, description: Description, losing: list[str]
) -> None:
    tracker.parent = tracker.start(client, "sweep", {})
    with tracker.run(description) as log:
        log.log(1, {"train/loss": 2.5})
    names = [run.info.run_name for run in client.search_runs([tracker.experiment_id(client)])]
    assert sorted(names) == ["mask.rate=0.3", "sweep"]
    assert losing == ["sweep", "mask.rate=0.3"], "what was made is found before it is asked for again"


def test_of_twins_the_older_one_goes_on(tracker: Tracker, client: MlflowClient) -> None:
    experiment = tracker.experiment_id(client)
    first = client.create_run(experiment, start_time=1, tags={"bertlab.cell": "twin"})
    client.create_run(experiment, start_time=2, tags={"bertlab.cell": "twin"})
    found = find_token(client, experiment, "twin")
    assert found is not None
    assert found.info.run_id == first.info.run_id
    assert created(client, experiment, "twin", "again", {}).info.run_id == first.info.run_id


class Faulty(BaseHTTPRequestHandler):
    """A server that takes every request and answers 500 to a create."""

    posts: list[str] = []  # noqa: RUF012  # of the test that made this class

    def do_POST(self) -> None:
        """Take a create, or find nothing."""
        self.rfile.read(int(self.headers["Content-Length"]))
        self.posts.append(self.path.rpartition("/")[2])
        is_create = self.posts[-1] == "create"
        self.send_response(500 if is_create else 200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps({} if not is_create else {"error_code": "INTERNAL_ERROR"}).encode())

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def faulty() -> Iterator[tuple[str, list[str]]]:
    """Its address, and the requests to it."""
    handler = type("Own", (Faulty,), {"posts": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", handler.posts
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("retries", ["2", None])
def test_mlflow_does_not_repeat_a_create_by_itself(
    faulty: tuple[str, list[str]], retries: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri, posts = faulty
    monkeypatch.delenv(retry.RETRIES, raising=False)
    if retries:
        monkeypatch.setenv(retry.RETRIES, retries)
    with pytest.raises(Exception, match="500"):
        created(MlflowClient(uri), "0", "token", "a run", {})
    assert posts == ["search", "create"]
    assert os.environ.get(retry.RETRIES) == retries
