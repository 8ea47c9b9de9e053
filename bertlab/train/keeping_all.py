"""Training that keeps its whole intermediate state, for `start=run:ID@TOKENS start.optimizer=true`.

Besides the weights (`keeping.py`) it writes `kept/states/<count>.safetensors` in the layout of a checkpoint: weights
and the optimiser's state of each, such as moments. With Adam that is three times the size of the weights.
"""

import json
from pathlib import Path

import pytorch_lightning as pl
from safetensors import SafetensorError
from safetensors.torch import save_file

from bertlab.tracking.checkpoint import content_hash
from bertlab.tracking.files import refusing, whole
from bertlab.tracking.run_folder import KEPT, STATES
from bertlab.train import fit, keeping
from bertlab.train.module import Pretraining
from bertlab.train.recorder import Recorder
from bertlab.train.state import snapshot


class Hardware(keeping.Hardware):
    """One device; weights and optimiser state are kept at the token counts `keep_at`."""

    def _trainer(self, steps: int, callbacks: list[pl.Callback], folder: Path) -> pl.Trainer:
        recorders = [each for each in callbacks if isinstance(each, Recorder)]
        keepers: list[pl.Callback] = [Keeper(self.keep_at, each, folder / KEPT) for each in recorders]
        return fit.Hardware._trainer(self, steps, [*callbacks, *keepers], folder)


class Keeper(keeping.Keeper):
    """Keeps the state in addition to the weights."""

    def _keep(self, count: int, module: Pretraining, trainer: pl.Trainer) -> None:
        super()._keep(count, module, trainer)
        state = snapshot(module.model, trainer.optimizers[0])
        tensors = {name: each.detach().cpu().contiguous() for name, each in state.items()}
        about = json.dumps({"tokens": self._recorder.progress.tokens, "step": module.step})
        folder = self._folder / STATES
        with refusing(folder):
            folder.mkdir(exist_ok=True)
        with whole(folder / f"{count}.safetensors") as temporary:
            try:
                save_file(tensors, temporary, {"about": about, "sha256": content_hash(tensors, about)})
            except SafetensorError as error:  # its own type for errors of the system
                raise OSError(str(error)) from error
