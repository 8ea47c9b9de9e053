"""Facts about attention: its steps on numbers that can be checked by hand, and attention without projections.

Legend: B batch, L length, D width, H heads, K head width.
"""

import math
from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn

from bertlab.facts.built import batch_of, largest, relative, small, tokens
from bertlab.facts.fact import Fact, below
from bertlab.model.attention import SelfAttention
from bertlab.model.bert import Bert
from bertlab.model.position import NoPosition
from bertlab.model.scale import sqrt
from bertlab.model.score import softmax
from bertlab.model.shape import Shape
from bertlab.model.sight import Sight

STATES_LD = ((1.0, 0.0), (0.0, 1.0), (1.0, 1.0))
QUERY_DD = ((1.0, 0.0), (0.0, 1.0))
KEY_DD = ((0.0, 1.0), (1.0, 0.0))
VALUE_DD = ((1.0, 0.0), (0.0, 2.0))
TINY = Shape(  # one head of width 2, three tokens
    vocab_size=5,
    length=3,
    layers=1,
    width=2,
    heads=1,
    inner=2,
    dropout=0.0,
    segment_types=2,
    embedding_std=0.02,
    dense_std=0.02,
)


def attention_steps() -> Fact:
    """Compute the steps of self-attention and compare them with our layer."""
    state_LD = torch.tensor(STATES_LD, dtype=torch.float64)
    query_LD, key_LD, value_LD = (state_LD @ torch.tensor(w).double() for w in (QUERY_DD, KEY_DD, VALUE_DD))
    score_LL = query_LD @ key_LD.T
    scaled_LL = score_LL / math.sqrt(2)
    weight_LL = scaled_LL.exp() / scaled_LL.exp().sum(-1, keepdim=True)
    output_LD = weight_LL @ value_LD
    steps = {
        "1. token states x": state_LD,
        "2. queries q = x W_Q, W_Q = [[1, 0], [0, 1]]": query_LD,
        "3. keys k = x W_K, W_K = [[0, 1], [1, 0]]": key_LD,
        "4. values v = x W_V, W_V = [[1, 0], [0, 2]]": value_LD,
        "5. scores q · k with the keys of tokens 1, 2, 3": score_LL,
        "6. divided by the root of the head width 2": scaled_LL,
        "7. softmax: weights that sum to 1": weight_LL,
        "8. output: values in these weights": output_LD,
    }
    with torch.no_grad():
        numbers = {"by hand against the layer": largest(worked_layer()(state_LD[None], SIGHT)[0] - output_LD)}
        for option in ("none", "learned"):
            numbers[f"position={option}"] = moved_by_order(small(f"model/position={option}"))
    return Fact(
        claim="attention_steps",
        question="What is self-attention, step by step, and how does it differ from ordinary attention?",
        answer="Each token makes a query, a key and a value; its output is the mean of all values, weighted by how "
        "well its query fits each key. Ordinary attention, between decoder and encoder, takes queries from one "
        "sequence, keys and values from another; here all three come from the same. It knows no order: without "
        "positions, tokens that change places take their outputs along. Only positions tell places apart: with them, "
        f"the outputs change by {100 * numbers['position=learned']:.0f} % of their size in an untrained model.",
        header=("step", "token 1", "token 2", "token 3"),
        rows=[(step, *map(_vector, value.tolist())) for step, value in steps.items()],
        how="The layer of the models, with torch's fused kernel and these weights, differs from the last row by "
        f"{below(numbers['by hand against the layer'], 1e-6)}; permuting the tokens of a model without positions "
        f"permutes its states but for {below(numbers['position=none'], 1e-6)}.",
        test="test_the_steps_give_what_the_fused_kernel_gives_and_know_no_order",
        numbers={**numbers, "weight of 3 on 1": float(weight_LL[2, 0]), "output of 3, first": float(output_LD[2, 0])},
    )


SIGHT = Sight(NoPosition(TINY))


def worked_layer() -> SelfAttention:
    """Return our layer with the weights of the example."""
    mix = partial(softmax, scale=sqrt(2))
    layer = SelfAttention(TINY, mix, query="query", key="key", value="value", output=False).double()
    for name, weight in (("query", QUERY_DD), ("key", KEY_DD), ("value", VALUE_DD)):
        linear = layer.get_submodule(name)
        assert isinstance(linear, nn.Linear)
        linear.weight.copy_(torch.tensor(weight).T)
        linear.bias.zero_()
    return layer


def _vector(values: Sequence[float]) -> str:
    return f"({', '.join(f'{value:.2f}'.rstrip('0').rstrip('.') for value in values)})"


def moved_by_order(model: Bert) -> float:
    """Return the distance between states of permuted tokens and permuted states."""
    ids_BL = tokens(4, 12)
    order_L = torch.arange(12).roll(5).flip(0)
    return relative(model.encode(batch_of(ids_BL[:, order_L])), model.encode(batch_of(ids_BL))[:, order_L])


def no_qkv() -> Fact:
    """Compare the scores of a first layer with and without projections of queries and keys."""
    arms = {"softmax": 4, "shared_qk": 4, "no_qk": 4, "no_projection": 1}
    numbers: dict[str, float] = {}
    with torch.no_grad():
        for option, heads in arms.items():
            score_BHLL = scores(small(f"model/attention={option}", heads=heads))
            asymmetry = largest(score_BHLL - score_BHLL.mT) / largest(score_BHLL)
            own_BHL = score_BHLL.argmax(-1) == torch.arange(score_BHLL.shape[-1])
            weight_BHLL = score_BHLL.softmax(-1)
            numbers |= {
                f"{option}: asymmetry": asymmetry,
                f"{option}: looks most at itself": float(own_BHL.double().mean()),
                f"{option}: weight of itself": float(weight_BHLL.diagonal(dim1=-2, dim2=-1).mean()),
            }
    return Fact(
        claim="no_qkv",
        question="What goes wrong without the matrices for queries, keys and values?",
        answer="A score is then the product of two states: what token i gives to j it also gets from j, so no relation "
        "can have a direction, and as normalised states are alike in length, each token fits itself best and looks "
        "mostly at itself. Sharing one matrix for queries and keys keeps the symmetry.",
        header=("model/attention", "heads", "scores symmetric", "tokens that look most at themselves, %", "weight, %"),
        rows=[
            (
                option,
                str(heads),
                "no" if numbers[f"{option}: asymmetry"] > 1e-6 else "yes",
                f"{100 * numbers[f'{option}: looks most at itself']:.0f}",
                f"{100 * numbers[f'{option}: weight of itself']:.0f}",
            )
            for option, heads in arms.items()
        ],
        how="Scores of the first layer of untrained models on random tokens, 12 to a sequence: one weight in 12 is "
        "8 %. What it does to learning is a study.",
        test="test_without_queries_and_keys_scores_are_symmetric_and_tokens_look_at_themselves",
        numbers=numbers,
    )


def scores(model: Bert) -> Tensor:
    """Return the scaled scores of the first layer on random tokens (B, H, L, L)."""
    attention = model.blocks[0].get_submodule("attention")
    assert isinstance(attention, SelfAttention)
    seen: list[Tensor] = []
    mix = attention.mix

    def record(query: Tensor, key: Tensor, value: Tensor, sight: Sight, dropout: float) -> Tensor:
        seen.append(model.scale * query @ key.mT)
        return mix(query, key, value, sight, dropout=dropout)

    attention.mix = record
    model.encode(batch_of(tokens(4, 12)))
    return seen[0]
