"""Composing: the command line becomes plain values, and values become parts."""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml
from omegaconf import DictConfig
from omegaconf.errors import MissingMandatoryValue

from bertlab.config import compose
from bertlab.config.building import LIGHT, Parts, build_parts, section
from bertlab.config.compose import CONF, PACKAGE, choices, load, project_folder, resolved, typed
from bertlab.config.errors import InputError
from bertlab.config.settling import composing, settling
from bertlab.data.oracle import Oracle
from bertlab.data.pairs.nsp import NextSentence
from bertlab.mask.token import TokenMask
from tests.composing import HYDRAS, keep_compositions, set_steps


def built(*overrides: str) -> Parts:
    return build_parts(resolved(load(overrides)))


def test_the_configs_are_beside_the_package_in_a_checkout_and_inside_it_when_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (CONF / "run.yaml").is_file()
    monkeypatch.setattr(compose, "PACKAGE", tmp_path / "bertlab")
    assert project_folder("conf") == tmp_path / "conf"
    (tmp_path / "bertlab" / "conf").mkdir(parents=True)
    assert project_folder("conf") == tmp_path / "bertlab" / "conf"


def test_the_configuration_is_plain_values_without_hydras_own() -> None:
    config = resolved(load(["mask.rate=0.3", "mask.split=[1,0,0]", "data=oracle", "seed=7"]))
    assert "hydra" not in config
    assert type(config["mask"]) is dict
    assert config["mask"] == {"_target_": "bertlab.mask.token.TokenMask", "rate": 0.3, "split": [1, 0, 0]}
    assert (config["seed"], config["batch"]["length"]) == (7, 35)


def test_the_order_of_composition_lets_the_command_line_win() -> None:
    assert resolved(load(["data=oracle", "batch.length=67"]))["batch"]["length"] == 67
    assert resolved(load(["regime=bert"]))["optimizer"]["lr"] == 1e-4
    assert resolved(load(["regime=bert", "optimizer.lr=3e-4"]))["optimizer"]["lr"] == 3e-4


def test_a_value_that_must_be_given_is_missed() -> None:
    with pytest.raises(MissingMandatoryValue, match=r"data\.files"):
        resolved(load(["data=text"]))


def test_choices_are_the_options_of_the_groups() -> None:
    chosen = choices(load(["model=tiny", "pairs@evaluation.pairs=none"]))
    assert chosen["model"] == "tiny"
    assert chosen["model/position"] == "learned"
    assert (chosen["pairs"], chosen["pairs@evaluation.pairs"]) == ("nsp", "none")
    assert not [group for group in chosen if group.startswith("hydra")]


WORDS = (
    ["model=nano", "mask.rate=0.3", "seed=1"],
    ["seed=2", "model=nano", "mask.rate=0.2", "seed=3"],
    ["mask=span", "pairs@evaluation.pairs=none"],
    ["batch.length=${seed}", "seed=64"],
    ["data=oracle", "batch={size: 7}"],
    ["+trainer.extra=1", "seed=2"],
    ["~regime", "seed=2"],
    ["regime=bert", "optimizer.lr=3e-4"],
    ["tracking.factors=['a.b',seed]", "tracking.parent=null"],
)


@pytest.mark.slow
def test_what_is_composed_from_an_earlier_one_is_what_hydra_composes() -> None:
    quick, plain = composing(load), [load(words) for words in WORDS]
    for words, expected in [*zip(WORDS, plain, strict=True), *zip(WORDS[::-1], plain[::-1], strict=True)]:
        made = quick(words)
        assert resolved(made) == resolved(expected), words
        assert choices(made) == choices(expected), words


@pytest.mark.slow
def test_what_tests_keep_of_compositions_is_what_hydra_composes() -> None:
    some = WORDS[1::2]
    kept = [load(words) for _ in range(2) for words in some]
    set_steps(*HYDRAS)
    try:
        plain = [load(words) for words in some]
    finally:
        keep_compositions()
    for made, expected in zip(kept, [*plain, *plain], strict=True):
        assert (resolved(made), choices(made)) == (resolved(expected), choices(expected))


def test_the_files_of_options_are_read_once_for_each_choice_of_them() -> None:
    read: list[list[str]] = []

    def counted(words: list[str]) -> DictConfig:
        read.append(words)
        return load(words)

    quick = composing(counted)
    lengths = [quick([f"mask={mask}", f"seed={seed}"]).seed for seed in range(5) for mask in ("token", "span")]
    assert lengths == [seed for seed in range(5) for _ in range(2)]
    assert read == [["mask=token"], ["mask=span"]]


