"""Facts about cost: effect of heads and length on FLOPs, parameters, memory and time, for a layer of BERT-base.

Legend: B batch, L length, D width.
"""

from dataclasses import replace
from functools import partial

import torch
from torch.nn.attention import sdpa_kernel
from torch.nn.functional import cross_entropy

from bertlab.config.errors import InputError
from bertlab.facts.built import LONGEST, base, batch_of, largest, small, tokens
from bertlab.facts.fact import Fact
from bertlab.facts.measure import HEADS, KERNELS, SIGHT, Measured, attention, states
from bertlab.model.bert import Bert
from bertlab.model.count import count_parameters, saved_bytes
from bertlab.model.flops import forward_flops

MIB = 2**20
LENGTHS = (128, 512, 2048, 4608, 8192)
KEPT_LENGTHS = (128, 256, 512, 1024)


def head_cost(measured: Measured) -> Fact:
    """Count and time attention with 1 to 16 heads at constant width."""
    length = measured.length
    numbers: dict[str, float] = {}
    for heads in HEADS:
        model = base(length=length, layers=1, heads=heads)
        numbers[f"{heads}: parameters"] = count_parameters(model)["attention"]
        numbers[f"{heads}: FLOPs"] = flops_of(model, length)["attention"]
        numbers |= {f"{heads}: {kernel} bytes": size for kernel, size in kept(heads, length).items()}
        numbers |= {f"{heads}: {kernel} time": measured.ratio(heads, kernel) for kernel in KERNELS}
    rows = [
        (
            str(heads),
            f"{numbers[f'{heads}: parameters']:,.0f}",
            f"{numbers[f'{heads}: FLOPs']:,.0f}",
            *(f"{numbers[f'{heads}: {kernel} bytes'] / MIB:.1f} MiB" for kernel in KERNELS),
            *(f"× {numbers[f'{heads}: {kernel} time']:.2f}" for kernel in KERNELS),
        )
        for heads in HEADS
    ]
    more = {kernel: numbers[f"16: {kernel} bytes"] / numbers[f"1: {kernel} bytes"] for kernel in KERNELS}
    return Fact(
        claim="head_cost",
        question="Do more heads make attention more expensive?",
        answer="Not in parameters and not in FLOPs: each head has its share of the width, and all heads together "
        "multiply as much as one. What grows is the element-wise work on the weights, a table of length × length for "
        f"each head. By the plain formula 16 heads keep {more['plain']:.1f} times the memory of one and took "
        f"{numbers['16: plain time']:.1f} times its time; a fused kernel never stores the weights, keeps "
        f"{more['fused']:.2f} times as much and took {numbers['16: fused time']:.1f} times as long.",
        header=("heads", "parameters", "FLOPs", "kept, plain", "kept, fused", "time, plain", "time, fused"),
        rows=rows,
        how=f"One self-attention of width 768 on {length} tokens: parameters, forward FLOPs and what the forward pass "
        f"keeps for the backward pass are counted. Times are of both passes on {measured.sequences} sequences, "
        f"relative to one head: {measured.description}. They were measured once, into "
        "[facts/head_cost.csv](facts/head_cost.csv), by `python -m bertlab.facts measure=true`, and are no promise.",
        test="test_heads_are_free_of_parameters_and_flops",
        numbers=numbers,
    )


def flops_of(model: Bert, length: int) -> dict[str, int]:
    """Return the forward FLOPs by part for one sequence, in a model without memory for weights."""
    with torch.device("meta"):
        return forward_flops(model, batch_of(torch.zeros(1, length, dtype=torch.int64)))


def kept(heads: int, length: int) -> dict[str, int]:
    """Return, by kernel, the bytes that attention of BERT-base saves per sequence for the backward pass."""
    layer, state_BLD, found = attention(heads), states(1, length), dict[str, int]()
    for kernel, backends in KERNELS.items():
        with sdpa_kernel(backends):
            found[kernel] = saved_bytes(partial(layer, state_BLD, SIGHT), layer)
    return found


