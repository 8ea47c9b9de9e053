"""A ModernBERT: its layers, and the same states and logits as transformers' on the same weights, both ways."""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer

from bertlab.commands.check import model as contracts
from bertlab.commands.check.model import CONTRACTS, LONGEST, L, V, gradients, nothing_leaks, one_row
from bertlab.config.building import build_part
from bertlab.config.compose import CONF, load, resolved
from bertlab.config.errors import InputError
from bertlab.data.batches import Batch
from bertlab.data.of_start import with_model
from bertlab.data.start_weights import start_folders, with_start_folders
from bertlab.model.bert import Bert
from bertlab.model.init import initialise
from bertlab.model.local import Windowed
from bertlab.model.modern import ModernBert, Turned
from bertlab.model.modern_export import base_of, to_modern
from bertlab.model.position import Rotary
from bertlab.model.reference import save_reference
from bertlab.model.sight import Sight
from bertlab.streams import Streams
from bertlab.train.early import check_early
from tests.model.test_start import ROWS, compare, loaded, save

os.environ["HF_HUB_OFFLINE"] = "1"  # read at the import: nothing is ever looked up
transformers = import_module("transformers")

CONFIGS: Sequence[Mapping[str, Any]] = (
    {"num_hidden_layers": 4, "hidden_size": 12, "num_attention_heads": 3, "intermediate_size": 17},
    {
        **{"num_hidden_layers": 5, "hidden_size": 20, "num_attention_heads": 5, "intermediate_size": 22},
        **{"global_attn_every_n_layers": 2, "local_attention": 6, "norm_eps": 1e-3, "tie_word_embeddings": False},
    },
    {
        **{"num_hidden_layers": 3, "hidden_size": 8, "num_attention_heads": 1, "intermediate_size": 9},
        **{"norm_bias": True, "attention_bias": True, "mlp_bias": True, "decoder_bias": False, "local_attention": 5},
    },
)


@torch.no_grad()
def shaken(model: Any) -> Any:
    """Change every parameter, so that a missing one is noticed."""
    generator = torch.Generator().manual_seed(7)
    for parameter in model.parameters():
        parameter += 0.1 * torch.randn(parameter.shape, generator=generator)
    return model.eval()


def modern(config: Mapping[str, Any] = CONFIGS[0], kind: str = "ModernBertForMaskedLM", **more: Any) -> Any:
    """Return a model whose angles differ strongly between local and global layers."""
    bases = {"full_attention": 50.0, "sliding_attention": 3.0}
    rope = {name: {"rope_type": "default", "rope_theta": base} for name, base in bases.items()}
    special = dict.fromkeys(("pad", "bos", "eos", "cls", "sep"), 3)
    given = {"vocab_size": ROWS, "local_attention": 4, "rope_parameters": rope, **config, **more}
    given |= {f"{name}_token_id": number for name, number in special.items()}
    return shaken(getattr(transformers, kind)(transformers.ModernBertConfig(**given)))


def ours(folder: Path, *words: str, missing: str = "init") -> tuple[Bert, Tokenizer]:
    """Return the configuration of a command line with the folder."""
    typed = [f"start.from={folder}", f"start.missing={missing}", f"output_dir={folder / 'outputs'}", *words]
    config = resolved(load(with_start_folders(with_model(typed))))
    check_early([config])
    return loaded(config, folder)


def made(*words: str) -> ModernBert:
    """Return a small model with its own options."""
    sizes = [f"model.{name}={value}" for name, value in contracts.SIZES.items()]
    sees = [word for word in words if word.startswith("model/visibility=")] or ["model/visibility=local_global"]
    window = ["model.visibility.window=4"] if sees == ["model/visibility=local_global"] else []
    config = resolved(load(["model=modernbert", *sizes, *window, *words]))
    model = build_part(config, "model")(V, LONGEST)
    initialise(model, Streams(3))
    assert isinstance(model, ModernBert)
    return model.eval()


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: f"{config['num_hidden_layers']} layers")
def test_their_model_computes_the_same_here(tmp_path: Path, config: Mapping[str, Any]) -> None:
    theirs = modern(config)
    compare(theirs, save(tmp_path, theirs), *ours(tmp_path), segments=False, pairs=False)


def test_an_encoder_without_heads_computes_the_same_states(tmp_path: Path) -> None:
    theirs = modern(kind="ModernBertModel")
    compare(theirs, save(tmp_path, theirs), *ours(tmp_path), segments=False, pairs=False)


def test_a_configuration_of_version_4_says_the_same(tmp_path: Path) -> None:
    theirs = modern()
    fast = save(tmp_path, theirs)
    config = json.loads((tmp_path / "config.json").read_text("utf-8"))
    del config["layer_types"], config["rope_parameters"]
    old = {"global_attn_every_n_layers": 3, "global_rope_theta": 50.0, "local_rope_theta": 3.0}
    (tmp_path / "config.json").write_text(json.dumps(config | old), "utf-8")
    compare(theirs, fast, *ours(tmp_path), segments=False, pairs=False)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("modern")
    save(folder, modern())
    return folder


