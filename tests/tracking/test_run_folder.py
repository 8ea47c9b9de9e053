"""A cell is locked by one process, records its run's status, and is finished only if its record is correct."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bertlab.config.compose import PACKAGE
from bertlab.config.errors import InputError
from bertlab.tracking.run_folder import (
    CONFIG,
    FINISHED,
    KILLED,
    POINTS,
    RECORD,
    RUNNING,
    STATE,
    RunFolder,
    run_folder_of,
    run_folders_in,
    running_in,
)
from tests.run_folders import finished, unsealed

FILES = [STATE, CONFIG, POINTS, RECORD, "model/model.safetensors", "model/tokenizer.json"]

HOLD = """
import sys, time
from pathlib import Path
from bertlab.tracking.run_folder import RunFolder
cell = RunFolder(Path(sys.argv[1]))
with cell.held():
    cell.begin()
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def cell(tmp_path: Path) -> RunFolder:
    return run_folder_of(tmp_path, "key", "code")


def test_a_cell_is_found_by_its_key_and_its_code(cell: RunFolder, tmp_path: Path) -> None:
    assert (cell.key, cell.code) == ("key", "code")
    assert run_folders_in(tmp_path) == []
    finished(cell)
    assert [found.folder for found in run_folders_in(tmp_path)] == [tmp_path / "cells" / "key-code"]


