"""Attention against its formula: its projections, and how scores are scaled and weighted."""

from collections.abc import Callable
from functools import partial

import pytest
import torch

from bertlab.config.errors import InputError
from bertlab.model.attention import SelfAttention, split
from bertlab.model.bert import Bert
from bertlab.model.flops import count_flops
from bertlab.model.grouped import Grouped
from bertlab.model.position import Alibi, NoPosition
from bertlab.model.qk_norm import QkNorm
from bertlab.model.scale import inverse, one, sqrt
from bertlab.model.score import linear, softmax
from bertlab.model.shape import Shape
from bertlab.model.sight import Sight
from bertlab.model.soft_cap import soft_cap

MakeModel = Callable[..., Bert]
B, H, L, K, D = 2, 3, 5, 4, 48
PROJECTIONS = {
    "softmax": {"query", "key", "value", "output"},
    "shared_kv": {"query", "key", "output"},
    "shared_qk": {"query", "value", "output"},
    "shared_qkv": {"query", "output"},
    "no_qk": {"value", "output"},
    "no_v": {"query", "key", "output"},
    "no_projection": set(),
}


def random(*size: int) -> torch.Tensor:
    return torch.randn(*size, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("attention", PROJECTIONS)
def test_roles_have_the_projections_that_the_config_gives_them(make_model: MakeModel, attention: str) -> None:
    model = make_model({"attention": attention})
    names = {name.split(".")[3] for name, _ in model.named_parameters() if name.startswith("blocks.0.attention.")}
    assert names == PROJECTIONS[attention]


@pytest.mark.parametrize("attention", PROJECTIONS)
def test_what_roles_share_is_computed_once(make_model: MakeModel, attention: str) -> None:
    full, other = count_flops(make_model(), 13), count_flops(make_model({"attention": attention}), 13)
    saved = full.per_sequence - other.per_sequence
    forward_and_backward, layers = 3, 3
    assert saved == forward_and_backward * layers * (4 - len(PROJECTIONS[attention])) * 2 * 13 * D * D


def test_equal_queries_and_keys_make_symmetric_scores() -> None:
    shape = Shape(61, L, 1, H * K, H, 7, 0.0, 2, 0.02, 0.02)
    seen: list[torch.Tensor] = []

    def watch(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, *_: object, **__: object) -> torch.Tensor:
        seen.append(query @ key.mT)
        return value

    with torch.random.fork_rng():
        attention = SelfAttention(shape, watch, query="query", key="query", value="value", output=True)
    attention(random(B, L, H * K), Sight(Alibi(shape)))
    torch.testing.assert_close(seen[0], seen[0].mT)


@pytest.mark.parametrize("longer", [1.0, 7.0])
def test_normed_queries_and_keys_are_scored_by_their_cosine_however_long_they_are(longer: float) -> None:
    shape = Shape(61, L, 1, H * K, H, 7, 0.0, 2, 0.02, 0.02)
    seen: list[torch.Tensor] = []

    def watch(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, *_: object, **__: object) -> torch.Tensor:
        seen.append(sqrt(K) * query @ key.mT)
        return value

    roles = {"query": "query", "key": "key", "value": "value", "output": True}
    with torch.random.fork_rng():
        attention = QkNorm(shape, watch, start=3.0, **roles)
    x_BLD = random(B, L, H * K)
    query, key = (split(module(x_BLD), H).detach() for module in (attention.query, attention.key))
    with torch.no_grad():
        for parameter in (*attention.query.parameters(), *attention.key.parameters()):
            parameter *= longer
    attention(x_BLD, Sight(NoPosition(shape)))
    cosine = torch.cosine_similarity(query[:, :, :, None], key[:, :, None], dim=-1)
    torch.testing.assert_close(seen[0], 3 * cosine)


def test_the_factor_of_cosines_is_learned_in_each_layer_from_a_given_start(make_model: MakeModel) -> None:
    model = make_model({"attention": "qk_norm"})
    gains = [block.attention.gain for block in model.blocks]
    assert len({id(gain) for gain in gains}) == len(gains) == 3
    assert [gain.item() for gain in gains] == [12.0] * 3
    with pytest.raises(InputError, match=r"start must lie in \(0, 1000\), got 0"):
        QkNorm(model.shape, softmax, start=0, query="query", key="key", value="value", output=True)


def test_a_role_cannot_name_another_projection() -> None:
    shape = Shape(61, L, 1, H * K, H, 7, 0.0, 2, 0.02, 0.02)
    with pytest.raises(InputError, match=r"value must be query, key, value or null, got valu"):
        SelfAttention(shape, softmax, query="query", key="key", value="valu", output=True)


def test_full_width_for_every_head_multiplies_the_projections(make_model: MakeModel) -> None:
    model = make_model(head_width=D)
    attention = model.blocks[0].attention
    assert attention.query.weight.shape == attention.key.weight.shape == (6 * D, D)
    assert attention.output.weight.shape == (D, 6 * D)
    assert model.scale == pytest.approx(D**-0.5)


def test_scales_of_a_head_of_16() -> None:
    assert [scale(16) for scale in (sqrt, one, inverse)] == [0.25, 1.0, 0.0625]


def parts_of_attention() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, Sight, torch.Tensor, torch.Tensor]:
    query, key, value = random(3, B, H, L, K)
    alibi = Alibi(Shape(61, 11, 1, H * K, H, 7, 0.0, 2, 0.02, 0.02))
    allowed = torch.ones(B, 1, L, L, dtype=torch.bool).tril()
    bias = alibi.bias(L)[None]
    return query, key, value, Sight(alibi, allowed=allowed, bias=bias), allowed, bias


