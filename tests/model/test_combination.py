"""Combinations of parts that make no sense are refused with the reason."""

from collections.abc import Callable
from typing import Any

import pytest

from bertlab.config.errors import InputError
from bertlab.model.bert import Bert
from bertlab.model.combination import check_cls

MakeModel = Callable[..., Bert]
NO_SCORES = r"acts on the scores of attention, and model/attention \({}\) has none; choose model/position=learned"
REFUSED: list[tuple[dict[str, str], dict[str, Any], str]] = [
    ({"attention": "fourier", "position": "rotary"}, {}, r"model/position \(Rotary\) " + NO_SCORES.format("Fourier")),
    ({"attention": "none", "position": "alibi"}, {}, r"model/position \(Alibi\) " + NO_SCORES.format("none")),
    (
        {"attention": "fully_connected", "embedding": "untied"},
        {},
        "model/embedding=untied " + NO_SCORES.format("FullyConnected"),
    ),
    (
        {"attention": "fixed_random", "scale": "one"},
        {},
        r"model/scale and model/score act on .* model/attention \(FixedRandom\) has none; choose model/scale=sqrt and",
    ),
    ({"attention": "fourier", "score": "linear"}, {}, r"model/scale and model/score .* \(Fourier\) has none"),
    (
        {"attention": "fourier", "visibility": "diagonal"},
        {},
        r"model/visibility \(Diagonal\) restricts .* model/attention \(Fourier\) cannot .* choose model/visibility=all",
    ),
    ({"attention": "none", "visibility": "blocked"}, {}, r"model/visibility \(Blocked\) restricts .* \(none\) cannot"),
    (
        {"attention": "none", "feed_forward": "none"},
        {},
        "model/attention=none and model/feed_forward=none leave the layers empty; choose another option for one",
    ),
    ({"embedding": "untied", "position": "rotary"}, {}, "model/embedding=untied .* got Rotary, which has none; choose"),
    (
        {"norm": "batch", "visibility": "diagonal_position"},
        {},
        r"model/norm=batch would mix .* \(DiagonalPosition\) embeds apart; choose model/norm=layer, rms or none",
    ),
    ({"attention": "none", "sharing": "attention"}, {}, "model/sharing shares attention, attention_norm, which layers"),
    (
        {"sharing": "all"},
        {"layers": 1},
        "model.layers must be at least 2 for model/sharing, got 1; choose model/sharing=none",
    ),
    (
        {"attention": "no_qk"},
        {"head_width": 48},
        "model.head_width must be model.width/model.heads for model/attention without projections, got 48 with width",
    ),
    ({"attention": "fourier"}, {"head_width": 5}, r"model\.head_width must be null .* no heads, got 5; leave it out"),
    ({}, {"skip": 1}, r"skip must be true or false, got 1; choose one"),
    ({}, {"head_width": 0}, r"head_width must be a whole number of at least 1, got 0"),
]


@pytest.mark.parametrize(("parts", "sizes", "message"), REFUSED)
def test_a_combination_without_meaning_is_refused_with_the_reason(
    make_model: MakeModel, parts: dict[str, str], sizes: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=f"^{message}") as refusal:
        make_model(parts, **sizes)
    assert "\n" not in str(refusal.value)


WITHOUT_CLS = "; choose batch.cls=true, or model/pooling=mean or max with model/embedding=sum, concat or no_segment"


@pytest.mark.parametrize("pooling", ["cls", "mean", "max"])
@pytest.mark.parametrize("embedding", ["sum", "concat", "no_segment", "untied"])
def test_parts_that_take_the_first_token_for_cls_need_one(make_model: MakeModel, pooling: str, embedding: str) -> None:
    model = make_model({"pooling": pooling, "embedding": embedding})
    reader = {"cls": "model/pooling (cls)"}.get(pooling) or {"untied": "model/embedding (Untied)"}.get(embedding)
    if reader is None:
        check_cls(model.embedding, model.pooling)
        return
    with pytest.raises(InputError) as caught:
        check_cls(model.embedding, model.pooling)
    message = f"batch.cls=false leaves no [CLS], and {reader} takes the first token for it"
    assert str(caught.value) == message + WITHOUT_CLS