def test_a_cell_is_held_by_one_process_until_that_is_killed(cell: RunFolder) -> None:
    command = [sys.executable, "-c", HOLD, str(cell.folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=PACKAGE.parent) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with cell.held(0) as held:
            assert not held
        other.kill()
        other.wait()
        with cell.held(10) as held:
            assert held
            assert cell.vanished()
            assert cell.state()["pid"] == other.pid
            cell.end(KILLED)
            assert not cell.vanished()


def test_one_process_may_hold_a_cell_twice(cell: RunFolder) -> None:
    with cell.held(), RunFolder(cell.folder).held(0) as again:
        assert again


def test_a_run_that_goes_on_keeps_its_token_and_its_start(cell: RunFolder) -> None:
    with cell.held():
        first = cell.begin(run_id="a")
        cell.end(KILLED)
        time.sleep(0.01)
        second = RunFolder(cell.folder).begin()
    assert (second["token"], second["started"], second["run_id"]) == (first["token"], first["started"], "a")
    assert (second["status"], second["ended"]) == (RUNNING, None)


def test_what_a_killed_process_was_writing_is_removed_at_the_next_start(cell: RunFolder) -> None:
    with cell.held():
        (cell.folder / ".record.json").write_text("{", "utf-8")
        cell.begin()
    assert sorted(path.name for path in cell.folder.iterdir()) == ["lock", "run.json"]


def test_a_record_that_is_true_is_returned(cell: RunFolder) -> None:
    record = finished(cell).record()
    assert record is not None
    assert (record["outcome"], record["diverged"]) == ("loss 0.5", False)


def test_weights_that_went_to_the_store_may_be_absent(cell: RunFolder) -> None:
    finished(cell)
    (cell.folder / "model" / "model.safetensors").unlink()
    assert cell.record() is not None


@pytest.mark.parametrize("name", FILES)
def test_a_record_that_is_damaged_or_describes_other_files_is_none(cell: RunFolder, name: str) -> None:
    path = finished(cell).folder / name
    assert not cell.distrust()
    path.write_bytes(path.read_bytes()[:-3])
    assert cell.record() is None
    assert cell.distrust()
    assert [path.name for path in cell.folder.iterdir()] == ["lock"]


@pytest.mark.parametrize("name", FILES)
def test_a_flipped_bit_is_noticed_wherever_it_is(cell: RunFolder, name: str) -> None:
    path = finished(cell).folder / name
    content = path.read_bytes()
    for place in range(len(content)):
        flipped = bytearray(content)
        flipped[place] ^= 1 << place % 8
        path.write_bytes(flipped)
        assert (RunFolder(cell.folder).record(), RunFolder(cell.folder).broken()) == (None, name), place
    path.write_bytes(content)
    assert (RunFolder(cell.folder).record() is None, RunFolder(cell.folder).broken()) == (False, None)


DAMAGED = {
    "empty": b"",
    "appended": None,
    "not UTF-8": b"\xff\xfe{}",
    "deep": b"[" * 200_000,
    "deep object": b'{"a":' * 200_000,
    "huge number": b'{"token": ' + b"9" * 5000 + b"}",
    "beyond doubles": b'{"step": 1e999, "time": 1, "numbers": {}, "token": 1, "status": "FINISHED"}\n',
    "NaN": b'{"token": NaN, "status": NaN, "key": NaN, "step": NaN, "time": 1, "numbers": {"a": NaN}}\n',
    "a list": b"[]",
    "null": b"null",
}


@pytest.mark.parametrize("damage", DAMAGED)
@pytest.mark.parametrize("name", FILES)
def test_a_file_that_became_something_else_is_noticed(cell: RunFolder, name: str, damage: str) -> None:
    path = finished(cell).folder / name
    path.write_bytes(DAMAGED[damage] if damage != "appended" else path.read_bytes() + path.read_bytes())
    assert (RunFolder(cell.folder).record(), RunFolder(cell.folder).broken()) == (None, name)
    assert RunFolder(cell.folder).distrust() == name


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("kind", ["a folder", "a link", "a dead link", "a pipe"])
def test_a_file_that_is_none_any_more_is_noticed_and_removed(
    cell: RunFolder, name: str, kind: str, tmp_path: Path
) -> None:
    path = finished(cell).folder / name
    path.rename(tmp_path / "elsewhere")
    if kind == "a folder":
        path.mkdir()
    elif kind == "a pipe":
        os.mkfifo(path)
    else:
        path.symlink_to(tmp_path / ("elsewhere" if kind == "a link" else "nowhere"))
    found = RunFolder(cell.folder)
    assert (found.record(), found.broken(), found.distrust()) == (None, name, name)
    assert [path.name for path in cell.folder.iterdir()] == ["lock"]
    assert (tmp_path / "elsewhere").is_file(), "what a link shows is not ours"


def test_a_line_behind_the_seal_is_no_point(cell: RunFolder) -> None:
    with (finished(cell).folder / POINTS).open("a") as file:
        file.write('{"step": 2, "time": 9, "numbers": {"eval/mlm_loss": 0.1}}\n')
    assert cell.record() is None


def test_a_file_that_the_model_did_not_have_is_noticed(cell: RunFolder) -> None:
    (finished(cell).folder / "model" / "more.txt").write_text("", "utf-8")
    assert cell.broken() == "model/more.txt"


def test_what_changes_after_the_end_leaves_the_seal_true(cell: RunFolder) -> None:
    finished(cell).note(run_id="8", place="another", parent=None)
    found = RunFolder(cell.folder)
    assert found.record() is not None
    assert (found.state()["run_id"], found.state()["status"]) == ("8", FINISHED)


@pytest.mark.parametrize("kind", ["a link", "a file"])
def test_a_model_that_is_no_folder_any_more_is_noticed(cell: RunFolder, kind: str, tmp_path: Path) -> None:
    path = finished(cell).folder / "model"
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere") if kind == "a link" else path.write_text("")
    assert (cell.record(), cell.broken(), cell.distrust()) == (None, "model", "model")
    assert (tmp_path / "elsewhere").is_dir()


def test_what_a_run_is_may_not_change_after_its_end(cell: RunFolder) -> None:
    finished(cell).note(description={"name": "another"})
    assert RunFolder(cell.folder).broken() == STATE


def test_a_run_whose_record_was_removed_is_not_trusted(cell: RunFolder) -> None:
    (finished(cell).folder / RECORD).unlink()
    assert RunFolder(cell.folder).broken() == RECORD


def test_an_unfinished_run_is_whole_until_its_state_is_damaged(cell: RunFolder) -> None:
    assert cell.broken() is None, "nothing is there"
    with cell.held():
        cell.begin(description={})
    assert RunFolder(cell.folder).broken() is None
    (cell.folder / STATE).write_text((cell.folder / STATE).read_text("utf-8").replace("token", "tokem"), "utf-8")
    assert RunFolder(cell.folder).broken() == STATE


@pytest.mark.parametrize("name", [RECORD, POINTS, STATE])
def test_a_run_of_before_there_were_seals_is_finished_by_what_its_record_knows(cell: RunFolder, name: str) -> None:
    assert unsealed(cell).record() is not None
    assert (cell.broken(), cell.state()["run_id"]) == (None, "7")
    with (cell.folder / name).open("a") as file:
        file.write("{}")
    assert cell.record() is None


def test_what_trains_has_a_marker_until_it_ends(tmp_path: Path) -> None:
    cells = [run_folder_of(tmp_path, key, "code") for key in "ab"]
    finished(cells[0])
    with cells[1].held():
        cells[1].begin()
        assert [found.key for found in running_in(tmp_path)] == ["b"]
        cells[1].end(KILLED)
    assert running_in(tmp_path) == []


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "letter").write_text("a file", "utf-8")
    with (
        pytest.raises(InputError, match=r"^output_dir must be a folder with room that can be written, got .*letter"),
        run_folder_of(tmp_path / "letter", "key", "code").held(),
    ):
        pass
