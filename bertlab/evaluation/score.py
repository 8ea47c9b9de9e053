"""Scoring a model on stored sequences: loss and accuracy at hidden positions beside the unigram loss there, and pairs.

The unigram loss takes each token's share of the training split as its probability. *Context gain* = unigram loss minus
the model's loss: what the model makes of the context. Where the corpus knows its Bayes-optimal loss, *captured* is the
context gain as a share of what can be gained.

Legend: N sequences, B of them in a chunk, L length, M hidden positions.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from bertlab.batch import Batch, corrupted
from bertlab.data.store import Ints, TokenStore
from bertlab.mask import Masked
from bertlab.pairs import NO_PAIR
from bertlab.tokenizer import MASK

CHUNK = 64  # sequences scored at once
NOWHERE = np.empty(0, np.int64)


@dataclass(frozen=True)
class Sequences:
    """Assembled held-out sequences; `label_N` is all NO_PAIR where they hold one segment."""

    ids_NL: Ints
    segments_NL: Ints
    label_N: Ints

    def batches(self, hidden_M: Ints) -> Iterator[Batch]:
        """Yield the sequences in chunks, with the tokens at the flat positions `hidden_M` replaced by [MASK]."""
        length = self.ids_NL.shape[1]
        for start in range(0, len(self.ids_NL), CHUNK):
            chunk = slice(start, start + CHUNK)
            ids_BL = self.ids_NL[chunk]
            first, last = np.searchsorted(hidden_M, [start * length, start * length + ids_BL.size])
            position_M = hidden_M[first:last] - start * length
            hidden_BL = ids_BL.copy()
            hidden_BL.reshape(-1)[position_M] = MASK
            masked = Masked(hidden_BL, position_M, ids_BL.reshape(-1)[position_M])
            yield corrupted(ids_BL, self.segments_NL[chunk], self.label_N[chunk], masked)


@dataclass(frozen=True)
class Evaluation:
    """The stored yardstick of one corpus, ready to score models."""

    text: Sequences
    pairs: Sequences
    hidden: Mapping[float, Ints]  # rate -> flat positions in `text`, ascending
    unigram_loss: Mapping[float, float]  # rate -> nats
    floor: Mapping[float, float]  # rate -> Bayes-optimal loss in nats; empty where the corpus does not know it
    pair_floor: float | None  # Bayes-optimal pair accuracy, likewise
    rate: float  # the one that runs are judged by

    def score(self, model: nn.Module) -> dict[str, float]:
        """Return the measures at the main rate: losses in nats, accuracies as shares; pairs where there are any."""
        with _evaluating(model):
            loss, accuracy = self._mlm(model, self.rate)
            measures = {"mlm_loss": loss, "mlm_accuracy": accuracy} | self._against(loss)
            return measures | (self._pairs(model) if (self.pairs.label_N != NO_PAIR).any() else {})

    def score_grid(self, model: nn.Module) -> dict[str, float]:
        """Return `mlm_loss.rate_<rate>` in nats for every rate, the main one included."""
        with _evaluating(model):
            return {f"mlm_loss.rate_{rate:g}": self._mlm(model, rate)[0] for rate in sorted(self.hidden)}

    def _mlm(self, model: nn.Module, rate: float) -> tuple[float, float]:
        totals = torch.zeros(2, dtype=torch.float64)
        for batch in self.text.batches(self.hidden[rate]):
            there = batch.to(_device(model))
            totals += _totals(model(there).mlm_MV.float(), there.target_M)
        loss, hits = (totals / len(self.hidden[rate])).tolist()
        return loss, hits

    def _pairs(self, model: nn.Module) -> dict[str, float]:
        totals = torch.zeros(2, dtype=torch.float64)
        for batch in self.pairs.batches(NOWHERE):
            there = batch.to(_device(model))
            totals += _totals(model(there).pair_B2.float(), there.pair_B)
        loss, hits = (totals / int((self.pairs.label_N != NO_PAIR).sum())).tolist()
        best = {} if self.pair_floor is None else {"bayes_pair_accuracy": self.pair_floor}
        return {"pair_loss": loss, "pair_accuracy": hits} | best

    def _against(self, loss: float) -> dict[str, float]:
        unigram = self.unigram_loss[self.rate]
        measures = {"unigram_loss": unigram, "context_gain": unigram - loss}
        if (best := self.floor.get(self.rate)) is not None:
            measures |= {"bayes_loss": best, "captured": (unigram - loss) / (unigram - best)}
        return measures


def read_evaluation(folder: Path, store: TokenStore, rate: float) -> Evaluation:
    """Load the stored yardstick."""
    with np.load(folder / "evaluation.npz") as stored:
        arrays = {name: stored[name] for name in stored}
    text = Sequences(arrays["ids_NL"], arrays["segments_NL"], np.full(len(arrays["ids_NL"]), NO_PAIR))
    pairs = Sequences(arrays["pair_ids_NL"], arrays["pair_segments_NL"], arrays["pair_N"])
    hidden = _by_rate(arrays, "hidden_")
    targets = {rate: text.ids_NL.reshape(-1)[hidden_M] for rate, hidden_M in hidden.items()}
    unigram_loss = {rate: -float(store.unigram[target_M].mean()) for rate, target_M in targets.items()}
    floor = {rate: float(loss[0]) for rate, loss in _by_rate(arrays, "floor_").items()}
    pair_floor = float(arrays["pair_floor"][0]) if "pair_floor" in arrays else None
    return Evaluation(text, pairs, hidden, unigram_loss, floor, pair_floor, rate)


def _by_rate(arrays: Mapping[str, Ints], prefix: str) -> dict[float, Ints]:
    return {float(name.removeprefix(prefix)): arrays[name] for name in arrays if name.startswith(prefix)}


def _totals(logits: Tensor, target: Tensor) -> Tensor:
    """Return (summed loss in nats, hits) as float64 (2,) on the CPU; NO_PAIR is ignored."""
    loss = cross_entropy(logits, target, reduction="sum", ignore_index=NO_PAIR)
    hits = (logits.argmax(1) == target).sum()
    return torch.stack([loss.double(), hits.double()]).cpu()


def _device(model: nn.Module) -> torch.device:
    return next(model.parameters()).device


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    """Switch dropout off and gradients too, then back."""
    training = model.training
    model.eval()
    with torch.no_grad():
        yield
    model.train(training)
