"""Training that keeps intermediate weights, for `start=run:ID@TOKENS`.

Enters: the token counts at which weights are kept. Leaves: `kept/<count>.safetensors` in the run folder for each,
written after the first step that reaches the count. A file holds the weights by our names, the number of tokens seen,
and its own hash, but no optimiser state.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from safetensors import SafetensorError
from safetensors.torch import save_file

from bertlab.config.bounds import bounded
from bertlab.tracking.checkpoint import content_hash
from bertlab.tracking.files import refusing, whole
from bertlab.tracking.run_folder import KEPT
from bertlab.train import fit
from bertlab.train.module import Pretraining
from bertlab.train.recorder import Recorder
from bertlab.train.state import snapshot

OF_MODEL = "model."  # prefix in a snapshot


class Hardware(fit.Hardware):
    """One device; weights are kept at the token counts `keep_at`, padding included."""

    @bounded
    def __init__(self, *, keep_at: Sequence[int], **hardware: Any) -> None:
        super().__init__(**hardware)
        self.keep_at = sorted(set(keep_at))

    def _trainer(self, steps: int, callbacks: list[pl.Callback], folder: Path) -> pl.Trainer:
        recorders = [each for each in callbacks if isinstance(each, Recorder)]
        keepers: list[pl.Callback] = [Keeper(self.keep_at, recorder, folder / KEPT) for recorder in recorders]
        return super()._trainer(steps, [*callbacks, *keepers], folder)


class Keeper(pl.Callback):
    """Keeps the weights after each step that reaches a count; runs after the recorder has counted its tokens."""

    def __init__(self, keep_at: Sequence[int], recorder: Recorder, folder: Path) -> None:
        self._recorder, self._folder = recorder, folder
        self._waiting = [count for count in keep_at if count > recorder.progress.tokens]

    def on_train_batch_end(self, trainer: pl.Trainer, module: pl.LightningModule, *_: Any) -> None:
        """Keep the weights if a count is reached. Raises InputError for a full disk."""
        assert isinstance(module, Pretraining)
        while self._waiting and self._waiting[0] <= self._recorder.progress.tokens:
            count = self._waiting.pop(0)
            if not self._recorder.diverged:
                self._keep(count, module, trainer)

    def _keep(self, count: int, module: Pretraining, trainer: pl.Trainer) -> None:
        state = snapshot(module.model, trainer.optimizers[0])
        weights = {
            name.removeprefix(OF_MODEL): each.detach().cpu().contiguous()
            for name, each in state.items()
            if name.startswith(OF_MODEL)
        }
        about = json.dumps({"tokens": self._recorder.progress.tokens, "step": module.step})
        with refusing(self._folder):
            self._folder.mkdir(exist_ok=True)
        with whole(self._folder / f"{count}.safetensors") as temporary:
            try:
                save_file(weights, temporary, {"about": about, "sha256": content_hash(weights, about)})
            except SafetensorError as error:  # its own type for errors of the system
                raise OSError(str(error)) from error
