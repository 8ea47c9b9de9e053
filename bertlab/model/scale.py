"""Scale of attention scores, from the width of a head."""

import math


def sqrt(head_width: int) -> float:
    """Return 1 / sqrt(K): scores of independent unit components have variance 1 (Vaswani et al. 2017, sec. 3.2.1)."""
    return 1 / math.sqrt(head_width)


def one(head_width: int) -> float:
    """Return 1: scores are plain dot products, whose variance grows with K."""
    return 1.0


def inverse(head_width: int) -> float:
    """Return 1 / K, right if queries and keys align during training (Yang et al. 2022, arXiv:2203.03466)."""
    return 1 / head_width
