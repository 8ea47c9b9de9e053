"""Writing: complete or not at all, the same bytes from the same content, and again from the data files."""

from collections.abc import Callable
from pathlib import Path

import pytest

from bertlab.config.errors import InputError
from bertlab.report.study import write_study
from tests.report.conftest import Runs

MakeTable = Callable[..., Runs]
RATES = {"mask.rate": ["0.05", "0.15", "0.4"]}


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_every_figure_in_the_text_is_a_file_and_every_file_is_in_the_text(
    make_table: MakeTable, tmp_path: Path
) -> None:
    text = write_study(make_table(RATES).findings, tmp_path).read_text(encoding="utf-8")
    for name in contents(tmp_path):
        assert name == "report.md" or f"({name})" in text


def test_a_second_report_replaces_the_first_and_leaves_other_files(make_table: MakeTable, tmp_path: Path) -> None:
    write_study(make_table(RATES).findings, tmp_path)
    (tmp_path / "report" / "figures" / "mine.svg").write_text("kept", "utf-8")
    write_study(make_table(RATES, pairs=False).findings, tmp_path)
    assert "report/figures/pair_accuracy_convergence.svg" not in contents(tmp_path)
    assert contents(tmp_path)["report/figures/mine.svg"] == b"kept"
    assert not [name for name in contents(tmp_path) if name.endswith(".part")]


def test_a_file_in_the_place_of_the_folder_is_one_line(make_table: MakeTable, tmp_path: Path) -> None:
    (tmp_path / "report").write_text("in the way", "utf-8")
    with pytest.raises(InputError, match="the report folder must be writable") as caught:
        write_study(make_table({"mask.rate": ["0.15"]}, seeds=(0,)).findings, tmp_path / "report")
    assert "\n" not in str(caught.value)
    assert (tmp_path / "report").read_text("utf-8") == "in the way"
