"""Small models and batches for facts: fixed seeds, 64-bit numbers, no dropout, no training.

Legend: B batch, L length.
"""

from functools import cache
from typing import Any

import torch
from torch import Tensor

from bertlab.config.building import build_parts
from bertlab.config.compose import load, resolved
from bertlab.data.batches import Batch
from bertlab.data.pairs import NO_PAIR
from bertlab.data.tokenizer import SPECIALS
from bertlab.model.bert import Bert
from bertlab.model.init import initialise
from bertlab.streams import Streams

PUBLISHED = 30_522  # vocabulary size of Devlin et al. 2018
VOCABULARY = 101
LONGEST = 64  # tokens
SIZES = {"layers": 2, "width": 48, "heads": 4, "inner": 96, "dropout": 0.0}
DENSE_STD = 0.15  # about 1/sqrt(width): with BERT's 0.02 attention in so small a model would be uniform


def small(*options: str, vocabulary: int = VOCABULARY, length: int = LONGEST, **sizes: object) -> Bert:
    """Build a small BERT with initial weights; `options`: words of a command line, `sizes`: keys of model."""
    model: Bert = _factory(options)(vocabulary, length, **{"dense_std": DENSE_STD, **SIZES, **sizes})
    initialise(model, Streams(0))
    return model.double().eval()


def base(*options: str, length: int = LONGEST, **sizes: object) -> Bert:
    """Build BERT-base without memory for its weights. Raises InputError for invalid options."""
    with torch.device("meta"):
        model: Bert = _factory(options)(PUBLISHED, length, **sizes)
    return model


@cache
def _factory(options: tuple[str, ...]) -> Any:
    """Return the function that builds a configuration's model; builds nothing else."""
    config = resolved(load(["model=base", *options]))
    return build_parts({name: part if name == "model" else {} for name, part in config.items()}).model


def batch_of(ids_BL: Tensor, real_BL: Tensor | None = None, place_M: Tensor | None = None) -> Batch:
    """Return a batch of one segment with predictions at `place_M`; default: all places."""
    place_M = torch.arange(ids_BL.numel()) if place_M is None else place_M
    pair_B = torch.full((len(ids_BL),), NO_PAIR)
    return Batch(ids_BL, torch.zeros_like(ids_BL), real_BL, place_M, ids_BL.flatten()[place_M], pair_B, has_pairs=False)


def tokens(rows: int, length: int, name: str = "facts", vocabulary: int = VOCABULARY) -> Tensor:
    """Return random real tokens (B, L); another name gives other tokens."""
    draw = Streams(0).generator(name)
    return torch.from_numpy(draw.integers(len(SPECIALS), vocabulary, (rows, length)))


def normal(*size: int, name: str) -> Tensor:
    """Return independent standard normal numbers in 64 bits."""
    return torch.from_numpy(Streams(0).generator(name).normal(size=size))


def largest(difference: Tensor) -> float:
    """Return the largest absolute value."""
    return float(difference.abs().max())


def relative(changed: Tensor, original: Tensor) -> float:
    """Return the relative size of a change (Euclidean norms)."""
    return float((changed - original).norm() / original.norm())
