"""Foreign weights give the same results in our model, on random configurations; errors name what does not fit."""

import json
import re
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models, pre_tokenizers
from torch import Tensor

from bertlab.config.building import build_part
from bertlab.config.compose import load, resolved
from bertlab.config.errors import InputError
from bertlab.data.batches import Batch
from bertlab.data.tokenizer.file import FromFile
from bertlab.data.weights import start_of
from bertlab.model.bert import Bert
from bertlab.model.init import initialise
from bertlab.model.start import load_start
from bertlab.streams import Streams

transformers = import_module("transformers")

VOCABULARY, ROWS = 37, 41  # tokens; embeddings, of which published models have some more
SIZES = ({"layers": 2, "width": 12, "heads": 3, "inner": 17}, {"layers": 3, "width": 20, "heads": 5, "inner": 23})
ROLES = {"pad_token": "<pad>", "unk_token": "<unk>", "cls_token": "<s>", "sep_token": "</s>", "mask_token": "<mask>"}


def bert(kind: str, size: Mapping[str, int], **more: Any) -> Any:
    sizes = {
        "vocab_size": ROWS,
        "hidden_size": size["width"],
        "num_hidden_layers": size["layers"],
        "num_attention_heads": size["heads"],
        "intermediate_size": size["inner"],
        "max_position_embeddings": 29,
    }
    config = {"BertForPreTraining": "BertConfig", "BertModel": "BertConfig", "BertForMaskedLM": "BertConfig"}
    config |= {"RobertaForMaskedLM": "RobertaConfig", "ElectraModel": "ElectraConfig"}
    config |= {"RoFormerForMaskedLM": "RoFormerConfig"}
    return getattr(transformers, kind)(getattr(transformers, config[kind])(**sizes, **more))


def distilbert(size: Mapping[str, int]) -> Any:
    sizes = {"dim": size["width"], "n_layers": size["layers"], "n_heads": size["heads"], "hidden_dim": size["inner"]}
    config = transformers.DistilBertConfig(vocab_size=ROWS, max_position_embeddings=29, **sizes)
    return transformers.DistilBertForMaskedLM(config)


