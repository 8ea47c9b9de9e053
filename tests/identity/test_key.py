"""Equal keys, equal results: the key reacts to everything that can change a result and to nothing else."""

import copy
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from bertlab.config.cache import digest
from bertlab.config.compose import load, resolved, typed
from bertlab.config.environment import environment_of
from bertlab.data.store import TokenStore
from bertlab.identity.code import code_of
from bertlab.identity.key import (
    BEFORE,
    code_fingerprint,
    describe,
    key_of,
    semantic,
    targets,
)
from bertlab.identity.text_and_scoring import Scoring, corpus_words, read_corpus, scoring_of, scoring_words, yardstick
from bertlab.tracking.description import Description

NOT_SEMANTIC = {
    "output_dir",
    "report_dir",
    "study",
    "trainer.accelerator",
    "trainer.threads",
    "trainer.points",
    "trainer.checkpoint_seconds",
    "trainer.progress",
    "trainer.compile",
    "trainer.ahead",
    "tracking._target_",
    "tracking.uri",
    "tracking.experiment",
    "tracking.parent",
    "tracking.factors",
    "tracking.baseline",
    "tracking.study",
    "tracking.arm",
    "tracking.weights",
    "tracking.offline",
    "tracking.reuse",
    "tracking.also",
    "tracking.on_end",
    "tracking.system_metrics",
}


