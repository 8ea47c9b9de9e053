"""The upload of a run while it trains: a thread sends its points to the store, and no training step waits for it.

Enters: points, one at a time, and the end of the run. Leaves: both in the store. If a store is away or locked, the
thread retries with growing pauses. After a failure it asks the store what it has, so that nothing is sent twice.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

from bertlab.tracking.description import OUTCOME
from bertlab.tracking.metrics import Point

log = logging.getLogger(__name__)

FLUSH_SECONDS = 5.0  # points wait at most this long before they are sent
LEAD_SECONDS = 60.0  # at most this long the first points wait for the outcome, which must be sent first
LONGEST_PAUSE = 30.0  # seconds between two attempts to reach a store that is away


class Destination(Protocol):
    """Where points are sent."""

    def missing(self, points: Sequence[Point]) -> list[Point]:
        """Return the points that are not there."""

    def send(self, points: Sequence[Point]) -> None:
        """Send points."""

    def close(self) -> None:
        """Send the end of the run."""


class UploadThread(threading.Thread):
    """Sends points in the given order; `doubtful`: some of them may be there already."""

    def __init__(self, destination: Destination, points: Sequence[Point] = (), *, doubtful: bool = False) -> None:
        super().__init__(name="bertlab-sender", daemon=True)
        self._destination, self._waiting, self._doubtful = destination, list(points), doubtful
        self._changed = threading.Condition()
        self._since = time.monotonic()  # time of the last sending
        self.led = doubtful  # whether the outcome was sent, by which MLflow compares runs
        self._asked = self._closing = self._given_up = False
        self.finished = False  # whether everything is there, the end of the run included

    def add(self, point: Point) -> None:
        """Take a point to send; returns at once."""
        with self._changed:
            self._waiting.append(point)
            if len(self._waiting) == 1 or OUTCOME in point.numbers:
                self._changed.notify_all()

    def flush(self, seconds: float) -> bool:
        """Send now and wait, at most that long; return whether everything was sent."""
        with self._changed:
            self._asked = True
            self._changed.notify_all()
            return self._changed.wait_for(lambda: not self._waiting, seconds)

    def finish(self, seconds: float) -> bool:
        """Send the rest and the end of the run; give up after that long. Return whether all of it arrived."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        try:
            self.join(seconds)
        finally:
            self._given_up = True
        return self.finished

    def run(self) -> None:
        """Send until the run ends."""
        while not self._given_up:
            with self._changed:
                while not (self._closing or self._asked or self._is_due()):
                    self._changed.wait(self._rest())
                batch, closing, self._asked = list(self._waiting), self._closing, False
            if batch and not self._insist(partial(self._send, batch)):
                return
            with self._changed:
                del self._waiting[: len(batch)]
                self._since, self.led = time.monotonic(), self.led or bool(batch)
                self._changed.notify_all()
                done = closing and not self._waiting
            if done:
                self.finished = self._insist(self._destination.close)
                return

    def _send(self, batch: list[Point]) -> None:
        self._destination.send(self._destination.missing(batch) if self._doubtful else batch)
        self._doubtful = False

    def _insist(self, attempt: Callable[[], None]) -> bool:
        """Try until it works or the run gives up; return whether it worked."""
        pause, away = 0.5, False
        while not self._given_up:
            try:
                attempt()
            except Exception as error:  # each store has its own types, and none may stop a run
                self._doubtful = True
                if not away:
                    log.warning("the store cannot be reached, the run goes on: %s", " ".join(str(error).split())[:200])
                away = True
                with self._changed:  # the end of a run shortens the pause
                    self._changed.wait(min(pause, 1.0) if self._closing else pause)
                pause = min(2 * pause, LONGEST_PAUSE)
            else:
                if away:
                    log.warning("the store is back")
                return True
        return False

    def _is_due(self) -> bool:
        rest = self._rest()
        return rest is not None and rest <= 0

    def _rest(self) -> float | None:
        """Return how long the waiting points may still wait; None if there are none."""
        if not self._waiting:
            return None
        led = self.led or any(OUTCOME in point.numbers for point in self._waiting)
        return self._since + (FLUSH_SECONDS if led else LEAD_SECONDS) - time.monotonic()
