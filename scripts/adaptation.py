"""The files of reports/adapt.md and reports/adapt_mix.md: `python -m scripts.adaptation FOLDER` writes them.

- general.jsonl: paragraphs of held-out books. The loss on them shows what a model forgets.
- library.jsonl: paragraphs of data=docs, each with its library. `train` and `valid` come from documents in the training
  set of runs, `test` from documents that are held out there.
- text.jsonl: all documents of data=docs with their split.
- mixed.jsonl: documents of books to mix in (`train`), and the paragraphs of general.jsonl (`test`).
"""

import json
import re
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from hashlib import sha256
from pathlib import Path

from bertlab.config.building import build_part
from bertlab.config.compose import load, resolved
from bertlab.data.documents import Corpus
from bertlab.data.splits import choose_splits

LIBRARIES = 8  # number of libraries, those with most paragraphs
LETTERS = range(80, 400)  # length of a paragraph in characters
MIXED = 9_000_000  # characters of books to mix in: more than in the documentation, for shares up to a half
GENERAL, TRAIN, VALID, TEST = 400, 200, 40, 40  # maximum number of paragraphs; the last three for each library


def corpus(name: str) -> Corpus:
    """Return a corpus of conf/data."""
    found: Corpus = build_part(resolved(load([f"data={name}"])), "data")
    return found


def paragraphs(corpus: Corpus) -> Iterator[tuple[str, str, str]]:
    """Yield the document, its split and the text of each paragraph with a length in LETTERS."""
    for document, split in zip(corpus.documents(), choose_splits(corpus).names, strict=True):
        for text in document.text.split("\n\n"):
            if len(text) in LETTERS:
                yield document.id, split, text


def shuffled(texts: Iterable[str]) -> list[str]:
    """Return texts in an order that depends only on the texts."""
    return sorted(texts, key=lambda text: sha256(text.encode()).digest())


def general() -> Iterator[dict[str, str]]:
    """Yield paragraphs of held-out books."""
    texts = shuffled(text for _, split, text in paragraphs(corpus("books")) if split == "test")
    yield from ({"text": text} for text in texts[:GENERAL])


def whole(corpus: Corpus) -> Iterator[dict[str, str]]:
    """Yield all documents with their split."""
    for document, split in zip(corpus.documents(), choose_splits(corpus).names, strict=True):
        yield {"text": document.text, "split": split}


def mixed() -> Iterator[dict[str, str]]:
    """Yield documents of books to mix in, then the paragraphs that measure forgetting."""
    letters = 0
    for text in shuffled(row["text"] for row in whole(corpus("books")) if row["split"] == "train"):
        if (letters := letters + len(text)) > MIXED:
            break
        yield {"text": text, "split": "train"}
    yield from (row | {"split": "test"} for row in general())


def of_library() -> Iterator[dict[str, str]]:
    """Yield paragraphs of documentation with the name of their library."""
    texts: dict[tuple[str, str], list[str]] = defaultdict(list)
    for document, split, text in paragraphs(corpus("docs")):
        texts[re.split("[.:]", document)[0], split].append(text)
    number = {library: len(held_out) for (library, split), held_out in texts.items() if split == "valid"}
    for library in sorted(number, key=lambda library: (-number[library], library))[:LIBRARIES]:
        seen, held_out = shuffled(texts[library, "train"]), shuffled(texts[library, "valid"])
        parts = {"train": seen[:TRAIN], "valid": seen[TRAIN : TRAIN + VALID], "test": held_out[:TEST]}
        yield from ({"text": text, "label": library, "split": part} for part, some in parts.items() for text in some)


def write(path: Path, rows: Iterable[dict[str, str]]) -> None:
    """Write rows as JSON lines."""
    path.write_text("".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows), encoding="utf-8")


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    write(folder / "general.jsonl", general())
    write(folder / "library.jsonl", of_library())
    write(folder / "text.jsonl", whole(corpus("docs")))
    write(folder / "mixed.jsonl", mixed())
