"""Parity with the reference implementation, transformers' `BertForPreTraining`, on the same weights."""

import json
import os
import re
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file
from torch import Tensor
from torch.nn.functional import gelu

from bertlab.config.compose import CONF
from bertlab.config.errors import InputError
from bertlab.data.batches import Batch
from bertlab.data.pairs import FOLLOWS, RANDOM
from bertlab.model.bert import Bert
from bertlab.model.reference import save_reference, to_reference
from tests.model.published import from_reference

os.environ["HF_HUB_OFFLINE"] = "1"  # read at the import: nothing is ever looked up
transformers = import_module("transformers")

MakeModel = Callable[..., Bert]
MakeBatch = Callable[..., Batch]
SIZES = {
    "vocab_size": 61,
    "hidden_size": 42,
    "num_hidden_layers": 3,
    "num_attention_heads": 7,
    "intermediate_size": 53,
    "max_position_embeddings": 19,
    "type_vocab_size": 2,
    "hidden_dropout_prob": 0.1,
    "attention_probs_dropout_prob": 0.1,
}
OPTIONS = [(path.parent.name, path.stem) for path in sorted((CONF / "model").glob("*/*.yaml"))]


def shaken(model: Any) -> Any:
    """Change every parameter a little, also biases and norms, so that a missing one is noticed."""
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.1 * torch.randn(parameter.shape, generator=generator)
    return model.eval()


@pytest.fixture(scope="module")
def theirs() -> Any:
    """A BERT of the reference implementation, with random weights."""
    return shaken(transformers.BertForPreTraining(transformers.BertConfig(**SIZES)))


@pytest.fixture(scope="module")
def ours(theirs: Any) -> Bert:
    """The same BERT, converted."""
    return from_reference(theirs.config.to_dict(), theirs.state_dict())


@pytest.fixture
def batch(make_batch: MakeBatch) -> Batch:
    return make_batch()


@torch.no_grad()
def read(theirs: Any, batch: Batch, **inputs: Tensor) -> Any:
    """Return the reference's output for a batch, with the states of every layer."""
    if not inputs:
        inputs["token_type_ids"] = batch.segments_BL
        if batch.real_BL is not None:
            inputs["attention_mask"] = batch.real_BL.long()
    return theirs(batch.ids_BL, output_hidden_states=True, **inputs)


