"""An archive brings finished cells to another disk, and only those."""

import json
from pathlib import Path

import pytest
import yaml

from bertlab.errors import InputError
from bertlab.ledger.archive import pack, unpack
from bertlab.ledger.cell import CONFIG, FINISHED, POINTS, cell_of, cells_in
from bertlab.ledger.points import read_points
from tests.cells import finished


def test_finished_cells_are_finished_elsewhere_without_their_weights(tmp_path: Path) -> None:
    here = finished(cell_of(tmp_path / "here", "a", "code"))
    running = cell_of(tmp_path / "here", "b", "code")
    with running.held():
        running.begin(description={})
    pack([here, running], tmp_path / "kept" / "cells.tar.xz")
    assert unpack(tmp_path / "kept" / "cells.tar.xz", tmp_path / "there") == 1
    (there,) = cells_in(tmp_path / "there")
    assert there.record() == here.record() is not None
    assert read_points(there.folder / POINTS) == read_points(here.folder / POINTS)
    assert not (there.folder / "model").exists()
    state = there.state()
    assert (state["token"], state["status"]) == (here.state()["token"], FINISHED)
    assert not any(state[name] for name in ("host", "pid", "place", "parent", "run_id")), "those were another machine's"


def test_an_archive_names_no_folder_of_the_machine_and_keeps_every_other_setting(tmp_path: Path) -> None:
    data = {"files": ["/mine/a.txt", "~/b*.txt", "corpora/c.txt"], "format": None}
    config = {"data": data, "output_dir": "/mine/outputs", "optimizer": {"lr": 0.002}}
    cell = finished(cell_of(tmp_path / "here", "a", "code"))
    source = json.dumps({"data": data})
    cell.note(description={"name": "a run", "data": {"digest": "5", "source": source}})
    (cell.folder / CONFIG).write_text(yaml.safe_dump(config, sort_keys=False), "utf-8")
    pack([cell], tmp_path / "cells.tar.xz")
    unpack(tmp_path / "cells.tar.xz", tmp_path / "there")
    (there,) = cells_in(tmp_path / "there")
    named = {"files": ["a.txt", "b*.txt", "corpora/c.txt"], "format": None}
    assert (there.folder / CONFIG).read_text("utf-8") == yaml.safe_dump(
        {"data": named, "output_dir": "outputs", "optimizer": {"lr": 0.002}}, sort_keys=False
    )
    described = there.state()["description"]["data"]
    assert (described["digest"], json.loads(described["source"])) == ("5", {"data": named})
    assert cell.state()["description"]["data"]["source"] == source, "the cell itself stays as it is"


def test_what_is_finished_already_is_left_alone(tmp_path: Path) -> None:
    cell = finished(cell_of(tmp_path, "a", "code"))
    pack([cell], tmp_path / "cells.tar.xz")
    assert unpack(tmp_path / "cells.tar.xz", tmp_path) == 0
    assert cell.state()["run_id"] == "7"


def test_equal_cells_make_equal_bytes_in_whatever_order(tmp_path: Path) -> None:
    cells = [finished(cell_of(tmp_path, key, "code")) for key in "ab"]
    pack(cells, tmp_path / "one")
    pack(cells[::-1], tmp_path / "other")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()


def test_a_cell_that_was_tampered_with_is_not_finished(tmp_path: Path) -> None:
    cell = finished(cell_of(tmp_path / "here", "a", "code"))
    pack([cell], tmp_path / "cells.tar.xz")
    unpack(tmp_path / "cells.tar.xz", tmp_path / "there")
    (there,) = cells_in(tmp_path / "there")
    (there.folder / POINTS).write_text("{}\n", "utf-8")
    assert there.record() is None
    assert unpack(tmp_path / "cells.tar.xz", tmp_path / "there") == 1, "the archive has it whole"
    assert there.record()


@pytest.mark.parametrize("damage", ["cut", "text", "other"])
def test_a_damaged_archive_is_refused_in_one_line(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "cells.tar.xz"
    pack([finished(cell_of(tmp_path, "a", "code"))], path)
    whole = path.read_bytes()
    path.write_bytes({"cut": whole[: len(whole) // 2], "text": b"a,b\n", "other": b""}[damage])
    with pytest.raises(InputError, match="must be an archive of finished runs"):
        unpack(path, tmp_path / "there")
    assert not (tmp_path / "there").exists()


def test_a_finished_cell_whose_description_was_damaged_is_packed_all_the_same(tmp_path: Path) -> None:
    cell = finished(cell_of(tmp_path / "here", "a", "code"))
    (cell.folder / "run.json").write_text("{", "utf-8")
    pack([cell], tmp_path / "cells.tar.xz")
    assert unpack(tmp_path / "cells.tar.xz", tmp_path / "there") == 1
