"""Batches: batch t of a run is a pure function of (seed, t), so a resumed run needs only its step.

Sequences are cut, assembled and masked with [CLS] at the start. An arm without [CLS] gets the same batches without that
token and with one more [PAD] at the end. It differs from an arm with [CLS] in nothing else.

Legend: B sequences, L length, M predicted positions.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from math import ceil
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from bertlab.config.errors import InputError, at
from bertlab.data.form import Form
from bertlab.data.masking import Copied, Masked, MaskPolicy, Moment
from bertlab.data.pairs import NO_PAIR, Examples, PairMaker
from bertlab.data.store import Ints, Tokens
from bertlab.data.tokenizer import CLS, PAD, SEP, Vocabulary
from bertlab.streams import Streams

NO_TARGET = -100  # target that torch's losses ignore


@dataclass(frozen=True)
class Batch:
    """Model inputs and prediction targets."""

    ids_BL: Tensor  # int64, after corruption
    segments_BL: Tensor  # int64: 0 up to the first [SEP], 1 after it
    real_BL: Tensor | None  # bool, False at padding; None without padding
    position_M: Tensor  # int64, flat positions to predict: row * L + column
    target_M: Tensor  # int64, token ids there; NO_TARGET at filler positions
    pair_B: Tensor  # int64: 0 follows, 1 random, -100 no pair
    has_pairs: bool  # whether any pair is labelled
    one_way: bool = False  # whether tokens may not attend ahead in this batch, for every visibility of the model

    def with_room(self, predictions: int) -> "Batch":
        """Pad to `predictions` predicted positions: repeat the last one, with targets that losses ignore."""
        more = predictions - len(self.target_M)
        if not len(self.target_M) or more <= 0:
            return self
        position_M = torch.cat((self.position_M, self.position_M[-1:].expand(more)))
        return replace(self, position_M=position_M, target_M=pad(self.target_M, (0, more), value=NO_TARGET))

    def to(self, device: torch.device | str) -> "Batch":
        """Move every tensor to `device`."""
        return self._mapped(lambda tensor: tensor.to(device, non_blocking=True))

    def pinned(self) -> "Batch":
        """Copy every tensor to pinned memory, which a GPU can read directly."""
        return self._mapped(Tensor.pin_memory)

    def _mapped(self, change: Callable[[Tensor], Tensor]) -> "Batch":
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        changed: dict[str, Any] = {name: change(value) for name, value in values.items() if isinstance(value, Tensor)}
        return replace(self, **changed)


def assemble(tokens: Tokens, examples: Examples, rows: Ints, length: int) -> tuple[Ints, Ints]:
    """Copy the tokens of the examples `rows` into [CLS] A [SEP] B [SEP] [PAD]..., and number the segments.

    Returns int64 arrays (B, L): token ids and segments (0 for [CLS] A [SEP], 1 for B [SEP], 0 for padding).
    """
    # columns of each part: [CLS] 0, A, [SEP], B, [SEP]
    column_L = np.arange(length)
    a_B1, b_B1 = (examples.a_start[rows, None], examples.b_start[rows, None])
    sep_B1 = 1 + examples.a_end[rows, None] - a_B1  # column of the first [SEP]
    length_b_B1 = examples.b_end[rows, None] - b_B1
    end_B1 = sep_B1 + 1 + length_b_B1  # column of the second [SEP]
    in_a_BL = (column_L > 0) & (column_L < sep_B1)
    in_b_BL = (column_L > sep_B1) & (column_L < end_B1)
    # copy the tokens of A and B, then set the special tokens
    source_BL = np.where(in_b_BL, b_B1 + column_L - sep_B1 - 1, a_B1 + column_L - 1)
    has_b_B1 = length_b_B1 > 0
    read_BL = np.asarray(tokens.ids).take(source_BL, mode="clip").astype(np.int64)  # any token outside the text
    ids_BL = np.where(in_a_BL | in_b_BL, read_BL, PAD)
    ids_BL[:, 0] = CLS
    ids_BL[(column_L == sep_B1) | ((column_L == end_B1) & has_b_B1)] = SEP
    # number the segments; B's last [SEP] belongs to B
    segments_BL = (column_L > sep_B1) & (column_L <= end_B1) & has_b_B1
    return ids_BL, segments_BL.astype(np.int64)


def corrupted(ids_BL: Ints, segments_BL: Ints, pair_B: Ints, masked: Masked) -> Batch:
    """Build a batch from assembled sequences and the output of a masking policy."""
    real_BL = ids_BL != PAD
    return Batch(
        ids_BL=torch.from_numpy(masked.ids_BL),
        segments_BL=torch.from_numpy(segments_BL),
        real_BL=None if real_BL.all() else torch.from_numpy(real_BL),
        position_M=torch.from_numpy(masked.position_M),
        target_M=torch.from_numpy(masked.target_M),
        pair_B=torch.from_numpy(pair_B),
        has_pairs=bool((pair_B != NO_PAIR).any()),
        one_way=masked.one_way,
    )


def without_cls(batch: Batch) -> Batch:
    """Return the batch without its first column, which must have no prediction, and with a last column of [PAD]."""
    assert not bool((batch.position_M % batch.ids_BL.shape[1] == 0).any())
    ids_BL = pad(batch.ids_BL[:, 1:], (0, 1), value=PAD)
    segments_BL = pad(batch.segments_BL[:, 1:], (0, 1))
    return replace(
        batch, ids_BL=ids_BL, segments_BL=segments_BL, real_BL=ids_BL != PAD, position_M=batch.position_M - 1
    )


class Batches:
    """The training batches of one seed, for a run of `steps`: `batches(t)` for any step t, in any order."""

    def __init__(
        self,
        tokens: Tokens,
        vocabulary: Vocabulary,
        pairs: PairMaker,
        mask: MaskPolicy,
        form: Form,
        streams: Streams,
        steps: int,
    ) -> None:
        self._tokens, self._vocabulary, self._pairs, self._mask = tokens, vocabulary, pairs, mask
        self._form, self._streams, self._steps = form, streams, steps
        self._epoch = lru_cache(maxsize=1)(self._make_epoch)
        available = len(self._epoch(0)[0])
        if available < form.size:
            raise InputError(
                f"batch.size must be at most the {available} examples of the corpus, got {form.size}; "
                "add text or choose a smaller batch.size"
            )
        self._per_epoch = available // form.size  # batches per epoch; a shorter later epoch repeats its first examples

    def __call__(self, step: int) -> Batch:
        """Return batch `step`, counted from 0."""
        epoch, examples, rows = self._examples(step)
        ids_BL, segments_BL = assemble(self._tokens, examples, rows, self._form.length)
        # mask with random numbers of (seed, step)
        moment = Moment(self._streams, step, min(step / max(self._steps - 1, 1), 1), epoch, rows)
        with at("mask"):
            masked = self._mask(ids_BL, self._vocabulary, moment)
        batch = corrupted(ids_BL, segments_BL, examples.label[rows], masked)
        return batch if self._form.cls else without_cls(batch)

    def original(self, step: int) -> Tensor:
        """Return the ids of batch `step` (B, L), int64, before masking."""
        _, examples, rows = self._examples(step)
        ids_BL = torch.from_numpy(assemble(self._tokens, examples, rows, self._form.length)[0])
        return ids_BL if self._form.cls else pad(ids_BL[:, 1:], (0, 1), value=PAD)

    def _examples(self, step: int) -> tuple[int, Examples, Ints]:
        """Return the epoch of a step, the epoch's examples, and the indices that the step uses."""
        # batches of an epoch are consecutive parts of one permutation
        epoch, place = divmod(step, self._per_epoch)
        examples, order = self._epoch(epoch)
        return epoch, examples, order[np.arange(place * self._form.size, (place + 1) * self._form.size) % len(order)]

    def _make_epoch(self, epoch: int) -> tuple[Examples, Ints]:
        copy = epoch % self._mask.copies if isinstance(self._mask, Copied) else epoch
        with at("pairs"):
            examples = self._pairs(self._tokens, self._form.length, self._streams.generator("pairs", copy))
        return examples, self._streams.generator("order", epoch).permutation(len(examples))


class Staged:
    """Short sequences first, then usual ones; from then on batches equal those of a run with only usual ones.

    Every batch has the same number of tokens, so the number of steps does not change. Li et al. 2022 (arXiv:2108.06084)
    instead lengthen sequences step by step and keep the number of sequences; Press et al. 2021 (arXiv:2012.15832) use
    two stages as here.
    """

    def __init__(self, short: Batches, usual: Batches, until: int) -> None:
        self._short, self._usual, self._until = short, usual, until

    def __call__(self, step: int) -> Batch:
        """Return batch `step`, counted from 0."""
        return self._at(step)(step)

    def original(self, step: int) -> Tensor:
        """Return the ids of batch `step` (B, L), int64, before masking."""
        return self._at(step).original(step)

    def _at(self, step: int) -> Batches:
        return self._short if step < self._until else self._usual


def staged(make: Callable[[Form], Batches], form: Form, steps: int) -> Batches | Staged:
    """Return the batches of a run, in one stage or, with a `start_length`, in two."""
    usual = make(form)
    return usual if form.start_length is None else Staged(make(form.at_start), usual, ceil(form.start_share * steps))
