"""The progress line of a run; only on a terminal, so that redirected output has no bars."""

import time
from typing import Any

import pytorch_lightning as pl
from tqdm import tqdm

from bertlab.train.module import Pretraining
from bertlab.train.recorder import Recorder

EVERY = 0.5  # seconds between reads of the loss, which may wait for a GPU
FORMAT = "step {n_fmt}/{total_fmt}{postfix}, {remaining} left |{bar:20}|"


class ProgressLine(pl.Callback):
    """Shows step, loss of the last step, tokens per second and remaining time."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._line: Any = None
        self._shown = 0.0

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Start at the step where the run continues."""
        assert isinstance(module, Pretraining)
        total = self._recorder.plan.total
        # disable=None: no line if stderr is not a terminal
        self._line = tqdm(
            total=total, initial=module.step, bar_format=FORMAT, disable=None, leave=False, dynamic_ncols=True
        )

    def on_train_batch_end(self, trainer: pl.Trainer, module: pl.LightningModule, *_: Any) -> None:
        """Show the step, at most twice per second."""
        assert isinstance(module, Pretraining)
        if self._line.disable or (time.monotonic() - self._shown < EVERY and module.step < self._recorder.plan.total):
            return
        speed = self._recorder.tokens_per_second
        self._line.set_postfix_str(f"loss {module.losses['loss'].item():.3f}, {speed:,.0f} tokens/s", refresh=False)
        self._line.update(module.step - self._line.n)
        self._line.refresh()
        self._shown = time.monotonic()

    def on_train_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Remove the line."""
        self._close()

    def on_exception(self, trainer: pl.Trainer, module: pl.LightningModule, exception: BaseException) -> None:
        """Remove the line."""
        self._close()

    def _close(self) -> None:
        if self._line is not None:
            self._line.close()
