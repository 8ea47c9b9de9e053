"""`start=FOLDER` alone also sets the model and the tokenizer of the folder."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from bertlab.data.of_start import ANGLES, base_of, with_model

BERT: dict[str, Any] = {
    **{"model_type": "bert", "num_hidden_layers": 3, "hidden_size": 12, "num_attention_heads": 2},
    **{"intermediate_size": 17, "max_position_embeddings": 41, "layer_norm_eps": 1e-5},
}


def folder(path: Path, **config: Any) -> Path:
    (path / "config.json").write_text(json.dumps({**BERT, **config}), "utf-8")
    (path / "tokenizer.json").write_text("{}", "utf-8")
    return path


def test_a_folder_alone_says_what_the_model_and_the_tokenizer_are(tmp_path: Path) -> None:
    word = f"start.from={folder(tmp_path)}"
    assert with_model(["seed=1", word]) == [
        *("seed=1", word, "tokenizer=file", f"tokenizer.path={tmp_path}", "model=base"),
        *("model.layers=3", "model.width=12", "model.heads=2", "model.inner=17", "model.segment_types=2"),
        *("model.norm.eps=1e-05", "model.tie_output=true", "model.position.positions=41"),
    ]


def test_a_path_that_hydra_would_misread_is_put_in_quotes(tmp_path: Path) -> None:
    (tmp_path / "my model").mkdir()
    words = with_model([f"start.from={folder(tmp_path / 'my model')}"])
    assert f"tokenizer.path='{tmp_path}/my model'" in words


@pytest.mark.parametrize("word", ["model=tiny", "model/norm=rms", "model.layers=2", "tokenizer=words", "regime=bert"])
def test_who_says_what_the_model_is_is_taken_at_that(tmp_path: Path, word: str) -> None:
    words = [f"start.from={folder(tmp_path)}", word]
    assert with_model(words) == words


@pytest.mark.parametrize("word", ["start.from=run:12ab", "start.from=gone", "seed=1"])
def test_a_start_that_names_no_folder_is_not_changed(word: str) -> None:
    assert with_model([word]) == [word]


def test_text_files_given_with_a_start_are_a_corpus() -> None:
    assert with_model(["start.from=gone", "data.files=a.txt"]) == ["start.from=gone", "data.files=a.txt", "data=text"]
    for words in (["data.files=a.txt"], ["start.from=gone", "data.files=a", "data=mine"], ["start.from=gone"]):
        assert with_model(words) == words


def test_a_roberta_has_positions_behind_its_padding_and_no_segments(tmp_path: Path) -> None:
    words = with_model([f"start.from={folder(tmp_path, model_type='roberta', type_vocab_size=1, pad_token_id=1)}"])
    assert {"model.position.positions=39", "model.embedding.segment=false"} <= {*words}


def test_an_unknown_architecture_is_not_changed(tmp_path: Path) -> None:
    words = [f"start.from={folder(tmp_path, model_type='gpt2')}"]
    assert with_model(words) == words


@pytest.mark.parametrize("base", [100, 10_000])
def test_the_base_of_a_roformer_is_read_off_its_angles(tmp_path: Path, base: int) -> None:
    angle = np.outer(np.arange(5), base ** (-np.arange(0, 8, 2) / 8))
    table = np.concatenate((np.sin(angle), np.cos(angle)), axis=1).astype(np.float32)
    save_file({ANGLES: table}, tmp_path / "model.safetensors")
    assert base_of(tmp_path / "model.safetensors") == base
    words = with_model([f"start.from={folder(tmp_path, model_type='roformer')}"])
    assert words[-2:] == ["model/position=rotary", f"model.position.base={base}"]


def test_a_modernbert_brings_its_angles_windows_and_biases(tmp_path: Path) -> None:
    own = {"num_hidden_layers": 3, "hidden_size": 12, "num_attention_heads": 2, "intermediate_size": 17}
    config = {"model_type": "modernbert", "mlp_bias": True, "global_attn_every_n_layers": 2, **own}
    (tmp_path / "config.json").write_text(json.dumps(config), "utf-8")
    word = f"start.from={tmp_path}"
    assert with_model([word]) == [
        *(word, "model=modernbert", "model/feed_forward=geglu"),
        *("model.layers=3", "model.width=12", "model.heads=2", "model.inner=26", "model.visibility.window=128"),
        *("model.tie_output=true", "model.norm.eps=1e-05", "model.visibility.every=2"),
        *("model.position.base=160000.0", "model.local_base=10000.0"),
    ]
