"""An archive brings finished cells to another disk, and only those."""

import json
import tarfile
from pathlib import Path

import pytest
import yaml

from bertlab.config.errors import InputError
from bertlab.tracking import archive
from bertlab.tracking.archive import archived_folders, pack, unpack
from bertlab.tracking.metrics import read_points
from bertlab.tracking.run_folder import CONFIG, FINISHED, POINTS, STATE, RunFolder, run_folder_of, run_folders_in
from tests.run_folders import finished, unsealed


def test_finished_cells_are_finished_elsewhere_without_their_weights(tmp_path: Path) -> None:
    here = finished(run_folder_of(tmp_path / "here", "a", "code"))
    running = run_folder_of(tmp_path / "here", "b", "code")
    with running.held():
        running.begin(description={})
    pack([here, running], tmp_path / "kept" / "cells.tar.xz")
    assert unpack(tmp_path / "kept" / "cells.tar.xz", tmp_path / "there") == 1
    (there,) = run_folders_in(tmp_path / "there")
    mine, theirs = here.record(), there.record()
    assert mine is not None
    assert theirs is not None
    assert (theirs["outcome"], theirs["files"][POINTS]) == (mine["outcome"], mine["files"][POINTS])
    assert read_points(there.folder / POINTS) == read_points(here.folder / POINTS)
    assert not (there.folder / "model").exists()
    state = there.state()
    assert (state["token"], state["status"]) == (here.state()["token"], FINISHED)
    assert not any(state[name] for name in ("host", "pid", "place", "parent", "run_id")), "those were another machine's"


def test_an_archive_names_no_folder_of_the_machine_and_keeps_every_other_setting(tmp_path: Path) -> None:
    data = {"files": ["/mine/a.txt", "~/b*.txt", "corpora/c.txt"], "format": None}
    config = {"data": data, "output_dir": "/mine/outputs", "optimizer": {"lr": 0.002}}
    source = json.dumps({"data": data})
    about = {"name": "a run", "data": {"digest": "5", "source": source}}
    own = yaml.safe_dump(config, sort_keys=False)
    cell = finished(run_folder_of(tmp_path / "here", "a", "code"), description=about, config=own)
    pack([cell], tmp_path / "cells.tar.xz")
    unpack(tmp_path / "cells.tar.xz", tmp_path / "there")
    (there,) = run_folders_in(tmp_path / "there")
    named = {"files": ["a.txt", "b*.txt", "corpora/c.txt"], "format": None}
    assert (there.folder / CONFIG).read_text("utf-8") == yaml.safe_dump(
        {"data": named, "output_dir": "outputs", "optimizer": {"lr": 0.002}}, sort_keys=False
    )
    described = there.state()["description"]["data"]
    assert (described["digest"], json.loads(described["source"])) == ("5", {"data": named})
    assert cell.state()["description"]["data"]["source"] == source, "the cell itself stays as it is"


def test_what_is_finished_already_is_left_alone(tmp_path: Path) -> None:
    cell = finished(run_folder_of(tmp_path, "a", "code"))
    pack([cell], tmp_path / "cells.tar.xz")
    assert unpack(tmp_path / "cells.tar.xz", tmp_path) == 0
    assert cell.state()["run_id"] == "7"


def test_equal_cells_make_equal_bytes_in_whatever_order(tmp_path: Path) -> None:
    cells = [finished(run_folder_of(tmp_path, key, "code")) for key in "ab"]
    pack(cells, tmp_path / "one")
    pack(cells[::-1], tmp_path / "other")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()


def test_a_cell_that_was_tampered_with_is_not_finished(tmp_path: Path) -> None:
    cell = finished(run_folder_of(tmp_path / "here", "a", "code"))
    pack([cell], tmp_path / "cells.tar.xz")
    unpack(tmp_path / "cells.tar.xz", tmp_path / "there")
    (there,) = run_folders_in(tmp_path / "there")
    (there.folder / POINTS).write_text("{}\n", "utf-8")
    assert there.record() is None
    assert unpack(tmp_path / "cells.tar.xz", tmp_path / "there") == 1, "the archive has it whole"
    assert there.record()


