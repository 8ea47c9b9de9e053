"""A user's own folder for tests: that of docs/own.md, under another name, since a process reads a module once."""

import re
from itertools import count
from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs" / "own.md"
FILE = re.compile(r"`my_lab/(\S+)`:\n\n```\w+\n(.*?)```", re.DOTALL)  # its name and its text
TINY = (
    *("data=oracle", "data.documents=60", "batch.size=4", "batch.length=35", "budget.tokens=2800"),
    *("evaluation.sequences=8", "evaluation.pseudo=0", "trainer.progress=false"),
)
_numbers = count()


def make_own(parent: Path, name: str = "") -> Path:
    """Write the folder of the page into `parent`, as a package of a name that no other test has."""
    folder = parent / (name or f"lab_{next(_numbers)}")
    files = FILE.findall(PAGE.read_text("utf-8"))
    assert len(files) == 5
    for place, text in files:
        add(folder, place, text.replace("my_lab", folder.name))
    return folder


def add(folder: Path, place: str, text: str) -> None:
    """Write a file of the folder."""
    (folder / place).parent.mkdir(parents=True, exist_ok=True)
    (folder / place).write_text(text, "utf-8")
