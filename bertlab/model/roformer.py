"""Export of a model with rotary positions to `RoFormerForMaskedLM` of transformers, with equal predictions.

RoFormer (Su et al. 2021, arXiv:2104.09864) rotates neighbouring components of queries and keys; we rotate the two
halves of a head, so weights are reordered. Its table of angles, a weight, gets our base. The head for pairs is not
exported.

Legend: N longest length, H heads, K head width, D width.
"""

from typing import Any

import torch
from torch import Tensor

from bertlab.model.bert import Bert
from bertlab.model.expressible import check_expressible
from bertlab.model.position import Rotary
from bertlab.model.reference import Weights, to_reference_parts
from bertlab.model.value_residual import check_own_values

ABSENT = ("bert.pooler.", "cls.seq_relationship.", "bert.embeddings.position_embeddings.")
TURNED = ("attention.self.query", "attention.self.key")
ANGLES = "roformer.encoder.embed_positions.weight"


@torch.no_grad()
def to_roformer(model: Bert) -> tuple[dict[str, Any], Weights]:
    """Return configuration and weights, on the CPU, with which `RoFormerForMaskedLM` gives `model`'s logits.

    Raises InputError that names the unsupported part.
    """
    check_own_values(model)
    check_expressible(model, rotary=True)
    assert isinstance(model.position, Rotary)
    config, weights = to_reference_parts(model)
    own = {"model_type": "roformer", "architectures": ["RoFormerForMaskedLM"], "embedding_size": model.shape.width}
    config |= {**own, "max_position_embeddings": model.shape.length, "rotary_value": False}
    kept = {name: value for name, value in weights.items() if not name.startswith(ABSENT)}
    found = {
        name.replace("bert.", "roformer.", 1): (
            neighbours(value, model.shape.heads) if any(place in name for place in TURNED) else value
        )
        for name, value in kept.items()
    }
    return config, {**found, ANGLES: angles(model.position)}


def neighbours(rows: Tensor, heads: int) -> Tensor:
    """Put components k and k + K/2 of every head next to each other; rows of a weight (H K, D) or a bias (H K)."""
    halves = rows.reshape(heads, 2, -1, *rows.shape[1:])  # head, half, pair
    return halves.transpose(1, 2).reshape(rows.shape)


def halves(rows: Tensor, heads: int) -> Tensor:
    """The inverse of `neighbours`."""
    pairs = rows.reshape(heads, -1, 2, *rows.shape[1:])  # head, pair, half
    return pairs.transpose(1, 2).reshape(rows.shape)


def angles(position: Rotary) -> Tensor:
    """Return RoFormer's table (N, K): the sines of all pairs, then their cosines."""
    half = position.sin_HLK.shape[-1] // 2
    return torch.cat((position.sin_HLK[0, :, half:], position.cos_HLK[0, :, half:]), dim=-1).cpu().contiguous()
