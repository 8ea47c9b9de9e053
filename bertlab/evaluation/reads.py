"""Inputs of a task's head: the pooled state, a state for each word, the state of a marked word, or of two.

Legend: B examples, L length, D width, R states, F features of each.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from bertlab.data.batches import Batch, corrupted, without_cls
from bertlab.data.masking import Masked
from bertlab.data.pairs import NO_PAIR
from bertlab.data.tokenizer import PAD
from bertlab.model.bert import Bert
from bertlab.tasks.encoding import Example

NOWHERE = np.empty(0, np.int64)
Spots = Sequence[Sequence[int]]  # of each example: the columns to read
Read = Callable[[Bert, Batch, Spots, bool], Tensor]  # (model, batch, spots, whether the model is fine-tuned) -> (R, F)


def padded(examples: Sequence[Example], *, cls: bool) -> tuple[Batch, Spots]:
    """Return examples as one batch with the length of the longest, and the columns to read."""
    length = max(len(example.ids) for example in examples)
    ids_BL, segments_BL = np.full((len(examples), length), PAD), np.zeros((len(examples), length), np.int64)
    for row, example in enumerate(examples):
        ids_BL[row, : len(example.ids)], segments_BL[row, : len(example.ids)] = example.ids, example.segments
    batch = corrupted(ids_BL, segments_BL, np.full(len(examples), NO_PAIR), Masked(ids_BL, NOWHERE, NOWHERE))
    moved = 0 if cls else 1  # without [CLS] all columns move one to the left
    return batch if cls else without_cls(batch), [(example.spots - moved).tolist() for example in examples]


def pooled(model: Bert, batch: Batch, _: Spots, tuned: bool) -> Tensor:
    """Return the pooled state (B, D); if fine-tuned, after the pair head's dense layer and tanh."""
    state_BD = model.pooled(batch)
    return model.pair_head.transformed(state_BD) if tuned else state_BD


def words(model: Bert, batch: Batch, spots: Spots, _: bool) -> Tensor:
    """Return the state of each word's first token (R, D)."""
    x_BLD = model.encode(batch)
    row_R = torch.tensor([row for row, some in enumerate(spots) for _ in some], device=x_BLD.device)
    column_R = torch.tensor([column for some in spots for column in some], device=x_BLD.device)
    return x_BLD[row_R, column_R]


def word(model: Bert, batch: Batch, spots: Spots, _: bool) -> Tensor:
    """Return the mean state of a marked word's tokens (B, D)."""
    return _mean(model.encode(batch), spots, 0)


def marked(model: Bert, batch: Batch, spots: Spots, tuned: bool) -> Tensor:
    """Return for two marked words: the mean state of each, their absolute difference, and the pooled state (B, 4 D).

    With |u - v| a linear head can separate same from different (Reimers & Gurevych 2019, arXiv:1908.10084, sec. 3).
    """
    x_BLD = model.encode(batch)
    one_BD, two_BD = (_mean(x_BLD, spots, side) for side in (0, 2))
    state_BD = model.pooling(x_BLD, batch.real_BL if model.shape.padding_mask else None)
    pooled_BD = model.pair_head.transformed(state_BD) if tuned else state_BD
    return torch.cat((one_BD, two_BD, (one_BD - two_BD).abs(), pooled_BD), 1)


def _mean(x_BLD: Tensor, spots: Spots, side: int) -> Tensor:
    """Return the mean state of the tokens between two columns of each example (B, D)."""
    return torch.stack([x_LD[some[side] : some[side + 1]].mean(0) for x_LD, some in zip(x_BLD, spots, strict=True)])


READS: Mapping[str, Read] = {"pooled": pooled, "words": words, "word": word, "marked": marked}