def close(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


def assert_same_logits(ours: Bert, theirs: Any, batch: Batch) -> None:
    with torch.no_grad():
        output, expected = ours(batch), read(theirs, batch)
    close(output.mlm_MV, expected.prediction_logits.flatten(0, 1)[batch.position_M])
    close(output.pair_B2, expected.seq_relationship_logits)


@torch.no_grad()
def layers(model: Bert, batch: Batch) -> list[Tensor]:
    """Return the states after the embedding and after every layer, only of real tokens (N, D)."""
    found: list[Tensor] = []
    parts = [model.embedding, *model.blocks]
    hooks = [part.register_forward_hook(lambda _, __, states_BLD: found.append(states_BLD)) for part in parts]
    model.encode(batch)
    for hook in hooks:
        hook.remove()
    return [states if states.ndim == 2 else real(states, batch) for states in found]


def real(states_BLD: Tensor, batch: Batch) -> Tensor:
    """Return the states of real tokens (N, D)."""
    return states_BLD.flatten(0, 1) if batch.real_BL is None else states_BLD[batch.real_BL]


def their_copy(folder: Path, model: Bert) -> Any:
    """Return our model as transformers loads it."""
    save_reference(folder, *to_reference(model))
    loaded, about = transformers.BertForPreTraining.from_pretrained(folder, output_loading_info=True)
    assert not any(about.values()), "nothing missing, unexpected or misshapen"
    return loaded


def test_states_of_every_layer_are_the_references(ours: Bert, theirs: Any, batch: Batch) -> None:
    found, expected = layers(ours, batch), read(theirs, batch).hidden_states
    assert len(found) == len(expected) == 1 + SIZES["num_hidden_layers"]
    for states_ND, expected_BLD in zip(found, expected, strict=True):
        close(states_ND, real(expected_BLD, batch))
    close(real(ours.encode(batch), batch), real(expected[-1], batch))


def test_logits_are_the_references(ours: Bert, theirs: Any, batch: Batch) -> None:
    assert_same_logits(ours, theirs, batch)


def test_our_own_model_computes_the_same_in_the_reference(make_model: MakeModel, batch: Batch, tmp_path: Path) -> None:
    model = shaken(make_model())
    assert_same_logits(model, their_copy(tmp_path, model), batch)


@pytest.mark.parametrize("tied", [True, False])
def test_going_there_and_back_changes_no_bit(make_model: MakeModel, tied: bool) -> None:
    model = shaken(make_model(tie_output=tied))
    config, weights = to_reference(model)
    again = from_reference(config, weights)
    assert again.shape == replace(model.shape, length=512)  # the whole table of positions
    assert config == to_reference(again)[0]
    before, after = model.state_dict(), again.state_dict()
    assert before.keys() == after.keys()
    assert [name for name in before if not torch.equal(before[name], after[name])] == []


def test_coming_here_and_going_back_changes_no_bit(ours: Bert, theirs: Any, tmp_path: Path) -> None:
    theirs.save_pretrained(tmp_path / "theirs")
    save_reference(tmp_path, *to_reference(ours))
    before, after = load_file(tmp_path / "theirs" / "model.safetensors"), load_file(tmp_path / "model.safetensors")
    assert before.keys() == after.keys()
    assert [name for name in before if not torch.equal(before[name], after[name])] == []
    written = json.loads((tmp_path / "config.json").read_text("utf-8"))
    own = json.loads((tmp_path / "theirs" / "config.json").read_text("utf-8"))
    assert {key: (value, own[key]) for key, value in written.items() if value != own[key]} == {}


def test_an_untied_reference_converts(batch: Batch) -> None:
    theirs = shaken(transformers.BertForPreTraining(transformers.BertConfig(**SIZES, tie_word_embeddings=False)))
    assert_same_logits(from_reference(theirs.config.to_dict(), theirs.state_dict()), theirs, batch)


def why_not(model: Bert) -> str | None:
    try:
        to_reference(model)
    except InputError as error:
        return str(error)
    return None


@pytest.mark.parametrize(("group", "name"), OPTIONS)
def test_an_option_computes_the_same_in_the_reference_or_is_refused_by_its_name(
    group: str, name: str, make_model: MakeModel, batch: Batch, tmp_path: Path
) -> None:
    model = shaken(make_model({group: name}))
    refusal = why_not(model)
    if refusal is None:
        assert_same_logits(model, their_copy(tmp_path, model), batch)
    else:
        assert re.fullmatch(
            rf"model/{group} \(\w+\) cannot be expressed: .*; train with model/{group}=\w+ to export", refusal
        )


EXPRESSIBLE = {
    ("attention", "no_projection"),
    ("attention", "shared_qkv"),
    ("embedding", "no_segment"),
    ("norm", "layer_plain"),
    ("position", "none"),
    ("position", "sinusoidal"),
    ("scale", "inverse"),
    ("sharing", "all"),
}


def test_what_bert_computes_after_a_rewriting_is_not_refused(make_model: MakeModel) -> None:
    for group, name in EXPRESSIBLE:
        assert why_not(make_model({group: name})) is None


def test_rewritings_work_together(make_model: MakeModel, batch: Batch, tmp_path: Path) -> None:
    parts = {"position": "sinusoidal", "attention": "shared_qkv", "scale": "one", "norm": "layer_plain"}
    model = shaken(make_model({**parts, "embedding": "no_segment", "sharing": "all"}, tie_output=False))
    assert_same_logits(model, their_copy(tmp_path, model), batch)


@pytest.mark.parametrize(
    ("key", "value"),
    [("skip", False), ("padding_mask", False), ("head_width", 7)],
)
def test_a_switch_that_bert_does_not_have_is_refused(make_model: MakeModel, key: str, value: Any) -> None:
    with pytest.raises(InputError, match=rf"^model\.{key} \({str(value).lower()}\) cannot be expressed: .* to export$"):
        to_reference(make_model(**{key: value}))


def test_what_is_left_out_of_the_inputs_has_our_defaults(ours: Bert, theirs: Any, batch: Batch) -> None:
    """The reference: positions count from 0, everything is segment 0, nothing is padding. Ours: `real_BL` is None."""
    plain = replace(batch, segments_BL=torch.zeros_like(batch.segments_BL), real_BL=None)
    position_BL = torch.arange(batch.ids_BL.shape[1]).expand_as(batch.ids_BL)
    ones_BL = torch.ones_like(batch.ids_BL)
    with torch.no_grad():
        left_out = theirs(plain.ids_BL)
        said = theirs(plain.ids_BL, ones_BL, torch.zeros_like(ones_BL), position_BL)
        found = ours(plain)
    assert torch.equal(left_out.prediction_logits, said.prediction_logits)
    close(found.mlm_MV, left_out.prediction_logits.flatten(0, 1)[batch.position_M])
    close(found.pair_B2, left_out.seq_relationship_logits)


@pytest.mark.parametrize("change", ["mask", "segments", "positions"])
def test_every_input_matters_on_a_padded_batch(theirs: Any, batch: Batch, change: str) -> None:
    assert batch.real_BL is not None
    position_BL = torch.arange(batch.ids_BL.shape[1]).expand_as(batch.ids_BL)
    given = {
        "attention_mask": batch.real_BL.long(),
        "token_type_ids": batch.segments_BL,
        "position_ids": position_BL,
    }
    other = {
        "mask": {"attention_mask": torch.ones_like(batch.ids_BL)},
        "segments": {"token_type_ids": torch.zeros_like(batch.ids_BL)},
        "positions": {"position_ids": position_BL.flip(1)},
    }[change]
    right, wrong = read(theirs, batch, **given), read(theirs, batch, **{**given, **other})
    real_BL = batch.real_BL
    change_ND = (right.hidden_states[-1] - wrong.hidden_states[-1])[real_BL].abs()
    assert change_ND.max() > 1e-3


def test_norms_have_the_references_epsilon(make_model: MakeModel, theirs: Any) -> None:
    config, _ = to_reference(make_model())
    assert config["layer_norm_eps"] == theirs.config.layer_norm_eps == 1e-12
    norms = [module for module in theirs.modules() if isinstance(module, torch.nn.LayerNorm)]
    own = [module for module in make_model().modules() if isinstance(module, torch.nn.LayerNorm)]
    assert {norm.eps for norm in norms} == {norm.eps for norm in own} == {1e-12}
    assert len(norms) == len(own) == 2 + 2 * SIZES["num_hidden_layers"]


def test_gelu_is_the_exact_one(make_model: MakeModel, batch: Batch) -> None:
    x_N = torch.linspace(-5, 5, 10_001)
    approximate_N = gelu(x_N, approximate="tanh")
    model = make_model()
    for module in model.modules():
        if isinstance(module, torch.nn.GELU):
            close(module(x_N), gelu(x_N))
            assert (module(x_N) - approximate_N).abs().max() > 1e-4
    assert sum(isinstance(module, torch.nn.GELU) for module in model.modules()) == 4  # 3 layers and the MLM head
    config, weights = to_reference(shaken(model))
    assert config["hidden_act"] == "gelu"
    approximating = transformers.BertForPreTraining(transformers.BertConfig(**{**config, "hidden_act": "gelu_new"}))
    approximating.load_state_dict(weights, strict=False)
    assert (read(approximating.eval(), batch).hidden_states[-1] - model.encode(batch)).abs().max() > 1e-4


def test_a_pair_that_follows_is_class_0_in_both(theirs: Any, ours: Bert, batch: Batch) -> None:
    assert (FOLLOWS, RANDOM) == (0, 1)
    labels_BL = torch.full_like(batch.ids_BL, -100)
    labels_BL.view(-1)[batch.position_M] = batch.target_M
    given = {"token_type_ids": batch.segments_BL, "attention_mask": batch.real_BL, "labels": labels_BL}
    with torch.no_grad():
        loss = theirs(batch.ids_BL, **given, next_sentence_label=batch.pair_B).loss
        output = ours(batch)
    mlm = torch.nn.functional.cross_entropy(output.mlm_MV, batch.target_M)
    follows_B = batch.pair_B == FOLLOWS
    right_B = torch.where(follows_B, output.pair_B2.softmax(1)[:, 0], output.pair_B2.softmax(1)[:, 1])
    close(loss, mlm - right_B.log().mean())


def test_base_is_the_published_configuration() -> None:
    published, base = transformers.BertConfig(), yaml.safe_load((CONF / "model" / "base.yaml").read_text("utf-8"))
    own = [base[key] for key in ("layers", "width", "heads", "inner", "dropout", "segment_types", "dense_std")]
    assert own == [
        published.num_hidden_layers,
        published.hidden_size,
        published.num_attention_heads,
        published.intermediate_size,
        published.hidden_dropout_prob,
        published.type_vocab_size,
        published.initializer_range,
    ]
