"""Only one of several processes leads a sweep; the others do not wait for a dead or silent one."""

import os
import subprocess
import sys
import threading
import time

import pytest
from mlflow.tracking import MlflowClient

from bertlab.tracking import sweep_lock as room
from bertlab.tracking.mlflow import Tracker
from bertlab.tracking.sweep_lock import LEASE, is_gone, leased, machine

ELSEWHERE = "0123 another-machine/1 17"


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in {"BEAT": 0.05, "EXPIRES": 1.0, "SETTLES": 0.05, "LOOKS": 0.02}.items():
        monkeypatch.setattr(room, name, seconds)


def tag(tracker: Tracker, client: MlflowClient) -> str | None:
    found: str | None = client.get_experiment(tracker.experiment_id(client)).tags.get(f"{LEASE}sweep")
    return found


def test_a_lease_is_held_while_the_block_runs_and_shows_that_its_holder_lives(
    tracker: Tracker, client: MlflowClient
) -> None:
    with leased(tracker, client, "sweep"):
        first = tag(tracker, client)
        assert first is not None
        assert first.split()[1:3] == [machine(), str(os.getpid())]
        end = time.monotonic() + 20
        while tag(tracker, client) == first and time.monotonic() < end:
            time.sleep(0.05)
        assert tag(tracker, client) != first
    assert tag(tracker, client) is None


def test_a_lease_is_given_back_after_an_error(tracker: Tracker, client: MlflowClient) -> None:
    with pytest.raises(KeyboardInterrupt), leased(tracker, client, "sweep"):
        raise KeyboardInterrupt
    assert tag(tracker, client) is None


def test_who_comes_second_waits_for_the_first(
    tracker: Tracker, client: MlflowClient, caplog: pytest.LogCaptureFixture
) -> None:
    experiment, ended = tracker.experiment_id(client), threading.Event()

    def live() -> None:
        beat = 0
        while not ended.wait(0.05):
            beat += 1
            client.set_experiment_tag(experiment, f"{LEASE}sweep", f"{ELSEWHERE} {beat}")
        client.delete_experiment_tag(experiment, f"{LEASE}sweep")

    client.set_experiment_tag(experiment, f"{LEASE}sweep", f"{ELSEWHERE} 0")
    other = threading.Thread(target=live)
    other.start()
    timer = threading.Timer(2.0, ended.set)  # longer than a lease lives without a sign
    timer.start()
    with leased(tracker, client, "sweep"):
        assert ended.is_set()
    other.join()
    said = "process 17 on another-machine/1 leads this already: waiting until it has ended"
    assert [record.getMessage() for record in caplog.records] == [said]


def test_a_holder_that_shows_no_sign_of_life_loses_the_lease(tracker: Tracker, client: MlflowClient) -> None:
    experiment = tracker.experiment_id(client)
    client.set_experiment_tag(experiment, f"{LEASE}sweep", f"{ELSEWHERE} 4")
    started = time.monotonic()
    with leased(tracker, client, "sweep"):
        assert time.monotonic() - started >= 1.0


def test_a_holder_that_lost_the_lease_leaves_it_to_the_other(tracker: Tracker, client: MlflowClient) -> None:
    experiment = tracker.experiment_id(client)
    with leased(tracker, client, "sweep"):
        client.set_experiment_tag(experiment, f"{LEASE}sweep", f"{ELSEWHERE} 4")
        time.sleep(0.3)
        assert tag(tracker, client) == f"{ELSEWHERE} 4"
    assert tag(tracker, client) == f"{ELSEWHERE} 4"


def test_a_process_that_ended_on_this_machine_is_gone_and_others_are_not_known_to_be() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        value = f"0123 {machine()} {process.pid} 7"
        assert not is_gone(value)
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert is_gone(value), "its exit status is there still"
    assert is_gone(value)
    assert is_gone(f"0123 {machine()} {os.getpid()} 7"), "a sweep of this process that could not give it back"
    assert not is_gone(f"{ELSEWHERE} 7")
    assert is_gone("what somebody typed into the UI")
