"""GLUE's folders are read as they are published."""

from pathlib import Path

import pytest

from bertlab.config.errors import InputError
from bertlab.data.store import TokenStore
from bertlab.tasks.glue import LAYOUT
from bertlab.tasks.own import Tasks
from tests.tasks.drawn import SETTINGS

HEADERS = {  # of train.tsv and the files that judge, as GLUE has them
    "SST-2": "sentence\tlabel",
    "MRPC": "Quality\t#1 ID\t#2 ID\t#1 String\t#2 String",
    "STS-B": "index\tgenre\tfilename\tyear\told_index\tsource1\tsource2\tsentence1\tsentence2\tscore",
    "QQP": "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate",
    "MNLI": "index\tpromptID\tpairID\tgenre\tsentence1_binary_parse\tsentence2_binary_parse\tsentence1_parse\t"
    "sentence2_parse\tsentence1\tsentence2\tlabel1\tgold_label",
    "QNLI": "index\tquestion\tsentence\tlabel",
    "RTE": "index\tsentence1\tsentence2\tlabel",
    "WNLI": "index\tsentence1\tsentence2\tlabel",
}
ANSWERS = ("label", "score", "Quality", "is_duplicate", "gold_label")


def content(header: str, number: int) -> str:
    """Make rows with an unpaired quote in them, as GLUE has them."""
    lines = [
        "\t".join(str(row % 2) if name in ANSWERS else f'a "ship {row}' for name in header.split("\t"))
        for row in range(number)
    ]
    return "\n".join([header, *lines]) + "\n"


@pytest.fixture
def glue(tmp_path: Path) -> Path:
    for folder, header in HEADERS.items():
        (tmp_path / folder).mkdir()
        for name in ("train", *(("dev_matched", "dev_mismatched") if folder == "MNLI" else ("dev",))):
            (tmp_path / folder / f"{name}.tsv").write_text(content(header, 40), "utf-8")
    (tmp_path / "CoLA").mkdir()
    for name in ("train", "dev"):
        text = "".join(f"gj04\t{row % 2}\t{'' if row % 2 else '*'}\tA ship {row}.\n" for row in range(40))
        (tmp_path / "CoLA" / f"{name}.tsv").write_text(text, "utf-8")
    return tmp_path


def test_every_task_of_glue_is_read(glue: Path, store: TokenStore) -> None:
    tasks = Tasks(**{**SETTINGS, "glue": str(glue)})
    tasks.check()
    assert [task.name for task in tasks.asked] == list(LAYOUT)
    for task in tasks.asked:
        parts = task.prepare(store.tokenizer, 24).parts
        assert (len(parts.train), len(parts.valid), len(parts.test)) == (36, 4, 40), "dev judges, train chooses"


def test_rows_that_lack_a_cell_are_left_out(glue: Path, store: TokenStore) -> None:
    with (glue / "QQP" / "dev.tsv").open("a", encoding="utf-8") as file:
        file.write("7\t8\t9\n")
    (task,) = [one for one in Tasks(**{**SETTINGS, "glue": str(glue)}).asked if one.name == "qqp"]
    assert len(task.prepare(store.tokenizer, 24).parts.test) == 40


def test_a_folder_without_glue_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^glue must hold a folder of GLUE \(CoLA, MNLI, .*\), got .* without one; "):
        assert Tasks(**{**SETTINGS, "glue": str(tmp_path)}).asked
