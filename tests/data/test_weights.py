"""Start weights of a run are looked up at once."""

from pathlib import Path

import pytest

from bertlab.config.compose import load, resolved
from bertlab.config.errors import InputError
from bertlab.data.weights import start_of
from bertlab.tracking.run_folder import RunFolder
from tests.command import exit_code
from tests.run_folders import finished


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (
            ["start=gone"],
            "start must be a folder with config.json, model.safetensors and a tokenizer, got gone without ",
        ),
        (
            ["start=run:gone"],
            "start must name one run of outputs, got run:gone, which none has; give the folder of its ",
        ),
        (
            ["start=run:."],
            "start must name a run whose weights are in its cell, got run:. without model/model.safetensors; ",
        ),
        (["start=5"], "start.from must be a folder or run:<id>, got 5; write start=FOLDER or start=run:ID"),
        (["start.missing=perhaps"], "start.missing must be refuse or init, got perhaps; choose one of them"),
    ],
)
def test_what_is_not_there_is_refused_at_once(
    words: list[str], line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert exit_code(*words) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith(f"bertlab: {line}")
    assert printed.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_pickled_weights_are_never_opened(tmp_path: Path) -> None:
    for name in ("config.json", "tokenizer.json", "pytorch_model.bin"):
        (tmp_path / name).write_bytes(b"{}")
    with pytest.raises(InputError, match=r"without model\.safetensors; save .* \(pickled weights are never opened\)$"):
        start_of(resolved(load([f"start={tmp_path}"])))


def test_nothing_to_start_from_is_the_default() -> None:
    assert start_of(resolved(load([]))) is None
    assert start_of(resolved(load(["start=null"]))) is None


@pytest.mark.parametrize(
    "name", ["config.yaml", "run.json", "record.json", "model/model.safetensors", "model/tokenizer.json"]
)
def test_a_run_whose_files_are_not_those_that_it_left_is_no_start(tmp_path: Path, name: str) -> None:
    folder = finished(RunFolder(tmp_path / "cells" / "key-code")).folder
    words = load([f"start=run:{folder}"])
    start = start_of(resolved(words))
    assert start is not None
    assert start.is_run
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(bytes([content[0] ^ 1]) + content[1:])
    line = rf"^start must name a run whose files are those that it left, got run:.*, whose {name} is damaged; type the"
    with pytest.raises(InputError, match=line):
        start_of(resolved(words))
