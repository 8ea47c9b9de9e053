"""The upload thread: no step waits for it, no point is lost or sent twice, with any fault of the store."""

import threading
import time
from collections.abc import Iterator, Sequence

import pytest

from bertlab.tracking import upload_thread as room
from bertlab.tracking.description import OUTCOME
from bertlab.tracking.metrics import Point
from bertlab.tracking.upload_thread import UploadThread


class Store:
    """A store that may be away, or accept points without an answer."""

    def __init__(self) -> None:
        self.points: list[Point] = []
        self.away, self.mute, self.ended = False, False, False
        self.attempts = 0
        self.callers: set[int] = set()  # threads

    def missing(self, points: Sequence[Point]) -> list[Point]:
        self._reach()
        return [point for point in points if point not in self.points]

    def send(self, points: Sequence[Point]) -> None:
        self._reach()
        self.points += points
        if self.mute:
            self.mute = False
            raise TimeoutError("no answer")

    def close(self) -> None:
        self._reach()
        self.ended = True

    def _reach(self) -> None:
        self.attempts += 1
        self.callers.add(threading.get_ident())
        if self.away:
            raise ConnectionError("database is locked")


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "FLUSH_SECONDS", 0.02)
    monkeypatch.setattr(room, "LEAD_SECONDS", 0.05)


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def sender(store: Store) -> Iterator[UploadThread]:
    sender = UploadThread(store)
    sender.start()
    yield sender
    sender.finish(0)
    sender.join(5)


def point(step: int) -> Point:
    return Point(step, 1000 + step, {"loss": 1 / step})


def eventually(true: object) -> bool:
    assert callable(true)
    for _ in range(500):
        if true():
            return True
        time.sleep(0.01)
    return False


def test_points_arrive_in_order_and_once(store: Store, sender: UploadThread) -> None:
    for step in range(1, 200):
        sender.add(point(step))
    assert sender.finish(10)
    assert store.points == [point(step) for step in range(1, 200)]
    assert store.ended


def test_points_arrive_while_a_run_runs(store: Store, sender: UploadThread) -> None:
    sender.add(point(1))
    assert eventually(lambda: store.points == [point(1)])
    sender.add(point(2))
    assert sender.flush(10)
    assert store.points == [point(1), point(2)]


def test_the_first_points_wait_for_the_outcome(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "LEAD_SECONDS", 60)
    sender = UploadThread(store)
    sender.start()
    sender.add(point(1))
    time.sleep(0.1)
    assert store.points == []
    sender.add(Point(1, 2000, {OUTCOME: 3.0}))
    assert eventually(lambda: len(store.points) == 2)
    assert sender.finish(10)


def test_a_store_that_goes_away_delays_nothing_and_gets_all_when_it_is_back(
    store: Store, sender: UploadThread, caplog: pytest.LogCaptureFixture
) -> None:
    sender.add(point(1))
    assert eventually(lambda: store.points)
    store.away = True
    for step in range(2, 50):
        sender.add(point(step))
    assert eventually(lambda: store.attempts >= 3)
    assert threading.get_ident() not in store.callers, "the run itself never waits for the store"
    store.away = False
    assert sender.finish(10)
    assert store.points == [point(step) for step in range(1, 50)]
    assert [message.partition(":")[0] for message in caplog.messages] == [
        "the store cannot be reached, the run goes on",
        "the store is back",
    ]


def test_points_that_arrived_without_an_answer_are_not_sent_again(store: Store, sender: UploadThread) -> None:
    store.mute = True
    sender.add(point(1))
    sender.add(point(2))
    assert sender.finish(10)
    assert store.points == [point(1), point(2)]


def test_a_run_that_goes_on_sends_only_what_the_store_lacks(store: Store) -> None:
    store.points = [point(1), point(3)]
    sender = UploadThread(store, [point(step) for step in range(1, 6)], doubtful=True)
    sender.start()
    assert sender.finish(10)
    assert sorted(each.step for each in store.points) == [1, 2, 3, 4, 5]


def test_waiting_for_an_absent_store_has_a_time_limit(store: Store) -> None:
    store.away = True
    sender = UploadThread(store, [point(1)])
    sender.start()
    assert not sender.finish(0.2)
    assert eventually(lambda: not sender.is_alive())
    assert not store.ended
    assert threading.current_thread() is threading.main_thread()
