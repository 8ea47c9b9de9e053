"""Attention measures: the entropy of its weights, and the loss without some heads.

Temporarily replaces the function that mixes values; the model is unchanged afterwards.

Legend: B batch, H heads, L length, N query tokens.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from bertlab.model.attention import Mix, SelfAttention
from bertlab.model.sight import Sight

TOLERANCE = 1e-3  # allowed deviation from 1 of the sum of weights


class Spread:
    """Averages statistics of weights over all attentions and all tokens that may attend to several tokens."""

    def __init__(self) -> None:
        self._sums, self._tokens, self._distribution = torch.zeros(2, dtype=torch.float64), 0, True

    def measures(self) -> dict[str, float]:
        """Return both means; nothing without attention or if weights are no distribution."""
        if not self._tokens or not self._distribution:
            return {}
        entropy, gradient = (self._sums / self._tokens).tolist()
        return {"attention_entropy": entropy, "softmax_gradient": gradient}

    def watching(self, _: int, mix: Mix) -> Mix:
        """Return a function that computes `mix` and records the weights."""

        def watched(query: Tensor, key: Tensor, value: Tensor, sight: Sight, dropout: float) -> Tensor:
            each_LL = torch.eye(key.shape[2], dtype=value.dtype, device=value.device)
            self.add(mix(query, key, each_LL.expand(*key.shape[:3], -1), sight, dropout=0.0), sight)
            return mix(query, key, value, sight, dropout=dropout)

        return watched

    def add(self, weight_BHLL: Tensor, sight: Sight) -> None:
        """Record weights: entropy as a share of the maximum, and sum p (1 - p), the trace of the softmax Jacobian."""
        allowed = weight_BHLL.new_ones(1, dtype=torch.bool) if sight.allowed is None else sight.allowed
        count_BHL = allowed.expand(weight_BHLL.shape).sum(-1)
        asks_BHL = count_BHL > 1 if sight.real_BL is None else (count_BHL > 1) & sight.real_BL[:, None, :]
        weight_NL, count_N = weight_BHLL[asks_BHL], count_BHL[asks_BHL]
        entropy_N = torch.special.entr(weight_NL.clamp_min(0)).sum(-1) / count_N.log()
        gradient_N = (weight_NL * (1 - weight_NL)).sum(-1)
        self._sums += torch.stack((entropy_N.double().sum(), gradient_N.double().sum())).cpu()
        self._tokens += len(count_N)
        whole = bool(((weight_NL.sum(-1) - 1).abs() < TOLERANCE).all()) and bool((weight_NL > -TOLERANCE).all())
        self._distribution &= whole


def spread(model: nn.Module, reads: Callable[[], None]) -> dict[str, float]:
    """Return the measures of `Spread` while the model `reads`; without attention `reads` is not called."""
    seen = Spread()
    if _attentions(model):
        with mixing(model, seen.watching):
            reads()
    return seen.measures()


def pruning_cost(
    model: nn.Module, shares: Sequence[float], losses: Callable[[], tuple[float, float]]
) -> dict[str, float]:
    """Return the cost in nats of leaving out shares of the heads, the least useful first (Michel et al. 2019).

    `losses` returns two losses of the current model: on text that ranks single heads, and on other text that gives the
    result. The paper (arXiv:1905.10650) ranks by a gradient instead. Shares with a fractional head are left out.
    """
    heads = [(place, head) for place, mixer in enumerate(_attentions(model)) for head in range(mixer.heads)]
    if not heads:
        return {}
    loss_of = {}
    for gone in heads:
        with mixing(model, _without([gone])):
            loss_of[gone] = losses()[0]
    ranked, whole, measures = sorted(heads, key=loss_of.__getitem__), losses()[1], {}
    for share in shares:
        if not (pruned := round(share * len(heads), 9)).is_integer():
            continue
        with mixing(model, _without(ranked[: int(pruned)])):
            measures[f"pruning_cost.heads_{100 * share:g}"] = losses()[1] - whole
    return measures


@contextmanager
def mixing(model: nn.Module, change: Callable[[int, Mix], Mix]) -> Iterator[None]:
    """Replace every self-attention's mix by `change(place, mix)` inside this context."""
    mixes = [(mixer, mixer.mix) for mixer in _attentions(model)]
    for place, (mixer, mix) in enumerate(mixes):
        mixer.mix = change(place, mix)
    try:
        yield
    finally:
        for mixer, mix in mixes:
            mixer.mix = mix


def _attentions(model: nn.Module) -> list[SelfAttention]:
    return [module for module in model.modules() if isinstance(module, SelfAttention)]


def _without(heads: Sequence[tuple[int, int]]) -> Callable[[int, Mix], Mix]:
    """Return a change that sets heads to zero, given as (place of the attention, head)."""

    def change(place: int, mix: Mix) -> Mix:
        gone = [head for where, head in heads if where == place]

        def silenced(query: Tensor, key: Tensor, value: Tensor, sight: Sight, dropout: float) -> Tensor:
            return mix(query, key, value, sight, dropout=dropout).index_fill(
                1, torch.tensor(gone, dtype=torch.long, device=value.device), 0
            )

        return silenced if gone else mix

    return change
