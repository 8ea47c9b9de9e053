"""Stopping: a request to stop waits for the end of a step, whose state is kept, so that nothing of a run is lost."""

import signal
import threading
from types import FrameType
from typing import Any

import pytorch_lightning as pl

from bertlab.train.recorder import Recorder

REQUESTS = (signal.SIGINT, signal.SIGTERM)


class Stopping(pl.Callback):
    """Holds an interrupt or a request to terminate back until a step has ended, and saves; a second one passes at once.

    What the request does then is up to the handler that stood before. Give it to the trainer behind the recorder.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._asked: int | None = None
        self._before: dict[int, Any] = {}

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Take the requests over, in the one thread that gets them."""
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._note) for number in REQUESTS}

    def on_train_batch_end(self, trainer: pl.Trainer, module: pl.LightningModule, *_: Any) -> None:
        """Save and pass a request on, if there is one."""
        if self._asked is not None:
            self._recorder.save(trainer, module)
            self._pass(self._asked)

    def on_train_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Pass on what came too late for a step."""
        if self._asked is not None:
            self._pass(self._asked)
        self._give_back()

    def on_exception(self, trainer: pl.Trainer, module: pl.LightningModule, exception: BaseException) -> None:
        """Give the requests back."""
        self._give_back()

    def _note(self, number: int, _: FrameType | None) -> None:
        if self._asked is not None:
            self._pass(number)
        self._asked = number

    def _pass(self, number: int) -> None:
        self._give_back()
        signal.raise_signal(number)

    def _give_back(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before, self._asked = {}, None