def test_weights_by_our_names_are_written_once(saved: Path) -> None:
    first, second = (with_start_folders([f"start=[{saved},run:x]", f"output_dir={saved / 'starts'}"]) for _ in range(2))
    assert first == second
    (folder,) = (saved / "starts" / "starts").iterdir()
    assert first[0] == f"start.from=[run:{folder.absolute()},run:x]"
    (arm,) = start_folders([f"start.from='{saved}'"], str(saved / "starts"), None)
    assert arm == f"start.from='run:{folder.absolute()}'"


SIZES = ("model=modernbert", "model.layers=4", "model.width=12", "model.heads=3", "model.inner=26")
BASES = ("model.position.base=50", "model.local_base=3", "model.visibility.window=4")


@pytest.mark.parametrize(
    ("words", "missing", "said"),
    [
        ((*SIZES, *BASES), "refuse", r"got no weights for pair_head\.pool, pair_head\.classify; choose"),
        (
            SIZES,
            "init",
            r"^model must .* add model\.position\.base=50\.0 model\.visibility\.window=4 model\.local_base=3\.0$",
        ),
        ((*SIZES, *BASES, "model.layers=5"), "refuse", r"add model\.layers=4, or start\.missing=init where"),
        ((*SIZES, *BASES, "model/norm=layer"), "refuse", r"add model/norm=layer_no_bias model\.norm\.eps=1e-05, or"),
        ((*SIZES, *BASES, "model.norm.eps=1e-6"), "init", r"add model\.norm\.eps=1e-05$"),
        (("model=nano",), "refuse", r"add model=modernbert model/position=rotary|add model=modernbert model\.position"),
    ],
)
def test_a_model_that_computes_something_else_is_refused_by_name(
    saved: Path, words: Sequence[str], missing: str, said: str
) -> None:
    with pytest.raises(InputError, match=said) as caught:
        ours(saved, *words, missing=missing)
    assert "\n" not in str(caught.value)


def test_another_part_is_initialised_if_that_is_declared(saved: Path) -> None:
    model, _ = ours(saved, *SIZES, *BASES, "model/feed_forward=gelu_no_bias", missing="init")
    theirs = load_file(saved / "model.safetensors")
    assert torch.equal(model.blocks[1].inner.attention.output.weight, theirs["model.layers.1.attn.Wo.weight"])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"hidden_activation": "silu"}, "a ModernBERT with hidden_activation gelu, got silu; choose"),
        ({"classifier_bias": True}, "a ModernBERT with classifier_bias false, got true; choose"),
        (
            {"layer_types": ["sliding_attention"] * 4},
            "a ModernBERT with layer_types that has one full_attention .*, got",
        ),
        ({"rope_parameters": {"full_attention": {"rope_type": "yarn"}}}, "rope_type default, got yarn; choose"),
        ({"num_hidden_layers": "many"}, r"^start must hold whole files, got .* \(invalid literal for int"),
    ],
)
def test_what_our_parts_do_not_express_is_refused_by_name(saved: Path, tmp_path: Path, change: Any, said: str) -> None:
    for path in saved.iterdir():
        if path.is_file():
            (tmp_path / path.name).write_bytes(path.read_bytes())
    config = json.loads((tmp_path / "config.json").read_text("utf-8"))
    (tmp_path / "config.json").write_text(json.dumps(config | change), "utf-8")
    with pytest.raises(InputError, match=said) as caught:
        ours(tmp_path)
    assert "\n" not in str(caught.value)
    assert not list((tmp_path / "outputs").rglob("*.safetensors")), "nothing is left behind"


def test_damaged_weights_and_a_tokenizer_that_is_not_there_are_refused(saved: Path, tmp_path: Path) -> None:
    for name in ("config.json", "tokenizer.json"):
        (tmp_path / name).write_bytes((saved / name).read_bytes())
    (tmp_path / "model.safetensors").write_bytes((saved / "model.safetensors").read_bytes()[:-7])
    with pytest.raises(InputError, match=r"^start must hold whole files, got "):
        ours(tmp_path)
    (tmp_path / "tokenizer.json").rename(tmp_path / "vocab.txt")
    with pytest.raises(InputError, match=r"^start must be a folder with tokenizer\.json, got "):
        ours(tmp_path)


@pytest.mark.parametrize("words", [(), ("model.local_base=null",), ("model/norm=layer", "model/sharing=all")], ids=str)
def test_it_keeps_the_contracts_of_every_part(words: Sequence[str]) -> None:
    model = made(*words)
    for contract in CONTRACTS:
        contract(model)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch")
