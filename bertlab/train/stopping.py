"""Stopping: a request to stop waits for the end of the step, whose state is saved."""

import signal
import threading
from types import FrameType
from typing import Any

import pytorch_lightning as pl

from bertlab.train.recorder import Recorder

REQUESTS = (signal.SIGINT, signal.SIGTERM)


class Stopping(pl.Callback):
    """Delays an interrupt or a request to terminate until the step has ended, and saves; a second one passes at once.

    The earlier signal handler then handles the request. In the trainer's list it must come after the recorder.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._asked: int | None = None
        self._before: dict[int, Any] = {}

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Install the signal handlers; only the main thread can do this."""
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._note) for number in REQUESTS}

    def on_train_batch_end(self, trainer: pl.Trainer, module: pl.LightningModule, *_: Any) -> None:
        """Save and pass on a request, if there is one."""
        if self._asked is not None:
            self._recorder.save(trainer, module)
            self._pass(self._asked)

    def on_train_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Pass on a request that came after the last step."""
        if self._asked is not None:
            self._pass(self._asked)
        self._give_back()

    def on_exception(self, trainer: pl.Trainer, module: pl.LightningModule, exception: BaseException) -> None:
        """Restore the earlier handlers."""
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