@pytest.mark.parametrize("words", [["mask.rat=1"], ["mask=tokens"], ["seed.a=1"], ["a=="], ["tracking=1"]])
def test_an_error_of_composition_is_hydras_own(words: list[str]) -> None:
    with pytest.raises(Exception) as expected:  # noqa: PT011
        load(words)
    with pytest.raises(expected.type, match=re.escape(str(expected.value))):
        composing(load)(words)


def test_light_parts_import_nothing_heavy() -> None:
    targets = {
        option["_target_"].rpartition(".")[0]
        for group in LIGHT
        for path in (CONF / group).glob("*.yaml")
        if "_target_" in (option := yaml.safe_load(path.read_text("utf-8")))
    }
    assert len(targets) > len(LIGHT)
    heavy = "{'torch', 'pytorch_lightning', 'mlflow', 'scipy', 'pandas'} & sys.modules.keys()"
    code = f"import sys, bertlab.config.compose, {', '.join(sorted(targets))}; sys.exit(', '.join({heavy}) or 0)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_part_is_built() -> None:
    parts = built("data=oracle", "mask.rate=0.3")
    assert isinstance(parts.data, Oracle)
    assert isinstance(parts.mask, TokenMask)
    assert isinstance(parts.pairs, NextSentence)
    assert parts.mask.rate == 0.3
    assert all(part is not None for part in vars(parts).values())


def test_parts_that_need_sizes_or_a_model_are_factories() -> None:
    parts = built("model.layers=3", "optimizer.lr=0.5")
    assert isinstance(parts.model, partial)
    assert parts.model.keywords["layers"] == 3
    assert isinstance(parts.model.keywords["position"], partial)
    assert isinstance(parts.optimizer, partial)
    assert parts.optimizer.keywords["lr"] == 0.5


@pytest.mark.parametrize(
    ("place", "target"),
    [
        ("data", "os.system"),
        ("data", "shutil.rmtree"),
        ("model.norm", "torch.nn.Identity"),
        ("evaluation.text", "builtins.exec"),
        ("mask", "bertlab.config.cache.tempfile.mkdtemp"),
        ("mask", "bertlab.config.compose.instantiate"),
        ("mask", "bertlab"),
        ("mask", "bertlab_of_someone_else.Mask"),
        ("mask", "bertlab.mask.nonesuch.Mask"),
        ("mask", "bertlab.mask.token.Nonesuch"),
        ("mask", ""),
    ],
)
def test_a_target_that_is_no_part_of_bertlab_is_refused_unbuilt(place: str, target: str) -> None:
    config = resolved(load(["data=oracle", f"{place}._target_='{target}'"]))
    message = rf"^{place}\._target_ must name a part of bertlab, got {target}; choose an option of the group$"
    with pytest.raises(InputError, match=message):
        build_parts(config)


@pytest.mark.parametrize(
    "extra",
    [
        {"_target_": "somewhere.else"},
        [{"_target_": "somewhere.else"}],
        {"deeper": [1, {"down": {"_target_": "somewhere.else"}}]},
    ],
)
def test_a_foreign_target_is_found_at_any_depth(extra: Any) -> None:
    config = resolved(load(["data=oracle"]))
    config["mask"]["extra"] = extra
    with pytest.raises(InputError, match=r"^mask\.extra.*\._target_ must name a part of bertlab, got somewhere\.else"):
        build_parts(config)


def test_a_foreign_target_is_neither_imported_nor_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "trap.py").write_text(
        f"import pathlib\npathlib.Path({str(tmp_path / 'sprung')!r}).touch()\ndef part(): 0\n", "utf-8"
    )
    monkeypatch.syspath_prepend(tmp_path)
    called: list[object] = []
    monkeypatch.setattr(os, "system", called.append)
    monkeypatch.setattr(tempfile, "mkdtemp", lambda *_, **__: called.append("mkdtemp"))
    for target in ("trap.part", "os.system", "bertlab.config.cache.tempfile.mkdtemp"):
        with pytest.raises(InputError):
            built(f"mask._target_={target}")
    assert called == []
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize(
    ("override", "key"),
    [
        ("+model.extra=3", "model.extra"),
        ("+optimizer.extra=3", "optimizer.extra"),
        ("+model.norm.extra=3", "model.norm.extra"),
    ],
)
def test_a_key_that_a_factory_does_not_know_is_refused_before_it_is_called(override: str, key: str) -> None:
    with pytest.raises(InputError, match=rf"^{key} is not a key of this part; choose one of "):
        built(override)


@pytest.mark.parametrize("name", list(Parts.__annotations__))
def test_a_part_that_is_left_out_is_named(name: str) -> None:
    config = resolved(load([]))
    del config[name]
    with pytest.raises(InputError, match=rf"^{name} must be one of the group's options, got None; "):
        build_parts(config)


