"""One table in five formats: the same cells, the marks of each format, and correct escapes."""

import csv
import io
import json
import math

from bertlab.report.table import Table
from bertlab.report.words import escape

TABLE = Table(["name", "loss (%)"], [["x", "**−3.2**"], [escape("a_b|c & <d>"), "–"]])


def test_markdown_aligns_numbers_right() -> None:
    assert Table(["name", "loss"], [["x", 3.2]]).markdown() == "| name | loss |\n| --- | ---: |\n| x | 3.2 |"


def test_csv_and_json_hold_cells_without_the_marks_of_markdown() -> None:
    assert list(csv.reader(io.StringIO(TABLE.csv()))) == [["name", "loss (%)"], ["x", "−3.2"], ["a_b|c & <d>", "–"]]
    assert json.loads(TABLE.json())[1] == {"name": "a_b|c & <d>", "loss (%)": "–"}


def test_a_number_reads_back_exactly_and_none_that_is_not_finite_is_written() -> None:
    table = Table(["mean", "sd"], [[0.1 + 0.2, math.nan]])
    assert table.csv() == "mean,sd\n0.30000000000000004,\n"
    assert table.records() == [{"mean": 0.1 + 0.2, "sd": None}]


def test_latex_is_a_booktabs_table_whose_cells_are_harmless() -> None:
    lines = TABLE.latex().splitlines()
    assert lines[:3] == [r"\begin{tabular}{lr}", r"\toprule", r"name & loss (\%) \\"]
    assert lines[4:6] == [r"x & \textbf{$-$3.2} \\", r"a\_b$|$c \& $<$d$>$ & -- \\"]
    assert lines[-2:] == [r"\bottomrule", r"\end{tabular}"]


def test_html_is_a_table_whose_cells_are_harmless() -> None:
    html = TABLE.html()
    assert "<tr><td>x</td><td><b>−3.2</b></td></tr>" in html
    assert "<td>a_b|c &amp; &lt;d&gt;</td>" in html
