"""bf16-products on the CPU: training rounds its products, evaluation does not."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

Fit = Callable[..., Any]


def test_evaluation_is_in_single_precision(fit: Fit, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of every linear layer of a run, those of training round what they return, and those of evaluation do not."""
    seen: dict[bool, list[bool]] = {True: [], False: []}
    exact = nn.Linear.forward

    def watched(self: nn.Linear, x_ND: Tensor) -> Tensor:
        out_NK = exact(self, x_ND)
        if out_NK.any():  # zeros are equal either way
            seen[self.training].append(torch.equal(out_NK, out_NK.bfloat16().float()))
        return out_NK

    monkeypatch.setattr(nn.Linear, "forward", watched)
    fit("trainer.precision=bf16-products")
    assert seen[True]
    assert seen[False]
    assert all(seen[True])
    assert not any(seen[False])