def shaken(model: Any) -> Any:
    """Give every weight, also those of norms and biases, a different value."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in filter(lambda each: each.requires_grad, model.parameters()):  # not a table of angles
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))
    return model.eval()


def save(folder: Path, model: Any) -> Any:
    """Save the model with a tokenizer whose ids have another order than ours."""
    words = ["w0", "<s>", "w1", "<pad>", "</s>", "<unk>", *(f"w{number}" for number in range(2, 32)), "<mask>"]
    made = Tokenizer(models.WordLevel({word: number for number, word in enumerate(words)}, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=made, **ROLES)
    fast.save_pretrained(folder)
    model.save_pretrained(folder)
    return fast


def ours(folder: Path, size: Mapping[str, int], *words: str, missing: str = "refuse") -> tuple[Bert, Tokenizer]:
    sizes = [f"model.{name}={value}" for name, value in size.items()]
    positions = () if "model/position=rotary" in words else ("model.position.positions=27",)
    model_words = ("model=base", *sizes, *positions, *words)
    config = resolved(load([*model_words, f"start={folder}", f"start.missing={missing}"]))
    return loaded(config, folder)


def loaded(config: Mapping[str, Any], folder: Path) -> tuple[Bert, Tokenizer]:
    """Return the model of a configuration with the weights that it starts from, and the tokenizer of a folder."""
    start = start_of(config)
    assert start is not None
    tokenizer = FromFile(path=str(folder), lowercase=None).train(iter(()))
    model = build_part(config, "model")(tokenizer.get_vocab_size(), 13)
    initialise(model, Streams(1))
    load_start(model, start, tokenizer)
    return model.eval(), tokenizer


def batch_of(ids_BL: Tensor, segments_BL: Tensor) -> Batch:
    real_BL = ids_BL != 0
    position_M = torch.arange(ids_BL.numel())
    return Batch(
        ids_BL=ids_BL,
        segments_BL=segments_BL,
        real_BL=real_BL,
        position_M=position_M,
        target_M=position_M * 0,
        pair_B=torch.zeros(len(ids_BL), dtype=torch.long),
        has_pairs=True,
    )


def compare(theirs: Any, fast: Any, model: Bert, tokenizer: Tokenizer, *, segments: bool, pairs: bool) -> None:
    """Fail unless hidden states of every layer and logits are the same at all tokens except padding."""
    generator = torch.Generator().manual_seed(5)
    ids_BL = torch.randint(1, VOCABULARY, (4, 13), generator=generator)
    ids_BL[1, 9:], ids_BL[3, 5:] = 0, 0
    segments_BL = (torch.arange(13) > 6).long().expand(4, 13) * segments
    number_of = torch.tensor([fast.convert_tokens_to_ids(tokenizer.id_to_token(each)) for each in range(VOCABULARY)])
    compare_at(theirs, model, ids_BL, segments_BL, number_of, segments=segments, pairs=pairs)


def compare_at(
    theirs: Any, model: Bert, ids_BL: Tensor, segments_BL: Tensor, number_of: Tensor, *, segments: bool, pairs: bool
) -> None:
    """Fail unless both models agree on these tokens; 0 is padding, `number_of` has their ids of our tokens."""
    given = {"input_ids": number_of[ids_BL], "attention_mask": (ids_BL != 0).long()}
    given |= {"token_type_ids": segments_BL} if segments else {}
    with torch.no_grad():
        said = theirs(**given, output_hidden_states=True)
        batch = batch_of(ids_BL, segments_BL)
        states, output = model.layers(batch), model(batch)
    real_BL = ids_BL != 0
    for own, other in zip(states, said.hidden_states, strict=True):
        torch.testing.assert_close(own[real_BL], other[real_BL], rtol=0, atol=1e-5)
    logits = getattr(said, "prediction_logits", getattr(said, "logits", None))
    if logits is not None:
        own_BLV = output.mlm_MV.reshape(*ids_BL.shape, -1)
        torch.testing.assert_close(own_BLV[real_BL], logits[..., number_of][real_BL], rtol=0, atol=1e-5)
    if pairs:
        torch.testing.assert_close(output.pair_B2, said.seq_relationship_logits, rtol=0, atol=1e-5)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_bert_computes_the_same(tmp_path: Path, size: Mapping[str, int]) -> None:
    theirs = shaken(bert("BertForPreTraining", size))
    fast = save(tmp_path, theirs)
    compare(theirs, fast, *ours(tmp_path, size), segments=True, pairs=True)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_roberta_computes_the_same(tmp_path: Path, size: Mapping[str, int]) -> None:
    theirs = shaken(bert("RobertaForMaskedLM", size, type_vocab_size=1, pad_token_id=1, layer_norm_eps=1e-5))
    fast = save(tmp_path, theirs)
    words = ("model.embedding.segment=false", "model.norm.eps=1e-5")
    with pytest.raises(InputError, match=r"got no weights for pair_head\.pool, pair_head\.classify; choose other"):
        ours(tmp_path, size, *words)
    given = fast.padding_side  # their positions are counted over tokens that are no padding
    assert given == "right"
    compare(theirs_by_place(theirs), fast, *ours(tmp_path, size, *words, missing="init"), segments=False, pairs=False)


def theirs_by_place(model: Any) -> Any:
    """Have RoBERTa count positions from 2 on, as it does where the padding has its usual id."""

    def called(**given: Any) -> Any:
        real_BL = given["attention_mask"]
        return model(**given, position_ids=(real_BL.cumsum(1) * real_BL) + 1)

    return called


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_distilbert_computes_the_same(tmp_path: Path, size: Mapping[str, int]) -> None:
    theirs = shaken(distilbert(size))
    fast = save(tmp_path, theirs)
    model, tokenizer = ours(tmp_path, size, "model.embedding.segment=false", missing="init")
    compare(theirs, fast, model, tokenizer, segments=False, pairs=False)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_roformer_computes_the_same(tmp_path: Path, size: Mapping[str, int]) -> None:
    theirs = shaken(bert("RoFormerForMaskedLM", size, embedding_size=size["width"]))
    fast = save(tmp_path, theirs)
    words = ("model/position=rotary", "model.position.base=10000")
    with pytest.raises(InputError, match=r"got no weights for pair_head\.pool, pair_head\.classify; choose other"):
        ours(tmp_path, size, *words)
    compare(theirs, fast, *ours(tmp_path, size, *words, missing="init"), segments=True, pairs=False)
    with pytest.raises(InputError, match=r"^model\.position\.base must be that of start=.*choose 10000"):
        ours(tmp_path, size, "model/position=rotary", "model.position.base=100", missing="init")


@pytest.mark.parametrize("kind", ["ElectraModel", "BertModel"])
def test_an_encoder_without_heads_computes_the_same_states(tmp_path: Path, kind: str) -> None:
    more = {"embedding_size": SIZES[0]["width"]} if kind == "ElectraModel" else {}
    theirs = shaken(bert(kind, SIZES[0], **more))
    fast = save(tmp_path, theirs)
    with pytest.raises(
        InputError, match=r"^start must fit the model, got no weights for mlm_head, mlm_head\.transform"
    ):
        ours(tmp_path, SIZES[0])
    compare(theirs, fast, *ours(tmp_path, SIZES[0], missing="init"), segments=True, pairs=False)


def test_files_of_the_first_release_are_read(tmp_path: Path) -> None:
    """Their norms have gamma and beta, and they have the ids of positions."""
    theirs = shaken(bert("BertForPreTraining", SIZES[0]))
    fast = save(tmp_path, theirs)
    old = {"bert.embeddings.position_ids": torch.arange(theirs.config.max_position_embeddings)[None]}
    for name, value in load_file(tmp_path / "model.safetensors").items():
        old[name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")] = value
    save_file(old, tmp_path / "model.safetensors")
    compare(theirs, fast, *ours(tmp_path, SIZES[0]), segments=True, pairs=True)


def test_weights_in_several_files_are_read(tmp_path: Path) -> None:
    theirs = shaken(bert("BertForPreTraining", SIZES[0]))
    fast = save(tmp_path, theirs)
    weights = load_file(tmp_path / "model.safetensors")
    names = sorted(weights)
    for part, own in (("a.safetensors", names[:9]), ("b.safetensors", names[9:])):
        save_file({name: weights[name] for name in own}, tmp_path / part)
    index = {name: "a.safetensors" if name in names[:9] else "b.safetensors" for name in names}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": index}))
    (tmp_path / "model.safetensors").unlink()
    compare(theirs, fast, *ours(tmp_path, SIZES[0]), segments=True, pairs=True)


def line(folder: Path, size: Mapping[str, int], *words: str) -> str:
    with pytest.raises(InputError) as caught:
        ours(folder, size, *words)
    return str(caught.value)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bert")
    save(folder, shaken(bert("BertForPreTraining", SIZES[0])))
    return folder


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["model.layers=1"], r"model must have the sizes of start, got model\.layers 1; add model\.layers=2"),
        (["model.heads=2", "model.inner=5"], r"got model\.heads 2, model\.inner 5; add model\.heads=3 model\.inner=17"),
        (
            ["model/block=pre"],
            r"model/block \(PreNorm\) differs from the training of the weights of start=.* choose model/block=post, or",
        ),
        (
            ["model/feed_forward=relu"],
            r"model/feed_forward \(ReLU\) differs from the training of .* choose model/feed_forward=gelu",
        ),
        (
            ["model/position=rotary"],
            r"model/position \(Rotary\) differs from the training of .* choose model/position=learned",
        ),
        (["model/attention=shared_kv"], r"got no place in the model for blocks\.0\.attention\.value, blocks\.1\."),
        (["model.position.positions=64"], r"got no weights for position\.table and no place .* for position\.table"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(saved: Path, words: Sequence[str], said: str) -> None:
    assert re.search(said, line(saved, SIZES[0], *words))


@pytest.mark.parametrize(
    "words", [["model/block=pre"], ["model/position=rotary"], ["model.layers=1"], ["model.layers=4"]]
)
def test_weights_that_do_not_fit_are_initialised_if_that_is_declared(saved: Path, words: Sequence[str]) -> None:
    model, _ = ours(saved, SIZES[0], *words, missing="init")
    theirs = load_file(saved / "model.safetensors")
    assert torch.equal(model.blocks[0].attention.key.weight, theirs["bert.encoder.layer.0.attention.self.key.weight"])
    if len(model.blocks) > 2:
        assert not model.blocks[3].attention.key.bias.any()


def test_a_missing_token_is_refused_or_initialised(saved: Path, tmp_path: Path) -> None:
    made = Tokenizer(models.WordLevel({"<unk>": 0, "w3": 1, "new": 2}, unk_token="<unk>"))
    made.save(str(tmp_path / "tokenizer.json"))
    tokenizer = FromFile(path=str(tmp_path), lowercase=None).train(iter(()))
    words = ["model=base", *(f"model.{name}={value}" for name, value in SIZES[0].items()), f"start={saved}"]
    for missing in ("refuse", "init"):
        config = resolved(load([*words, "model.position.positions=27", f"start.missing={missing}"]))
        model, start = build_part(config, "model")(tokenizer.get_vocab_size(), 13), start_of(config)
        assert start is not None
        if missing == "refuse":
            with pytest.raises(
                InputError, match=r"^tokenizer must have the tokens of start, got 1 of 7 .* as new; choose"
            ):
                load_start(model, start, tokenizer)
        else:
            load_start(model, start, tokenizer)
            theirs = load_file(saved / "model.safetensors")["bert.embeddings.word_embeddings.weight"]
            own = model.embedding.token.weight
            rows = [3, 5, 1, 4, 36, 7]  # <pad>, <unk>, <s>, </s>, <mask>, w3
            assert torch.equal(own[[0, 1, 2, 3, 4, tokenizer.token_to_id("w3")]], theirs[rows])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"model_type": "gpt2"}, r"^start must hold a model of bert, roberta, .*, got model_type gpt2; choose"),
        ({"hidden_act": "relu"}, r"^start must hold a model with hidden_act gelu, got relu; choose"),
        ({"embedding_size": 5}, r"^start must hold embeddings as wide as the layers, got 5 and 12; choose"),
    ],
)
def test_a_model_that_is_none_of_ours_is_refused(saved: Path, tmp_path: Path, change: Any, said: str) -> None:
    for path in saved.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | change))
    assert re.search(said, line(tmp_path, SIZES[0]))


def test_damaged_and_foreign_files_are_refused(saved: Path, tmp_path: Path) -> None:
    for path in saved.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    content = (tmp_path / "model.safetensors").read_bytes()
    (tmp_path / "model.safetensors").write_bytes(content[:-7])
    assert line(tmp_path, SIZES[0]).startswith(f"start must hold whole files, got {tmp_path} (")
    save_file({"other": torch.zeros(2)}, tmp_path / "model.safetensors")
    assert line(tmp_path, SIZES[0]).startswith("start must have weights for the model, got none that fit in ")
    (tmp_path / "model.safetensors").rename(tmp_path / "pytorch_model.bin")
    said = line(tmp_path, SIZES[0])
    assert said.startswith(
        f"start must be a folder with config.json, model.safetensors and a tokenizer, got {tmp_path} wi"
    )
    assert said.endswith("(pickled weights are never opened)")
