"""Writing: complete or not at all, the same bytes from the same content, and back again from the twins."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bertlab.config.errors import InputError
from bertlab.report.run_table import RunTable, read_table
from bertlab.report.write import render, write_report

MakeTable = Callable[..., RunTable]
RATES = {"mask.rate": ["0.05", "0.15", "0.4"]}


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_report_is_markdown_figures_and_twins(make_table: MakeTable, tmp_path: Path) -> None:
    table = make_table(RATES)
    path = write_report(table, tmp_path / "new" / "report")
    assert path == tmp_path / "new" / "report" / "report.md"
    assert path.read_text(encoding="utf-8") == render(table)
    figures = ("final_loss", "mlm_convergence", "mlm_difference", "pair_convergence", "train_loss")
    expected = {"report.md", "runs.csv", "curves.csv", "facts.json", *(f"figures/{name}.svg" for name in figures)}
    assert set(contents(path.parent)) == expected


def test_every_figure_in_the_text_is_a_file_and_every_file_is_in_the_text(
    make_table: MakeTable, tmp_path: Path
) -> None:
    text = write_report(make_table(RATES), tmp_path).read_text(encoding="utf-8")
    for name in contents(tmp_path):
        assert name == "report.md" or f"({name})" in text


def test_a_report_written_from_its_twins_is_the_same_to_the_byte(make_table: MakeTable, tmp_path: Path) -> None:
    table = make_table(RATES, baseline=["0.15"])
    table.runs.loc[0, "status"] = "FAILED"
    write_report(table, tmp_path / "first")
    write_report(read_table(tmp_path / "first"), tmp_path / "second")
    assert contents(tmp_path / "second") == contents(tmp_path / "first")


def test_rows_in_any_order_give_the_same_bytes(make_table: MakeTable, tmp_path: Path) -> None:
    table = make_table({"mask.rate": ["0.05", "0.15"], "model.norm": ["layer", "rms"]}, seeds=(0, 1))
    rng = np.random.default_rng(1)
    runs, curves = (frame.iloc[rng.permutation(len(frame))] for frame in (table.runs, table.curves))
    write_report(table, tmp_path / "sorted")
    write_report(RunTable(runs, curves, table.facts), tmp_path / "shuffled")
    assert contents(tmp_path / "shuffled") == contents(tmp_path / "sorted")


def test_a_second_report_replaces_the_first_and_leaves_other_files(make_table: MakeTable, tmp_path: Path) -> None:
    write_report(make_table(RATES), tmp_path)
    (tmp_path / "figures" / "mine.svg").write_text("kept", "utf-8")
    write_report(make_table(RATES, pairs=False), tmp_path)
    assert "figures/pair_convergence.svg" not in contents(tmp_path)
    assert contents(tmp_path)["figures/mine.svg"] == b"kept"
    assert not [name for name in contents(tmp_path) if name.endswith(".part")]


def test_a_table_that_cannot_be_used_leaves_nothing(make_table: MakeTable, tmp_path: Path) -> None:
    table = make_table(RATES)
    with pytest.raises(InputError):
        write_report(RunTable(table.runs.drop(columns="status"), table.curves, table.facts), tmp_path / "report")
    assert not (tmp_path / "report").exists()


def test_a_file_in_the_place_of_the_folder_is_one_line(make_table: MakeTable, tmp_path: Path) -> None:
    (tmp_path / "report").write_text("in the way", "utf-8")
    with pytest.raises(InputError, match="the report folder must be writable") as caught:
        write_report(make_table({"mask.rate": ["0.15"]}, seeds=(0,)), tmp_path / "report")
    assert "\n" not in str(caught.value)
    assert (tmp_path / "report").read_text("utf-8") == "in the way"


def test_eight_settings_with_three_seeds_and_a_failure_make_a_report(make_table: MakeTable, tmp_path: Path) -> None:
    rates = [f"{0.05 * i:.2f}" for i in range(1, 9)]
    table = make_table({"mask.rate": rates}, baseline=["0.15"])
    table.runs.loc[5, "status"] = "KILLED"
    text = write_report(table, tmp_path).read_text(encoding="utf-8")
    assert "That is 24 runs: 8 settings with 3 seeds each; 23 reached a final loss." in text