def length() -> Fact:
    """Count the cost of length, and find its linear and quadratic part."""
    numbers: dict[str, float] = {}
    for n in LENGTHS:
        parts = flops_of(base("model/position=none", length=n, layers=1), n)
        numbers[f"{n}: FLOPs"] = parts["attention"] + parts["feed-forward"]
    one, two = (numbers[f"{n}: FLOPs"] / n for n in LENGTHS[:2])  # linear + quadratic * length
    quadratic = (two - one) / (LENGTHS[1] - LENGTHS[0])
    linear = one - quadratic * LENGTHS[0]
    numbers |= {"linear": linear, "quadratic": quadratic, "equal at": linear / quadratic}
    numbers |= {f"{n}: {kernel} bytes": size for n in KEPT_LENGTHS for kernel, size in kept(12, n).items()}
    numbers["513 tokens are refused"] = float(_refuses(513))
    numbers |= {f"segment {row}: gradient": size for row, size in enumerate(segment_gradients(rows=3))}
    rows = [
        (f"{n:,}", f"{flops / 1e9:.2f}", f"{100 * quadratic * n**2 / flops:.1f}", *_kept(numbers, n))
        for n in sorted({*LENGTHS, *KEPT_LENGTHS})
        if (flops := linear * n + quadratic * n**2)
    ]
    return Fact(
        claim="length",
        question="Why does BERT take at most 512 tokens and two sentences?",
        answer="Because it has a learned vector for each of 512 positions: 513 tokens are refused. Cost is the reason "
        f"not to have more: a layer costs {linear:,.0f} × L + {quadratic:,.0f} × L² FLOPs. At 512 tokens the quadratic "
        f"part is still small; it equals the linear one at {numbers['equal at']:,.0f} tokens. Memory turns quadratic "
        "much earlier, unless a fused kernel leaves the weights out. Two sentences, because its training pairs two: "
        "there is a learned vector for each. A third vector is easily had, but in training on pairs nothing uses it: "
        "its gradient is exactly 0, and but for weight decay it stays as it was drawn.",
        header=("tokens", "GFLOPs of a layer", "quadratic, %", "kept, plain", "kept, fused"),
        rows=rows,
        how="Forward FLOPs of one layer of BERT-base on one sequence; linear and quadratic part follow from the first "
        "two of the counted lengths and give the others exactly. Kept is what one self-attention of 12 heads holds for "
        "the backward pass. The gradient of the third vector is that of the MLM loss of two random pairs in a small "
        "model. How quality falls beyond the trained length is a study.",
        test="test_cost_is_linear_plus_quadratic_in_length",
        numbers=numbers,
    )


def segment_gradients(rows: int) -> list[float]:
    """Return the largest gradient in each row of a segment table, for the MLM loss of sequences of two segments."""
    model, ids_BL = small(segment_types=rows), tokens(2, LONGEST)
    first_of_two_BL = (torch.arange(LONGEST) < LONGEST // 2).expand_as(ids_BL)
    batch = replace(batch_of(ids_BL), segments_BL=(~first_of_two_BL).long())
    assert model.embedding.segment is not None
    table = model.embedding.segment.weight
    (gradient_SD,) = torch.autograd.grad(cross_entropy(model(batch).mlm_MV, batch.target_M), table)
    return [largest(gradient_D) for gradient_D in gradient_SD]


def _kept(numbers: dict[str, float], tokens: int) -> list[str]:
    sizes = [numbers.get(f"{tokens}: {kernel} bytes") for kernel in KERNELS]
    return ["" if size is None else f"{size / MIB:.1f} MiB" for size in sizes]


def _refuses(tokens: int) -> bool:
    """Return whether BERT-base refuses sequences of this length."""
    try:
        base(length=tokens)
    except InputError:
        return True
    return False
