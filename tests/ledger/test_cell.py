"""A cell is held by one process, knows how its run ended, and is finished only when its record is true."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from bertlab.compose import PACKAGE
from bertlab.errors import InputError
from bertlab.ledger.cell import KILLED, RUNNING, Cell, cell_of, cells_in
from tests.cells import finished

HOLD = """
import sys, time
from pathlib import Path
from bertlab.ledger.cell import Cell
cell = Cell(Path(sys.argv[1]))
with cell.held():
    cell.begin()
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def cell(tmp_path: Path) -> Cell:
    return cell_of(tmp_path, "key", "code")


def test_a_cell_is_found_by_its_key_and_its_code(cell: Cell, tmp_path: Path) -> None:
    assert (cell.key, cell.code) == ("key", "code")
    assert cells_in(tmp_path) == []
    finished(cell)
    assert [found.folder for found in cells_in(tmp_path)] == [tmp_path / "cells" / "key-code"]


def test_a_cell_is_held_by_one_process_until_that_is_killed(cell: Cell) -> None:
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


def test_one_process_may_hold_a_cell_twice(cell: Cell) -> None:
    with cell.held(), Cell(cell.folder).held(0) as again:
        assert again


def test_a_run_that_goes_on_keeps_its_token_and_its_start(cell: Cell) -> None:
    with cell.held():
        first = cell.begin(run_id="a")
        cell.end(KILLED)
        time.sleep(0.01)
        second = Cell(cell.folder).begin()
    assert (second["token"], second["started"], second["run_id"]) == (first["token"], first["started"], "a")
    assert (second["status"], second["ended"]) == (RUNNING, None)


def test_what_a_killed_process_was_writing_is_removed_at_the_next_start(cell: Cell) -> None:
    with cell.held():
        (cell.folder / ".record.json").write_text("{", "utf-8")
        cell.begin()
    assert sorted(path.name for path in cell.folder.iterdir()) == ["lock", "run.json"]


def test_a_record_that_is_true_is_returned(cell: Cell) -> None:
    record = finished(cell).record()
    assert record is not None
    assert (record["outcome"], record["diverged"]) == ("loss 0.5", False)


def test_weights_that_went_to_the_store_may_be_absent(cell: Cell) -> None:
    finished(cell)
    (cell.folder / "model" / "model.safetensors").unlink()
    assert cell.record() is not None


@pytest.mark.parametrize("name", ["record.json", "metrics.jsonl", "model/model.safetensors"])
def test_a_record_that_is_damaged_or_describes_other_files_is_none(cell: Cell, name: str) -> None:
    path = finished(cell).folder / name
    assert not cell.distrust()
    path.write_bytes(path.read_bytes()[:-3])
    assert cell.record() is None
    assert cell.distrust()
    assert [path.name for path in cell.folder.iterdir()] == ["lock"]


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "letter").write_text("a file", "utf-8")
    with (
        pytest.raises(InputError, match=r"^output_dir must be a folder with room that can be written, got .*letter"),
        cell_of(tmp_path / "letter", "key", "code").held(),
    ):
        pass
