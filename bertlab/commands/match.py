"""Depth against width at equal FLOPs: find the size at which a changed model costs as much as the original.

Enters: the changes, with `match=inner` or `match=width` among them. Leaves: the changes with `model.inner=` or
`model.width=` in its place, the nearest size that the heads allow. The inner width keeps its ratio to the width. The
search counts training FLOPs of the built model, for any parts.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bertlab.config.building import build_parts
from bertlab.config.compose import load, resolved
from bertlab.config.errors import InputError, at

if TYPE_CHECKING:
    from bertlab.commands.describe import Costs

MATCH = "match="
SIZES = ("inner", "width")
MOST = 2**20  # of a size


def with_match(before: Sequence[str], changes: Sequence[str], cost: "Callable[[], Costs]") -> list[str]:
    """Return the changes with the matching sizes; without `match=` return them unchanged. Raises InputError."""
    asked = [word.removeprefix(MATCH) for word in changes if word.startswith(MATCH)]
    if not asked:
        return list(changes)
    if len(asked) > 1 or asked[0] not in SIZES:
        raise InputError(f"match must be {' or '.join(SIZES)}, given once, got {' and '.join(asked)}; choose one")
    others = [word for word in changes if not word.startswith(MATCH)]
    if set_twice := [word for word in others if word.lstrip("+").startswith(f"model.{asked[0]}=")]:
        raise InputError(f"match={asked[0]} finds model.{asked[0]}, got {set_twice[0]} too; leave one of them out")
    return [*others, *_found(asked[0], [*before, *others], cost())]


def _found(size: str, words: Sequence[str], target: "Costs") -> list[str]:
    """Return the size whose training costs nearest to the target, in FLOPs per token, as overrides."""
    config = resolved(load(words))
    model = config["model"]
    step = 1 if size == "inner" else 2 * model["heads"]  # rotary positions rotate halves of a head

    def sizes(steps: int) -> dict[str, int]:
        ratio = 1.0 if size == "inner" else model["inner"] / model["width"]
        own = {size: steps * step}
        return own if size == "inner" else {**own, "inner": max(1, round(ratio * steps * step))}

    def flops(steps: int) -> float:
        return _training({**config, "model": {**model, **sizes(steps)}}, target)

    low, high = 1, 2
    if flops(low) > target.training:
        raise InputError(
            f"match={size} must find a model that costs as much as the other one, got one that costs more with "
            f"model.{size}={step}; lower model.layers, or match the other size"
        )
    while flops(high) < target.training and high * step < MOST:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if flops(middle) <= target.training else (low, middle)
    nearest = min(low, high, key=lambda steps: abs(flops(steps) - target.training))
    return [f"model.{name}={value}" for name, value in sizes(nearest).items()]


def _training(config: Mapping[str, Any], target: "Costs") -> float:
    """Return training FLOPs per token, forward and backward, as in `Costs.training`."""
    import torch

    from bertlab.commands.describe import counted, empty_batch
    from bertlab.model.flops import count_flops
    from bertlab.train.early import form_of

    form = form_of(config)
    parts = build_parts(counted(config))
    with torch.device("meta"):  # no memory for weights
        with at("model"):
            model = parts.model(target.size, parts.evaluation.longest or form.length)
        batch = empty_batch(form, round(target.predicted * form.tokens))
    return count_flops(model, form.length).of_step(batch) / form.tokens