@pytest.mark.parametrize("scale", [0.5, 1.0, 0.25])
def test_softmax_attention_by_its_formula(scale: float) -> None:
    query, key, value, sight, allowed, bias = parts_of_attention()
    score = (scale * query @ key.mT + bias).masked_fill(~allowed, -torch.inf)
    torch.testing.assert_close(softmax(query, key, value, sight, scale, 0.0), score.softmax(-1) @ value)


def test_linear_attention_by_its_formula_is_linear_in_values_queries_and_keys() -> None:
    query, key, value, sight, allowed, bias = parts_of_attention()
    weight = (0.5 * query @ key.mT + bias) * allowed / torch.arange(1, L + 1)[:, None]
    torch.testing.assert_close(linear(query, key, value, sight, 0.5, 0.0), weight @ value)
    plain = Sight(sight.position)
    torch.testing.assert_close(linear(query, key, value, plain, 0.5, 0.0), (0.5 * query @ key.mT / L) @ value)
    for place in range(3):
        twice = [2 * x if place == index else x for index, x in enumerate((query, key, value))]
        torch.testing.assert_close(linear(*twice, plain, 0.5, 0.0), 2 * linear(query, key, value, plain, 0.5, 0.0))


@pytest.mark.parametrize("cap", [0.5, 3.0, 1e3])
def test_capped_attention_by_its_formula(cap: float) -> None:
    query, key, value, sight, allowed, bias = parts_of_attention()
    score = (cap * torch.tanh(0.5 * query @ key.mT / cap) + bias).masked_fill(~allowed, -torch.inf)
    torch.testing.assert_close(soft_cap(query, key, value, sight, 0.5, 0.0, cap=cap), score.softmax(-1) @ value)
    if cap == 1e3:
        torch.testing.assert_close(
            soft_cap(query, key, value, sight, 0.5, 0.0, cap=cap), softmax(query, key, value, sight, 0.5, 0.0)
        )


def test_heads_of_a_group_have_one_head_of_keys_and_values() -> None:
    shape, seen = Shape(61, L, 1, 4 * K, 4, 7, 0.0, 2, 0.02, 0.02), []

    def watch(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, *_: object, **__: object) -> torch.Tensor:
        seen.append((query, key, value))
        return value

    with torch.random.fork_rng():
        attention = Grouped(shape, watch, groups=2)
    attention(random(B, L, 4 * K), Sight(NoPosition(shape)))
    query, *others = seen[0]
    assert len(query.unique(dim=1)[0]) == 4
    for each in others:
        torch.testing.assert_close(each[:, 0], each[:, 1])
        torch.testing.assert_close(each[:, 2], each[:, 3])
        assert not torch.allclose(each[:, 1], each[:, 2])
    with pytest.raises(InputError, match=r"groups must divide model\.heads 4, got 3; choose a divisor"):
        Grouped(shape, watch, groups=3)


@pytest.mark.parametrize("score", [softmax, linear, partial(soft_cap, cap=2.0)])
def test_a_token_that_may_attend_to_no_token_gets_zeros(score: Callable[..., torch.Tensor]) -> None:
    query, key, value, sight, _, bias = parts_of_attention()
    nobody = torch.zeros(B, 1, 1, L, dtype=torch.bool)
    for other in (None, bias):
        assert not score(query, key, value, Sight(sight.position, None, nobody, other), 0.5, 0.0).any()


def test_alibi_by_hand() -> None:
    """H = 4: slopes 1/4, 1/16, 1/64, 1/256."""
    bias_HLL = Alibi(Shape(61, 11, 1, 8, 4, 7, 0.0, 2, 0.02, 0.02)).bias(5)
    assert bias_HLL[:, 4, 1].tolist() == [-3 / 4, -3 / 16, -3 / 64, -3 / 256]
    assert torch.equal(bias_HLL, bias_HLL.mT)
