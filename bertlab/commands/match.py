"""Depth against width at equal FLOPs: the size with which a changed model costs what another one costs.

Enters: what is changed, with `match=inner` or `match=width` among it. Leaves: it, with `model.inner=` or `model.width=`
in its place, the nearest that the heads allow. With the width, the inner width keeps its ratio to it. The sizes are
found by counting FLOPs of training on the built model, whatever its parts are.
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
    """Return the changes with the sizes that match; as they are without the word. Raises InputError."""
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
    """Return the words that set the size for which training costs the same FLOPs a token, as nearly as can be."""
    config = resolved(load(words))
    model = config["model"]
    step = 1 if size == "inner" else 2 * model["heads"]  # halves of heads are turned by rotary positions

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
    """Return the FLOPs of training on one token, forward and backward, as `Costs.training` has them."""
    import torch

    from bertlab.commands.describe import counted, empty_batch
    from bertlab.model.flops import count_flops
    from bertlab.train.early import form_of

    form = form_of(config)
    parts = build_parts(counted(config))
    with torch.device("meta"):  # without memory
        with at("model"):
            model = parts.model(target.size, parts.evaluation.longest or form.length)
        batch = empty_batch(form, round(target.predicted * form.tokens))
    return count_flops(model, form.length).of_step(batch) / form.tokens
