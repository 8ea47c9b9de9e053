"""Attention whose heads are let through by a gate.

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
    """What the heads return, times sigmoid(W x) of the token that asks (Qiu et al. 2025, arXiv:2505.06708, sec. 2.2).

    A gate for each of the H K components, between heads and output projection, which the paper finds to be the best
    place. It costs another D x H K matrix; gates start near 1/2.
    """

    def __init__(self, shape: Shape, mix: Mix, **roles: Unpack[Roles]) -> None:
        super().__init__(shape, mix, **roles)
        self.gate = nn.Linear(shape.width, shape.heads_width)
        self.project, self.output = self.output, nn.Identity()  # `forward` of the parent returns what the heads did

    def forward(self, x_ND: Tensor, sight: Sight) -> Tensor:
        """Return the states that are read (N, D)."""
        gate_NE = torch.sigmoid(self.gate(sight.only_read(x_ND)))
        return self.project(gate_NE * super().forward(x_ND, sight))  # type: ignore[no-any-return]
