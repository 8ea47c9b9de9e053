"""A file, a column or a dataset sets the part of a row, or a random draw, the same for every run."""

from pathlib import Path

import pytest

from bertlab.config.errors import InputError
from bertlab.tasks.parts import Source, Three, divided
from bertlab.tasks.table import Row, Rows
from tests.tasks.drawn import rows, write


def lengths(parts: Three[Rows]) -> tuple[int, int, int]:
    return len(parts.train), len(parts.valid), len(parts.test)


def made(number: int) -> Rows:
    return [Row(f"row {place}", {"text": str(place)}) for place in range(number)]


def test_rows_of_one_file_are_drawn_the_same_way_each_time_into_one_part() -> None:
    parts, again = divided({"": made(100)}, None), divided({"": made(100)}, None)
    assert lengths(parts) == (81, 9, 10)
    texts = [row.cells["text"] for some in (parts.train, parts.valid, parts.test) for row in some]
    assert sorted(map(int, texts)) == list(range(100))
    assert [row.place for row in again.test] == [row.place for row in parts.test]


def test_without_a_part_to_judge_valid_judges() -> None:
    assert lengths(divided({"train": made(100), "valid": made(30)}, None)) == (90, 10, 30)
    assert lengths(divided({"train": made(100), "valid": made(30), "test": made(20)}, None)) == (100, 30, 20)


def test_most_limits_each_part() -> None:
    assert lengths(divided({"train": made(100), "valid": made(30), "test": made(5)}, 10)) == (10, 10, 5)


def test_a_column_parts_a_file(tmp_path: Path) -> None:
    names = ["train", "dev", "test"]
    cells = [{**row, "split": names[place % 3]} for place, row in enumerate(rows("classification", 30))]
    source = Source({"": write(tmp_path / "a.jsonl", cells)})
    assert lengths(divided(source.rows(["text"]), None)) == (10, 10, 10)
    write(tmp_path / "a.jsonl", [*cells, {**cells[0], "split": "held"}])
    with pytest.raises(InputError, match=r"line 31: `split` must be train, valid, validation, dev, test, got held; "):
        source.rows(["text"])


def test_a_dataset_is_read_by_its_splits_and_known_by_its_rows(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    splits = {name: datasets.Dataset.from_list(rows("classification", 20)) for name in ("train", "validation")}
    datasets.DatasetDict(splits).save_to_disk(str(tmp_path / "one"))
    datasets.DatasetDict(splits).save_to_disk(str(tmp_path / "two"))
    one, two = (Source({}, dataset=str(tmp_path / name)) for name in ("one", "two"))
    assert lengths(divided(one.rows(["text"]), None)) == (18, 2, 20)
    assert one.rows([])["train"][0].text("text") == rows("classification", 1)[0]["text"]
    assert one.fingerprint() == two.fingerprint()
