"""The sizes of conf/model, against the parameter counts that their authors publish and a formula by hand."""

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import DictConfig

from bertlab.config.compose import CONF, load, resolved
from bertlab.model.bert import Bert

SIZES = sorted(
    {path.stem for path in (CONF / "model").glob("*.yaml")} - {"modernbert"}
)  # which has a formula of its own
VOCABULARY = 30_522
PUBLISHED = {"tiny": 4_385_920, "mini": 11_170_560, "small": 28_763_648, "base": 109_482_240}  # encoder and pooler


def without_memory(config: DictConfig) -> Bert:
    with torch.device("meta"):
        model: Bert = instantiate(config.model, _convert_="all")(VOCABULARY, 64)
    return model


def size(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize("name", SIZES)
def test_parameters_are_as_many_as_the_formula_says(name: str) -> None:
    config = load([f"model={name}"])
    model, sizes = without_memory(config), resolved(config)["model"]
    layers, width, inner = sizes["layers"], sizes["width"], sizes["inner"]
    embedding = (VOCABULARY + 2 + sizes["position"].get("positions", 0)) * width + 2 * width
    attention = 4 * (width * width + width) + 2 * width
    feed_forward = (width * inner + inner) + (inner * width + width) + 2 * width
    mlm_head = width * width + width + 2 * width + VOCABULARY  # the decoder is the token embedding; its bias is not
    pair_head = width * width + width + 2 * width + 2
    others = 0 if "generator" not in sizes else of_detection(sizes)
    assert size(model) == embedding + layers * (attention + feed_forward) + mlm_head + pair_head + others


def of_detection(sizes: dict[str, int]) -> int:
    """The generator's layers, the maps into and out of it, and the head that detects."""
    width = sizes["width"]
    narrow, inner = (sizes[name] // sizes["generator"] for name in ("width", "inner"))
    attention = 4 * (narrow * narrow + narrow) + 2 * narrow
    feed_forward = (narrow * inner + inner) + (inner * narrow + narrow) + 2 * narrow
    maps = (width * narrow + narrow) + (narrow * width + width)
    return sizes["layers"] * (attention + feed_forward) + maps + (width * width + width) + (width + 1)


def test_a_modernbert_has_no_biases_but_those_of_the_vocabulary_and_the_pairs() -> None:
    config = load(["model=modernbert"])
    width, inner, layers = 64, 171, 4  # 2/3 of 256
    layer = 4 * width * width + 3 * width * inner + 2 * width
    heads = (width * width + width + VOCABULARY) + (width * width + width + 2 * width + 2)
    embedding, first, final = VOCABULARY * width + width, -width, width
    assert size(without_memory(config)) == embedding + layers * layer + first + final + heads


@pytest.mark.parametrize("name", PUBLISHED)
def test_encoder_and_pooler_are_as_large_as_published(name: str) -> None:
    model = without_memory(load([f"model={name}"]))
    assert size(model) - size(model.mlm_head) - size(model.pair_head.classify) == PUBLISHED[name]


def test_base_with_both_heads_has_110_106_428_parameters() -> None:
    assert size(without_memory(load(["model=base"]))) == 110_106_428


def test_the_regime_of_the_paper_trains_the_same_model() -> None:
    assert size(without_memory(load(["model=base", "regime=bert"]))) == 110_106_428