def test_it_is_traced_as_one_graph_and_does_the_same(make_batch: Callable[..., Batch]) -> None:
    model, batch = made(), make_batch()
    torch.compiler.reset()
    traced = torch.compile(model, backend="eager", fullgraph=True)
    torch.testing.assert_close(traced(batch).mlm_MV, model(batch).mlm_MV, atol=1e-5, rtol=0)


def test_nothing_leaks_from_behind() -> None:
    nothing_leaks(made("model/visibility=left_to_right", "model.local_base=null"), "left_to_right")


def test_a_prediction_depends_on_no_token_outside_of_the_windows() -> None:
    """By gradient, with two local layers behind a global one that mixes nothing."""
    model = made()
    with torch.no_grad():
        model.blocks[0].inner.attention.output.weight.zero_()
    row = one_row(tuple(range(7)))
    depends = gradients(model, row, lambda model, batch: model(batch).mlm_MV) > 0
    place_L = torch.arange(7)
    assert torch.equal(depends, (place_L[:, None] - place_L).abs() <= 2 + 2)


@torch.no_grad()
def test_a_local_layer_turns_by_angles_of_its_own_and_a_global_one_does_not() -> None:
    model, x_BLD = shaken(made()), torch.randn(2, L, 48, generator=torch.Generator().manual_seed(1))
    plain, local, *_ = model.blocks
    near, far = (Sight(Rotary(model.shape, base=base)) for base in (10, 100))
    assert isinstance(local, Turned)
    assert torch.equal(local(x_BLD, far), local(x_BLD, near))
    turned = Windowed(local.inner, local.window)
    assert torch.equal(local(x_BLD, far), turned(x_BLD, near))
    assert (local(x_BLD, far) - turned(x_BLD, far)).abs().max() > 1e-3
    assert torch.equal(plain(x_BLD, far), plain(x_BLD, Sight(model.position)))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("model/block=post",), r"^model/block must be pre for a ModernBERT, got PostNorm; choose model/block=pre"),
        (
            ("model/position=learned",),
            r"^model/position must be rotary where .*local_base is given, got Learned; choose",
        ),
        (
            ("model/visibility=all",),
            r"^model/visibility must be local_global where .*local_base is given, got Everyone;",
        ),
        (("model.local_base=0.5",), r"^model\.local_base must lie in \(1, 1e\+09\), got 0\.5"),
    ],
)
def test_parts_without_a_place_for_it_are_refused(words: Sequence[str], said: str) -> None:
    with pytest.raises(InputError, match=said):
        made(*words)


@pytest.mark.parametrize("base", [2.5, 10, 160_000, 1_234_567, 1e8])
def test_the_base_is_read_off_the_angles(base: float) -> None:
    assert base_of(Rotary(made().shape, base=base)) == pytest.approx(base, rel=1e-6)


@torch.no_grad()
def assert_same_logits(model: ModernBert, batch: Batch, folder: Path) -> None:
    save_reference(folder, *to_modern(model))
    theirs, about = transformers.ModernBertForMaskedLM.from_pretrained(folder, output_loading_info=True)
    assert not any(about.values()), "nothing missing, unexpected or misshapen"
    assert batch.real_BL is not None
    expected = theirs.eval()(batch.ids_BL, attention_mask=batch.real_BL.long()).logits
    torch.testing.assert_close(model(batch).mlm_MV, expected.flatten(0, 1)[batch.position_M], atol=1e-5, rtol=0)


OPTIONS = [f"model/{path.parent.name}={path.stem}" for path in sorted((CONF / "model").glob("*/*.yaml"))]


@pytest.mark.parametrize("option", OPTIONS)
def test_an_option_computes_the_same_in_transformers_or_is_refused_by_its_name(
    option: str, make_batch: Callable[..., Batch], tmp_path: Path
) -> None:
    group = option.partition("=")[0]
    apart = ("model.local_base=null",) if group in ("model/position", "model/visibility") else ()
    model, refusal = attempt(option, *apart)
    if model is None:
        assert group in refusal
        assert "\n" not in refusal
    else:
        assert_same_logits(model, make_batch(), tmp_path)


def attempt(*words: str) -> tuple[ModernBert | None, str]:
    """Return a model that can be exported, or the reason why it is impossible."""
    try:
        model = shaken(made(*words))
        to_modern(model)
    except InputError as error:
        return None, str(error)
    return model, ""


def test_what_transformers_computes_is_not_refused() -> None:
    for option in ("attention=shared_kv", "attention=softmax", "norm=layer_plain", "scale=one", "sharing=all"):
        assert attempt(f"model/{option}")[1] == ""


@pytest.mark.parametrize(
    "words",
    [(), ("model.layers=1",), ("model.tie_output=false", "model/attention=shared_qk", "model/norm=layer_plain")],
)
def test_our_model_computes_the_same_there(
    make_batch: Callable[..., Batch], tmp_path: Path, words: Sequence[str]
) -> None:
    assert_same_logits(shaken(made(*words)), make_batch(), tmp_path)