@pytest.mark.parametrize("damage", ["cut", "text", "other"])
def test_a_damaged_archive_is_refused_in_one_line(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "cells.tar.xz"
    pack([finished(run_folder_of(tmp_path, "a", "code"))], path)
    whole = path.read_bytes()
    path.write_bytes({"cut": whole[: len(whole) // 2], "text": b"a,b\n", "other": b""}[damage])
    with pytest.raises(InputError, match="must be an archive of finished runs"):
        unpack(path, tmp_path / "there")
    assert not (tmp_path / "there").exists()


def test_a_cell_that_is_not_what_its_run_left_is_not_packed(tmp_path: Path) -> None:
    cell = finished(run_folder_of(tmp_path / "here", "a", "code"))
    (cell.folder / STATE).write_text("{", "utf-8")
    pack([cell], tmp_path / "cells.tar.xz")
    assert unpack(tmp_path / "cells.tar.xz", tmp_path / "there") == 0


def test_cells_are_added_and_those_that_are_there_are_not_packed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, packed = tmp_path / "cells.tar.xz", list[str]()
    real = archive.parts_of

    def counted(cell: RunFolder) -> dict[str, bytes]:
        packed.append(cell.key)
        return real(cell)

    monkeypatch.setattr(archive, "parts_of", counted)
    cells = [finished(run_folder_of(tmp_path / "here", key, "code")) for key in "abcd"]
    for count, new in ((2, ["a", "b"]), (2, []), (4, ["c", "d"]), (4, [])):
        packed.clear()
        pack(cells[:count], path)
        assert packed == new
    assert unpack(path, tmp_path / "there") == 4
    with tarfile.open(path) as plain:
        assert len(plain.getnames()) == 20, "other programs read it"
    pack(cells[1:], path)
    assert archived_folders(path, tmp_path).keys() == set("bcd"), "what is not wanted leaves"


@pytest.mark.parametrize("lost", ["the end", "a stream", "the middle"])
def test_an_archive_that_lost_some_of_its_cells_is_refused(tmp_path: Path, lost: str) -> None:
    path = tmp_path / "cells.tar.xz"
    cells = [finished(run_folder_of(tmp_path / "here", key, "code")) for key in "ab"]
    pack(cells[:1], path)
    first = path.read_bytes().removesuffix(archive.END)
    pack(cells, path)
    whole, both = path.read_bytes(), path.read_bytes().removesuffix(archive.END)
    path.write_bytes(
        {"the end": both, "a stream": first, "the middle": whole[: len(first)] + whole[len(first) + 9 :]}[lost]
    )
    with pytest.raises(InputError, match="must be an archive of finished runs"):
        unpack(path, tmp_path / "there")


def test_a_cell_that_was_changed_in_its_archive_is_left_out_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "cells.tar.xz"
    cells = [finished(run_folder_of(tmp_path / "here", key, "code")) for key in "ab"]
    real = archive.parts_of

    def changed(cell: RunFolder) -> dict[str, bytes]:
        return {**real(cell), CONFIG: b"seed: 1\n"} if cell.key == "a" else real(cell)

    monkeypatch.setattr(archive, "parts_of", changed)
    pack(cells, path)
    assert unpack(path, tmp_path / "there") == 1
    assert [cell.key for cell in run_folders_in(tmp_path / "there")] == ["b"]
    assert "1 of 2 runs" in caplog.text


def test_unsealed_cells_are_unpacked_with_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "cells.tar.xz"
    old = unsealed(run_folder_of(tmp_path / "here", "a", "code"))
    pack([old], path)
    assert unpack(path, tmp_path / "there") == 1
    (there,) = run_folders_in(tmp_path / "there")
    assert there.record() == old.record() is not None
    assert (there.state()["token"], there.state()["place"]) == ("t", "")
    assert "1 runs of" in caplog.text
    assert "only points and weights are checked" in caplog.text
