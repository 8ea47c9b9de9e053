"""The end of a parent run: its true status if the store answers, else one line with advice."""

from contextlib import nullcontext

import pytest
from mlflow.tracking import MlflowClient

from bertlab.config.errors import InputError
from bertlab.tracking import run_log as room
from bertlab.tracking.mlflow import Tracker
from bertlab.tracking.run_log import closing_parent, sync_command


@pytest.fixture
def parent(tracker: Tracker, client: MlflowClient) -> str:
    return tracker.start(client, "sweep", {})


def away() -> None:
    raise ConnectionError("the server\nwent away")


@pytest.mark.parametrize(
    ("error", "status"), [(None, "FINISHED"), (KeyboardInterrupt(), "KILLED"), (ZeroDivisionError(), "FAILED")]
)
def test_a_parent_run_ends_with_its_true_status_and_no_words(
    tracker: Tracker,
    client: MlflowClient,
    parent: str,
    error: BaseException | None,
    status: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with pytest.raises(type(error)) if error else nullcontext(), closing_parent(tracker.uri, parent, "again"):
        if error:
            raise error
    assert client.get_run(parent).info.status == status
    traces = [file.path for file in client.list_artifacts(parent)]
    assert traces == (["traceback.txt"] if status == "FAILED" else [])
    assert caplog.messages == []


def test_what_an_absent_store_missed_is_reported_once(
    tracker: Tracker, parent: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def absent(_: str) -> None:
        raise InputError("nobody there")

    monkeypatch.setattr(room, "connect", absent)
    with closing_parent(tracker.uri, parent, sync_command("my runs")) as telling:
        assert telling(away) is None
        assert telling(lambda: 7) == 7
    assert caplog.messages == [
        f"the store went away, parent run {parent} is not complete there: the server went away; "
        "when it is back, type bertlab sync from='my runs'"
    ]


def test_an_error_of_our_own_is_not_taken_for_a_store_that_went_away(tracker: Tracker, parent: str) -> None:
    with pytest.raises(ZeroDivisionError), closing_parent(tracker.uri, parent, "again") as telling:
        telling(lambda: 1 // 0)


def test_a_key_that_tracking_does_not_have_is_refused() -> None:
    with pytest.raises(InputError, match=r"^nonsense is not a key of this part; leave it out$"):
        Tracker(uri=None, experiment="bertlab", nonsense=1)  # type: ignore[call-arg]
