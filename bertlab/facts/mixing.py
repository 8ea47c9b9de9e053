"""Facts about mixing: which parts of a layer are linear, and what fixed mixing of positions can do.

Legend: B batch, L length, D width, H heads, K head width.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from bertlab.config.errors import InputError
from bertlab.facts.attention import moved_by_order
from bertlab.facts.built import batch_of, normal, relative, small, tokens
from bertlab.facts.fact import Fact, below
from bertlab.model.attention import SelfAttention
from bertlab.model.bert import Bert
from bertlab.model.count import count_parameters
from bertlab.model.position import NoPosition
from bertlab.model.sight import Sight

MIXERS = ("softmax", "fully_connected", "fixed_random", "fourier")


def nonlinearity() -> Fact:
    """Measure the nonlinearity of each part."""
    with torch.no_grad():
        numbers = {
            "attention": defect(_attention(small())),
            "attention, weights held fixed": defect(_fixed_weights(small())),
            "attention without softmax": defect(_attention(small("model/score=linear"))),
            "feed-forward, gelu": defect(_part(small(), "feed_forward")),
            "feed-forward, relu": defect(_part(small("model/feed_forward=relu"), "feed_forward")),
            "feed-forward without activation": defect(_part(small("model/feed_forward=linear"), "feed_forward")),
            "layer norm": defect(_part(small(), "attention_norm")),
        }
    return Fact(
        claim="nonlinearity",
        question="Where does BERT's non-linearity come from; is multi-head attention linear?",
        answer="From the activation of the feed-forward layers, from the softmax of attention and from layer norm. "
        "Attention is linear in its values as long as the weights are held fixed, but the weights depend on the "
        "states: as a whole it is not linear, and not even without the softmax, where scores times values is a cubic.",
        header=("part", "superposition defect"),
        rows=[(part, below(size, 1e-6) if size < 1e-6 else f"{size:.2f}") for part, size in numbers.items()],
        how="|f(x + y) - f(x) - f(y)| / |f(x) + f(y)| for two random inputs; 0 for a linear part. Biases are 0.",
        test="test_attention_is_linear_in_its_values_only",
        numbers=numbers,
    )


def defect(part: Callable[[Tensor], Tensor]) -> float:
    """Return the deviation of a part from f(x + y) = f(x) + f(y)."""
    x_BLD, y_BLD = normal(2, 12, 48, name="x"), normal(2, 12, 48, name="y")
    return relative(part(x_BLD + y_BLD), part(x_BLD) + part(y_BLD))


def _part(model: Bert, name: str) -> nn.Module:
    return model.blocks[0].get_submodule(name)


def _attention(model: Bert) -> Callable[[Tensor], Tensor]:
    sight, attention = Sight(NoPosition(model.shape)), _part(model, "attention")
    return lambda x_BLD: attention(x_BLD, sight)


def _fixed_weights(model: Bert) -> Callable[[Tensor], Tensor]:
    """Return attention with weights computed from other states, independent of the values."""
    attention, other_BLD = _part(model, "attention"), normal(2, 12, 48, name="weights")
    assert isinstance(attention, SelfAttention)

    def mix(query: Tensor, key: Tensor, value: Tensor, sight: Sight, dropout: float) -> Tensor:
        other_BHLK = other_BLD.view(2, 12, attention.heads, -1).transpose(1, 2)
        return (other_BHLK @ other_BHLK.mT).softmax(-1) @ value

    attention.mix = mix
    return _attention(model)


def attention_fc() -> Fact:
    """Compare attention with mixing whose weights depend only on positions."""
    numbers: dict[str, float] = {}
    with torch.no_grad():
        for option in MIXERS:
            short, long = (small(f"model/attention={option}", "model/position=none", length=n) for n in (16, 32))
            numbers[f"{option}: moved by order"] = moved_by_order(short)
            numbers[f"{option}: longer"] = float(_takes(short, 24))
            one, other = (count_parameters(model).get("attention", 0) for model in (short, long))
            numbers[f"{option}: parameters a position"] = (other - one) / (long.shape.layers * (32 - 16))
    order = {option: numbers[f"{option}: moved by order"] for option in MIXERS}
    return Fact(
        claim="attention_fc",
        question="Attention or a fully-connected layer over positions: what is the difference?",
        answer="Both mix all positions, but attention computes its weights from the tokens, a fully-connected layer "
        "has learned them for places. So attention does not care in which order tokens stand before positions are "
        "added, and takes any length; the other binds what it learns to places, and to the length it was made for.",
        header=("model/attention", "change when tokens change places", "takes longer texts", "parameters a position"),
        rows=[
            (
                option,
                below(order[option], 1e-6) if order[option] < 1e-6 else f"{100 * order[option]:.0f} %",
                "yes" if numbers[f"{option}: longer"] else "no",
                f"{numbers[f'{option}: parameters a position']:.0f}",
            )
            for option in MIXERS
        ],
        how="Untrained models of two layers without position embeddings, made for 16 tokens; longer texts have 24. "
        "The last column is what each position more adds to a layer on average from 16 to 32. Which learns best is a "
        "study.",
        test="test_mixing_by_position_is_bound_to_order_and_length",
        numbers=numbers,
    )


def _takes(model: Bert, length: int) -> bool:
    """Return whether a model accepts sequences of this length."""
    try:
        model.encode(batch_of(tokens(1, length)))
    except InputError:
        return False
    return True