def leaves(value: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for name, child in value.items():
        if isinstance(child, Mapping):
            yield from leaves(child, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


def changed(config: Mapping[str, Any], key: str) -> dict[str, Any]:
    """Return a copy in which one leaf has another value."""
    copied = copy.deepcopy(dict(config))
    *path, last = key.split(".")
    place = copied
    for part in path:
        place = place[part]
    place[last] = f"{place[last]}2" if last == "_target_" else ["changed", place[last]]
    return copied


STARTS = ("start.from", "start.missing", "start.optimizer")  # what counts of a start are its files
LEAVES = sorted(set(leaves(resolved(load([])))) - {*STARTS})


@pytest.fixture(scope="module")
def config() -> dict[str, Any]:
    """The default configuration; a test that changes it must copy it."""
    return resolved(load([]))


def described(store: TokenStore, *overrides: str) -> Description:
    composed = load(overrides)
    return describe(resolved(composed), typed(composed, overrides), store)


def test_the_default_config_has_the_leaves_that_this_test_names() -> None:
    assert set(LEAVES) >= NOT_SEMANTIC - {"study"}  # a study is chosen, never a default
    assert len(LEAVES) > 40


@pytest.mark.parametrize("key", LEAVES)
def test_the_key_changes_if_and_only_if_the_setting_can_change_a_result(config: dict[str, Any], key: str) -> None:
    differs = key_of(semantic(changed(config, key)), "data") != key_of(semantic(config), "data")
    assert differs == (key not in NOT_SEMANTIC)


@pytest.mark.parametrize("key", BEFORE)
def test_a_setting_that_came_later_leaves_the_keys_of_runs_before_it(key: str) -> None:
    config = resolved(load(["data=text", "data.files=a.txt"]))  # which has them all
    earlier, place = copy.deepcopy(config), changed(config, key)
    *path, last = key.split(".")
    inner = earlier
    for part in path:
        inner = inner[part]
    assert inner.pop(last) == BEFORE[key], "the default is what runs did before"
    assert key_of(semantic(earlier), "data") == key_of(semantic(config), "data") != key_of(semantic(place), "data")


def test_the_key_depends_on_the_data_and_not_on_the_order_of_settings(config: dict[str, Any]) -> None:
    assert key_of(semantic(config), "data") != key_of(semantic(config), "other data")
    assert key_of(semantic(config), "data") == key_of(semantic(dict(reversed(config.items()))), "data")


def test_the_configuration_is_not_changed_by_reading_it(config: dict[str, Any]) -> None:
    before = copy.deepcopy(config)
    semantic(config)["mask"]["rate"] = 0.9
    assert config == before


def test_the_key_names_parts_and_not_their_modules(config: dict[str, Any]) -> None:
    moved = copy.deepcopy(config)
    moved["mask"]["_target_"] = "bertlab.elsewhere.TokenMask"
    assert key_of(semantic(moved), "data") == key_of(semantic(config), "data")
    moved["mask"]["_target_"] = "bertlab.mask.token.OtherMask"
    assert key_of(semantic(moved), "data") != key_of(semantic(config), "data")


def test_a_run_is_named_by_typed_settings_that_can_change_a_result(store: TokenStore) -> None:
    description = described(store, "mask.rate=0.3", "seed=1", "trainer.threads=2", "output_dir=elsewhere", "model=tiny")
    assert description.name == "mask.rate=0.3 seed=1 model=tiny"
    assert description.params == {
        **{"data": "docs", "tokenizer.vocab_size": "4096", "pairs": "nsp", "mask": "token", "mask.rate": "0.3"},
        **{"model": "tiny", "model.layers": "2", "model.width": "128", "model.heads": "2", "model.dropout": "0.1"},
        **{"optimizer": "adamw", "optimizer.lr": "0.002", "schedule": "linear", "schedule.warmup": "0.1"},
        **{"batch.size": "16", "batch.length": "64", "budget.tokens": "2300000", "objective": "joint", "seed": "1"},
        "trainer.precision": "32-true",
    }


def test_a_run_without_typed_settings_is_named_default(store: TokenStore) -> None:
    assert described(store).name == described(store, "trainer.progress=false").name == "default"


def test_a_setting_that_is_typed_twice_is_named_once_with_its_last_value(store: TokenStore) -> None:
    assert described(store, "mask.rate=0.1", "mask.rate=0.2").name == "mask.rate=0.2"


def test_a_part_is_named_by_its_option_and_a_list_by_its_values(store: TokenStore) -> None:
    description = described(store, "model/position=learned", "mask.split=[1,0,0]", "pairs@evaluation.pairs=none")
    assert description.name == "model/position=learned mask.split=[1, 0, 0] evaluation.pairs=none"


def test_precision_can_change_a_result_and_names_a_run(store: TokenStore) -> None:
    assert described(store, "trainer.precision=bf16-mixed").name == "trainer.precision=bf16-mixed"


def test_in_a_sweep_the_factors_name_a_run_even_without_typed_settings(store: TokenStore) -> None:
    description = described(store, "budget.tokens=5000", "tracking.factors=[mask.rate,model]")
    assert description.name == "mask.rate=0.15 model=nano"
    assert description.params["budget.tokens"] == "5000"


def test_the_folder_of_a_corpus_is_no_part_of_a_run(store: TokenStore) -> None:
    here, there = (described(store, "data=text", f"data.files={path}/a.txt", "seed=2") for path in ("here", "there"))
    assert here.name == there.name == "data=text seed=2"
    assert here.params == there.params
    assert here.tags["bertlab.key"] == there.tags["bertlab.key"]


def test_tags_say_what_a_result_depends_on(store: TokenStore) -> None:
    description = described(store, "batch.length=32")
    composed = load(["batch.length=32"])
    config = resolved(composed)
    assert description.tags["bertlab.key"] == key_of(semantic(config), store.fingerprint)
    assert description.tags["bertlab.config"] == digest(typed(composed, []).settings)
    assert description.tags["bertlab.code"] == code_fingerprint(config)
    assert description.tags["bertlab.environment"] == str(environment_of(config["trainer"]))
    assert description.origin["code"] == code_of(targets(config)).modules
    assert description.origin["environment"]["torch"] == torch.__version__
    assert description.tags["bertlab.corpus"] == store.fingerprint
    assert description.tags["bertlab.length"] == "32"
    assert description.tags["bertlab.licence"] == "none"
    assert description.tags["bertlab.data"].startswith("a list; training 84 documents")
    assert "15 % of the tokens replaced by [MASK]" in description.tags["bertlab.evaluation"]
    known = json.loads(description.tags["bertlab.regime"])
    assert corpus_words(read_corpus(known["corpus"])) == description.tags["bertlab.data"]
    assert (
        description.tags["bertlab.data"] == f"a list; training {store.facts['train']}; held out {store.facts['valid']}"
    )
    assert Scoring(**known["scoring"]) == scoring_of(config["evaluation"])
    assert "bertlab.baseline" not in description.tags


def test_the_description_of_an_evaluation_says_what_is_scored_at_the_end() -> None:
    at_points = "128 held-out sequences at most, 15 % of the tokens replaced by [MASK], the same ones for every run"
    short, whole = (scoring_of({"sequences": 128, "rate": 0.15, "final": final}) for final in (0, 2048))
    assert yardstick(short) == scoring_words(short) == at_points
    assert yardstick(whole) == at_points, "as runs of older code have it"
    assert scoring_words(whole) == f"{at_points}; at the end 2048 texts and 4096 pairs"


@pytest.mark.parametrize("baseline", ["true", "false"])
def test_a_sweep_says_whether_a_run_is_its_baseline(store: TokenStore, baseline: str) -> None:
    assert described(store, f"tracking.baseline={baseline}").tags["bertlab.baseline"] == baseline


def test_the_configuration_is_recorded_in_full_but_for_where_it_is_recorded(store: TokenStore) -> None:
    expected = {key: value for key, value in resolved(load(["seed=3"])).items() if key != "tracking"}
    assert yaml.safe_load(described(store, "seed=3").config) == expected


def test_a_record_shows_the_environment_as_it_was_named_and_no_secret(
    store: TokenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CORPUS", "/mine/S3cret.txt")
    monkeypatch.setenv("SEED", "3")
    words = ("data=hub", "data.path='https://u:S3cret@hub/x?token=S3cret'", "data.name=${oc.env:CORPUS}")
    words += ("seed='${oc.decode:${oc.env:SEED}}'", "output_dir=out", "data.revision=v${oc.env:ABSENT,2}")
    description = described(store, *words, "tracking.uri=postgresql://u:S3cret@host/db${oc.env:CORPUS}")
    assert "S3cret" not in repr(description)
    record = yaml.safe_load(description.config)
    assert record["data"]["path"] == description.params["data.path"] == "https://***@hub/x?token=***"
    assert record["data"]["name"] == description.params["data.name"] == "${oc.env:CORPUS}"
    assert record["data"]["revision"] == "v${oc.env:ABSENT,2}"
    assert record["seed"] == 3
    assert description.tags["bertlab.key"] == key_of(semantic(resolved(load(words))), store.fingerprint)


def test_the_dataset_is_described_by_its_fingerprint_and_facts(store: TokenStore) -> None:
    data = described(store).data
    assert (data.name, data.digest) == ("docs", store.fingerprint)
    assert data.profile is not None
    assert json.loads(data.profile) == store.facts


def test_start_weights_are_identified_by_their_hash_in_any_folder(tmp_path: Path) -> None:
    plain = resolved(load([]))
    assert "start" not in semantic(plain)
    for name, content in (("one", b"a"), ("two", b"a"), ("three", b"b")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.safetensors").write_bytes(content)
        for other in ("config.json", "tokenizer.json"):
            (tmp_path / name / other).write_bytes(b"{}")
    one, two, three = (semantic(resolved(load([f"start={tmp_path / name}"]))) for name in ("one", "two", "three"))
    assert one == two != three
    assert one.keys() - semantic(plain).keys() == {"start"}
    assert semantic(resolved(load([f"start={tmp_path / 'one'}", "start.missing=init"]))) != one
