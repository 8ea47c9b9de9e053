"""Attention with a gate on the output of its heads.

Legend: D width, H heads, K head width, N tokens: (B, L), or flat.
"""

from typing import Unpack

import torch
from torch import Tensor, nn

from bertlab.model.attention import Mix, SelfAttention
from bertlab.model.qk_norm import Roles
from bertlab.model.shape import Shape
from bertlab.model.sight import Sight


class Gated(SelfAttention):
    """Head outputs times sigmoid(W x) of the query token (Qiu et al. 2025, arXiv:2505.06708, sec. 2.2).

    One gate for each of the H K components, between heads and output projection: the best place in the paper. Costs one
    more D x H K matrix. Gates start near 1/2.
    """

    def __init__(self, shape: Shape, mix: Mix, **roles: Unpack[Roles]) -> None:
        super().__init__(shape, mix, **roles)
        self.gate = nn.Linear(shape.width, shape.heads_width)
        self.project, self.output = self.output, nn.Identity()  # the parent's `forward` then returns the head outputs

    def forward(self, x_ND: Tensor, sight: Sight) -> Tensor:
        """Return the selected states (N, D)."""
        gate_NE = torch.sigmoid(self.gate(sight.only_read(x_ND)))
        return self.project(gate_NE * super().forward(x_ND, sight))  # type: ignore[no-any-return]
