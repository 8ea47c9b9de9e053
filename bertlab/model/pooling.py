"""Pooling: the states of a sequence -> one vector, which the pair head reads.

Legend: B batch, L length, D width.
"""

import math
from collections.abc import Callable

from torch import Tensor

Pooling = Callable[[Tensor, Tensor | None], Tensor]


def reads_cls(pooling: Pooling) -> Pooling:
    """Mark a pooling function as one that uses the first token as [CLS]."""
    vars(pooling)["reads_cls"] = True
    return pooling


def is_of_cls(pooling: Pooling) -> bool:
    """Return whether a pooling, with or without keywords from the config, uses the first token as [CLS]."""
    return getattr(getattr(pooling, "func", pooling), "reads_cls", False)


@reads_cls
def cls(x_BLD: Tensor, real_BL: Tensor | None) -> Tensor:
    """Return the state of [CLS], the first token (Devlin et al. 2018, sec. 3)."""
    return x_BLD[:, 0]


def mean(x_BLD: Tensor, real_BL: Tensor | None) -> Tensor:
    """Return the mean of the real tokens (Reimers & Gurevych 2019, arXiv:1908.10084); zeros if there are none."""
    if real_BL is None:
        return x_BLD.mean(1)
    return x_BLD.masked_fill(~real_BL[..., None], 0).sum(1) / real_BL.sum(1, keepdim=True).clamp(min=1)


def maximum(x_BLD: Tensor, real_BL: Tensor | None) -> Tensor:
    """Return each component's maximum over the real tokens (Reimers & Gurevych 2019); zeros if there are none."""
    if real_BL is None:
        return x_BLD.amax(1)
    highest_BD = x_BLD.masked_fill(~real_BL[..., None], -math.inf).amax(1)
    return highest_BD.masked_fill(~real_BL.any(1, keepdim=True), 0)
