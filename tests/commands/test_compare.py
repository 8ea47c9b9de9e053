"""`bertlab compare`: what differs between two runs, or a run and the run of some words, and whether it is reused."""

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from mlflow.exceptions import MlflowException

from bertlab.commands.compare import changed_modules, compared, differences, main, verdict, why
from bertlab.config.compose import load, resolved, typed
from bertlab.config.error_messages import printable
from bertlab.config.errors import InputError
from bertlab.data.prepare import prepare
from bertlab.identity.code import Code
from bertlab.identity.key import describe
from bertlab.tracking.artifacts import Origin, origin_of
from bertlab.tracking.description import Identity
from bertlab.tracking.mlflow import Tracker
from bertlab.tracking.saved_model import connect

WORDS = ["data=oracle", "data.documents=60"]
Make = Callable[..., str]


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"sqlite:///{tmp_path_factory.mktemp('store') / 'mlflow.db'}"


@pytest.fixture(scope="module")
def make(uri: str) -> Make:
    """Make a run of some words that is finished according to the store, and return its id."""
    tracker = Tracker(uri=uri, experiment="bertlab")

    def make(*words: str) -> str:
        config = load([*WORDS, *words])
        plain = resolved(config)
        parts = [plain["data"], plain["tokenizer"]]
        assert all("_target_" in part for part in parts)
        from bertlab.config.building import build_parts

        built = build_parts(plain)
        description = describe(plain, typed(config, words), prepare(built.data, built.tokenizer))
        client = tracker.connect()
        run_id = tracker.start(client, description.name, {"bertlab.kind": "run", **description.tags})
        client.log_text(run_id, description.config, "config.yaml")
        client.set_terminated(run_id, "FINISHED")
        return run_id

    return make


@pytest.fixture(scope="module")
def run_id(make: Make) -> str:
    return make("mask.rate=0.3", "trainer.points=7")


def test_the_same_words_are_the_same_run(uri: str, run_id: str) -> None:
    told = why([f"run={run_id}", f"uri={uri}", *WORDS, "mask.rate=0.3", "trainer.points=9", "output_dir=elsewhere"])
    assert "keys:    none differs that can change a result" in told
    assert "data:    the same (" in told
    assert "code:    the same (" in told
    assert told.endswith("verdict: the same run; the first is reused")


def test_other_words_are_shown_key_by_key_with_both_values(uri: str, run_id: str) -> None:
    told = why([f"run={run_id[:12]}", f"uri={uri}", *WORDS, "mask.rate=0.15", "data.language_seed=3"])
    assert "  mask.rate: 0.3 -> 0.15" in told.splitlines()
    assert "  data.language_seed: 0 -> 3" in told.splitlines()
    assert "data:    the same" not in told
    assert told.endswith("verdict: different runs; neither is reused for the other")


def test_two_runs_are_compared(uri: str, run_id: str, make: Make) -> None:
    other = make("mask=span")
    lines = why([f"run={run_id}", f"run={other}", f"uri={uri}"]).splitlines()
    assert lines[0].startswith("first:   mask.rate=0.3 (")
    assert lines[1] == f"second:  mask=span ({other}, finished)"
    assert "  mask._target_: bertlab.mask.token.TokenMask -> bertlab.mask.span.SpanMask" in lines
    assert "  mask.longest: - -> 10" in lines


MODULES = {"bertlab.mask.token": "1", "bertlab.mask.corrupt": "2"}
ONE = Origin("one", {"mask": {"rate": 0.3}}, "d", Identity("k", "c", "here"), MODULES, finished=True)


def changed(origin: Origin, **fields: str) -> Origin:
    return replace(origin, identity=replace(origin.identity, **fields))


