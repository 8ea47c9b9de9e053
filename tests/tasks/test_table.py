"""A file gives the same rows in every format; a bad one gives one line that names the place."""

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bertlab.config.errors import InputError
from bertlab.tasks.parts import Source
from bertlab.tasks.table import LONGEST, Row, read_rows
from tests.tasks.drawn import write

ROWS = [{"text": "a ship, far", "label": "1"}, {"text": 'the "barn"', "label": "0"}]


def test_every_form_gives_the_same_rows(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n\n" for row in ROWS), "utf-8")
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress((tmp_path / "a.jsonl").read_bytes()))
    (tmp_path / "a.csv").write_text('text,label\n"a ship, far",1\n"the ""barn""",0\n', "utf-8")
    (tmp_path / "a.tsv").write_text('text\tlabel\na ship, far\t1\r\nthe "barn"\t0\n', "utf-8")
    pq.write_table(pa.Table.from_pylist(ROWS), tmp_path / "a.parquet")
    for path in tmp_path.iterdir():
        assert [row.cells for row in read_rows(path)] == ROWS, path


def test_columns_may_be_named_where_there_is_no_header(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text("x\t1\ny\t0\n", "utf-8")
    assert [row.cells for row in read_rows(tmp_path / "a.tsv", ["text", "label"])][1] == {"text": "y", "label": "0"}


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [
        ("a.csv", b"\xef\xbb\xbftext,label\nx,1\n", "a.csv must be UTF-8 without a byte order mark, got one; save "),
        ("a.csv", b"text,text\nx,1\n", "a.csv must name each column once, got text twice; rename one of them"),
        ("a.jsonl", b'{"text": 1, "text": 2}\n', "line 1: must be one JSON object, got an error: the column text "),
        ("a.jsonl", b"[1]\n", "line 1: must be a JSON object, got [1]; write {...}"),
        ("a.csv", b"text,label\nx\n", "a.csv, line 2: must hold 2 cells, got 1; correct the row"),
        ("a.csv", b'text,label\n"x,1\n', "must be readable, got unexpected end of data; correct the row"),
        ("a.tsv", b"text\tlabel\n", "a.tsv must hold rows, got none; add some"),
        ("a.tsv", b"text\tlabel\nx\t\xff\n", "a.tsv, line 2: must be UTF-8 text, got invalid start byte; convert "),
        ("a.parquet", b"no", "a.parquet must be a whole Parquet file, got an error ("),
        ("a.xlsx", b"", "a.xlsx must end in .jsonl, .csv, .tsv, .parquet, compressed or not; rename or convert it"),
        ("a.tsv.gz", b"text", "must be readable and complete, got "),
    ],
)
def test_a_bad_file_is_one_line(tmp_path: Path, name: str, content: bytes, line: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError) as refused:
        read_rows(tmp_path / name)
    assert line in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(("name", "form"), [("a.csv", "text,label\n{},1\n"), ("a.jsonl", '{{"text": "{}"}}\n')])
def test_a_cell_of_10_mb_is_refused(tmp_path: Path, name: str, form: str) -> None:
    (tmp_path / name).write_text(form.format("x" * 10_000_000), "utf-8")
    with pytest.raises(InputError, match=rf"`text` must hold at most {LONGEST:,} characters, got 10,000,000; cut the"):
        read_rows(tmp_path / name)


def test_blank_cells_are_left_out_where_that_is_asked(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", [{"text": text, "label": 1} for text in ("x", "", " ", None, "y")])
    rows = Source({"": tmp_path / "a.jsonl"}, skip_broken=True).rows(["text", "label"])[""]
    assert [row.cells["text"] for row in rows] == ["x", "y"]
    assert len(Source({"": tmp_path / "a.jsonl"}).rows(["text", "label"])[""]) == 5, "who reads them refuses them"


def test_text_that_is_a_number_is_refused_with_advice() -> None:
    with pytest.raises(InputError, match=r"a: `text` must hold text, got 3; put it in quotes or choose another column"):
        Row("a", {"text": 3}).text("text")


def test_broken_rows_are_left_out_where_that_is_asked(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text("text\tlabel\nx\ny\t0\n", "utf-8")
    assert [row.cells["text"] for row in read_rows(tmp_path / "a.tsv", skip_broken=True)] == ["y"]