@pytest.mark.parametrize(
    ("value", "line"),
    [
        (None, "batch must hold size and length, got None"),
        (3, "batch must hold size and length, got 3"),
        ({}, r"batch\.length must be given, got nothing; keep the default"),
        ({"size": 4}, r"batch\.length must be given, got nothing; keep the default"),
        (
            {"size": 4, "length": 8, "more": 1},
            r"batch\.more is not a key of the configuration; batch holds size, length",
        ),
    ],
)
def test_a_section_holds_its_names_and_no_others(value: Any, line: str) -> None:
    assert section({"batch": {"length": 8, "size": 4}}, "batch", "size", "length") == {"length": 8, "size": 4}
    with pytest.raises(InputError, match=f"^{line}"):
        section({"batch": value}, "batch", "size", "length")


@pytest.mark.parametrize("change", [lambda config: config.pop("seed"), lambda config: config["batch"].pop("size")])
def test_a_run_without_a_seed_or_a_batch_is_an_input_error(change: Callable[[dict[str, Any]], Any]) -> None:
    from bertlab.sweep.run import prepare_job

    config = resolved(load(["data=oracle"]))
    change(config)
    with pytest.raises(InputError, match=r"^(seed|batch\.size) must "):
        prepare_job(config)


def test_the_package_is_where_it_says() -> None:
    assert (PACKAGE / "config" / "compose.py").is_file()


SEEDED = ["data=oracle", "mask.rate=0.3"]


def test_jobs_that_differ_in_numbers_alone_are_composed_once() -> None:
    composed: list[list[str]] = []

    def counted(words: list[str]) -> DictConfig:
        composed.append(words)
        return load(words)

    settled = settling(counted)
    jobs = [[f"mask.rate={rate}", *SEEDED[:1], f"seed={seed}"] for rate in (0.1, 0.2) for seed in range(20)]
    found = [settled(job) for job in jobs]
    assert len(composed) == 1
    for place in (0, 7, 39):
        config = load(jobs[place])
        assert found[place] == (resolved(config), typed(config, jobs[place]))
        assert list(found[place][0]) == list(resolved(config)), "in the same order, of which hashes are made"


@pytest.mark.parametrize(
    "words",
    [
        ["seed=-1"],
        ["seed=1", "seed=2"],
        ["seed=1.5"],
        ["seed=01"],
        ["++redraw=${seed}", "seed=3"],
        ["evaluation.text=3"],
        ["optimizer.betas=[0.8,0.9]", "budget.tokens=9000"],
        ["model=tiny", "model.layers=3"],
        ["++mask.extra=3", "seed=4"],
        ["trainer.points='0'", "seed=5"],
    ],
)
def test_what_says_more_than_a_number_is_composed_as_it_is(words: list[str]) -> None:
    own = [*SEEDED, *words]
    settled = settling(load)
    settled([*SEEDED, *(re.sub(r"=\d+$", "=1", word) for word in words)])  # what it knows of others changes nothing
    config = load(own)
    assert settled(own) == (resolved(config), typed(config, own))


@pytest.mark.parametrize(
    "text", ["0", "-0", "3", "-7", "0.10", "1e-3", "1e5", "2.5e-05", "-0.0", "1e99", "10.", ".5", "1_000", "inf", "+3"]
)
def test_a_number_is_what_hydra_reads(text: str) -> None:
    found = settling(load)([f"optimizer.lr={text}"])[0]["optimizer"]["lr"]
    composed = load([f"optimizer.lr={text}"]).optimizer.lr
    assert (found, type(found), str(found)) == (composed, type(composed), str(composed))


@pytest.mark.parametrize("words", [["mask.rat=3"], ["mask=3"], ["nothing.there=1", "seed=2"], ["hydra.sweep=3"]])
def test_a_number_where_none_can_be_is_refused_in_the_words_of_its_own_job(words: list[str]) -> None:
    with pytest.raises(Exception) as plain:  # noqa: PT011
        load(words)
    with pytest.raises(type(plain.value)) as settled:
        settling(load)(words)
    assert str(settled.value) == str(plain.value)


@pytest.mark.parametrize(
    ("word", "key"),
    [
        ("trainer.points=${seed}", "seed"),
        ("trainer.points=${batch.size}", "batch.size"),
        ("trainer.points=${trainer.ahead}", "trainer.ahead"),
        ("trainer.points=${oc.select:batch.size}", "batch.size"),
        ("trainer.points=${.ahead}", "trainer.ahead"),
    ],
)
def test_a_value_that_is_made_from_a_number_is_made_again_for_each(word: str, key: str) -> None:
    settled = settling(load)
    jobs = [[*SEEDED, word, f"{key}={number}"] for number in (13, 14)]
    assert [settled(job)[0]["trainer"]["points"] for job in jobs] == [13, 14]