@pytest.mark.parametrize(
    ("change", "begins"),
    [
        ({}, "the same run; the first is reused"),
        ({"code": "other"}, "the same run made by other code; it is computed again, unless tracking.reuse=any"),
        ({"environment": "there"}, "the same run made in another environment; it is computed again, unless"),
        ({"code": "other", "environment": "there"}, "the same run made by other code; it is computed again"),
        ({"key": "other"}, "equal by what they say"),
    ],
)
def test_the_verdict_follows_configuration_data_code_and_environment(change: dict[str, Any], begins: str) -> None:
    assert verdict(ONE, changed(ONE, **change), changed=False).startswith(begins)
    assert verdict(ONE, replace(ONE, data="other"), changed=False).startswith("different runs")
    assert verdict(ONE, ONE, changed=True).startswith("different runs")
    assert verdict(replace(ONE, finished=False), ONE, changed=False).startswith("the same run, but the first is not")


def test_other_code_is_reused_where_the_second_allows_any() -> None:
    any_code = replace(changed(ONE, code="other"), config={**ONE.config, "tracking": {"reuse": "any"}})
    assert verdict(ONE, any_code, changed=False).startswith(
        "the same run made by other code; tracking.reuse=any reuses"
    )
    assert verdict(any_code, ONE, changed=False).startswith("the same run made by other code; it is computed again")
    assert "is not finished" in verdict(replace(ONE, finished=False), any_code, changed=False)
    assert verdict(replace(ONE, data="x"), any_code, changed=False).startswith("different runs")


def test_words_may_allow_any_code(uri: str, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    run_id = make("mask.rate=0.4")
    monkeypatch.setattr("bertlab.identity.key.code_of", lambda parts: Code("another", {}))
    same, any_code = (
        why([f"run={run_id}", f"uri={uri}", *WORDS, "mask.rate=0.4", f"tracking.reuse={reuse}"]).splitlines()[-1]
        for reuse in ("same", "any")
    )
    assert "it is computed again" in same
    assert "reuses it" in any_code


def test_the_module_whose_code_changed_is_named() -> None:
    other = replace(
        changed(ONE, code="other"), modules={**MODULES, "bertlab.mask.corrupt": "3", "bertlab.streams": "4"}
    )
    assert list(changed_modules(ONE, other)) == [
        "bertlab.mask.corrupt: changed",
        "bertlab.streams: used only by the second",
    ]
    assert "  bertlab.mask.corrupt: changed" in compared(ONE, other)
    assert list(changed_modules(ONE, ONE)) == []


def test_a_module_that_was_moved_is_not_named() -> None:
    modules = {"bertlab.mask.tokens": "1", "bertlab.mask.corrupt": "3"}
    other = replace(changed(ONE, code="other"), modules=modules)
    assert list(changed_modules(ONE, other)) == ["bertlab.mask.corrupt: changed"]


def test_a_note_says_if_an_earlier_run_has_one_hash_over_all_code() -> None:
    (line,) = changed_modules(ONE, replace(changed(ONE, code="other"), modules={}))
    assert "is not known" in line


@pytest.mark.parametrize("reuse", ["same", "code", "any"])
def test_a_run_of_another_environment_is_reused_where_the_second_allows_it(reuse: str) -> None:
    there = replace(changed(ONE, environment="there"), config={**ONE.config, "tracking": {"reuse": reuse}})
    assert ("is computed again" in verdict(ONE, there, changed=False)) == (reuse == "same")
    assert "computed: here -> there" in compared(ONE, there)


def test_what_cannot_change_a_result_does_not_differ() -> None:
    one = {"seed": 0, "trainer": {"threads": 1}, "a": {}, "b": {"c": [1]}}
    other = {"seed": 0, "trainer": {"threads": 2}, "a": {"x": None}, "b": {"c": [2]}}
    assert list(differences(one, other)) == [("a", {}, "-"), ("a.x", "-", None), ("b.c", [1], [2])]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "compare takes run=ID with "),
        (["run=latest", "run=latest", "seed=1"], "compare takes run=ID with "),
        (["run=latest"] * 3, "compare takes run=ID with "),
        (["run=nonesuch"], "run=nonesuch must be the id of one run"),
        (["run=latest", "data=oracle", "mask._target_=os.system"], "mask._target_ must name a part of"),
        (["run=latest", "--config-dir=/"], "options are "),
    ],
)
@pytest.mark.usefixtures("run_id")
def test_what_cannot_be_compared_is_one_line(
    words: list[str], message: str, uri: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main([f"uri={uri}", *words])
    assert caught.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"bertlab: {message}")


