"""A model that is scored on held-out data: its losses and first guesses at hidden tokens.

Legend: M hidden positions, V vocabulary.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from bertlab.data.batches import Batch
from bertlab.data.store import Ints
from bertlab.evaluation.held_out import HeldOut
from bertlab.evaluation.sequences import NOWHERE, Sequences
from bertlab.model.bert import Bert

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Scored:
    """A model in evaluation mode and the held-out data. What several measures need is computed once."""

    model: nn.Module
    data: HeldOut

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return next(self.model.parameters()).device

    @property
    def bert(self) -> Bert:
        """The model, where a measure needs its states."""
        assert isinstance(self.model, Bert)
        return self.model

    @cached_property
    def main(self) -> tuple[Floats, Floats]:
        """Loss in nats of each token hidden at the main rate (M,), and 1 for a right first guess, else 0 (M,)."""
        return self.predict(self.data.text, self.data.hidden[self.data.rate])

    def predict(self, text: Sequences, hidden_M: Ints, given_M: Ints | None = None) -> tuple[Floats, Floats]:
        """Return the loss in nats of each hidden token (M,), and 1 for a right first guess, else 0 (M,).

        An arm that fills gaps reads `given_M` at the hidden positions, [MASK] where it is None.
        """
        losses, hits = [], []
        for logits_MV, target_M in self._logits(text.batches(hidden_M, given_M, self.data.reading)):
            hits.append(_hits(logits_MV, target_M).double().cpu())
            losses.append(_nats_(logits_MV, target_M))
        return torch.cat(losses).numpy(), torch.cat(hits).numpy()

    def losses(self, text: Sequences, hidden_M: Ints) -> Floats:
        """Return the loss in nats of each hidden token (M,)."""
        logits = self._logits(text.batches(hidden_M, reading=self.data.reading))
        return torch.cat([_nats_(*each) for each in logits]).numpy()

    def visible(self, text: Sequences) -> Iterator[Batch]:
        """Yield the text in batches on the model's device, nothing hidden."""
        for batch in text.batches(NOWHERE, reading=self.data.reading):
            yield batch.to(self.device)

    def _logits(self, batches: Iterable[Batch]) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the logits of the hidden tokens of each batch (M, V), and their ids (M,)."""
        for batch in batches:
            there = batch.to(self.device)
            yield self.model(there).mlm_MV.float(), there.target_M


Measure = Callable[[Scored], dict[str, float]]  # names without `eval/`


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Switch dropout and gradients off, then back."""
    training = model.training
    model.eval()
    with torch.no_grad():
        yield
    model.train(training)


def _hits(logits_MV: Tensor, target_M: Tensor) -> Tensor:
    """Return whether the target is the first of the most likely tokens (M,).

    The maximum is fast; the slow argmax is needed only where the target reaches it.
    """
    right_M = logits_MV.gather(1, target_M[:, None])[:, 0] == logits_MV.amax(1)
    right_M[right_M.clone()] = logits_MV[right_M].argmax(1) == target_M[right_M]
    return right_M


def _nats_(logits_MV: Tensor, target_M: Tensor) -> Tensor:
    """Return the loss of each hidden token (M,) as float64 on the CPU; overwrites the logits to save memory."""
    target_logit_M, highest_M = logits_MV.gather(1, target_M[:, None])[:, 0], logits_MV.amax(1)
    total_M = logits_MV.sub_(highest_M[:, None]).exp_().sum(1)
    return (total_M.log() + highest_M - target_logit_M).double().cpu()