FOREIGN = "seed: 7\nmask: {rate: 0.9}\n"


@pytest.mark.parametrize("content", ["[1]", "{a: ", "!!python/object/apply:os.system [exit]", FOREIGN, "", "\0"])
def test_a_configuration_that_is_not_the_runs_own_is_an_input_error(uri: str, make: Make, content: str) -> None:
    run_id = make("seed=5")
    client = connect(uri)
    client.log_text(run_id, content, "config.yaml")
    line = (
        rf"^run={run_id} must have the files that it left, got another config.yaml in the store; .*, else name another"
    )
    with pytest.raises(InputError, match=line):
        origin_of(client, run_id)
    for tag in ("bertlab.config", "bertlab.files"):  # of a run that left no hash
        with suppress(MlflowException):
            client.delete_tag(run_id, tag)
    if content == FOREIGN:
        assert origin_of(client, run_id).config["seed"] == 7
        return
    with pytest.raises(
        InputError, match=rf"^run={run_id} must have kept its config.yaml, got .*; name another run, or"
    ):
        origin_of(client, run_id)


@pytest.mark.parametrize("name", ["config.yaml", "origin.json"])
def test_a_finished_runs_files_are_checked_by_the_hashes_that_it_left(uri: str, make: Make, name: str) -> None:
    run_id = make("seed=6")
    client = connect(uri)
    own = {"config.yaml": "seed: 6\n", "origin.json": '{"code": {"bertlab.mask.token": "1"}}'}
    for file, content in own.items():
        client.log_text(run_id, content, file)
    hashes = {file: sha256(content.encode()).hexdigest() for file, content in own.items()}
    client.set_tag(run_id, "bertlab.files", json.dumps(hashes))
    assert origin_of(client, run_id).modules == {"bertlab.mask.token": "1"}
    client.log_text(run_id, own[name].replace("6", "7").replace("1", "2"), name)
    with pytest.raises(InputError, match=f"got another {name} in the store"):
        origin_of(client, run_id)
    client.log_text(run_id, own[name], name)
    for tag in ("{}", "[", "7", json.dumps({name: "0"})):
        client.set_tag(run_id, "bertlab.files", tag)
        with pytest.raises(InputError, match=r"must have the files that it left, got another "):
            origin_of(client, run_id)


@pytest.mark.parametrize("content", ["", "7", '{"code": 7}', "[[[", "{}"])
def test_a_damaged_origin_is_an_input_error(uri: str, make: Make, content: str) -> None:
    run_id = make("seed=8")
    client = connect(uri)
    client.log_text(run_id, content, "origin.json")
    with pytest.raises(InputError, match=rf"^run={run_id} must have kept its origin.json, got a damaged one"):
        origin_of(client, run_id)


def test_a_run_without_its_configuration_is_an_input_error(uri: str) -> None:
    tracker = Tracker(uri=uri, experiment="bertlab")
    client = tracker.connect()
    run_id = tracker.start(client, "bare", {"bertlab.kind": "run"})
    with pytest.raises(InputError, match=r"must have kept its config.yaml in the store, got none: "):
        origin_of(client, run_id)


def test_the_help_shows_how(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    assert "bertlab compare run=ID" in capsys.readouterr().out


def test_what_steers_a_terminal_is_written_out() -> None:
    assert printable("a\x1b[31m\u202eb é") == "a\\x1b[31m\\u202eb é"
