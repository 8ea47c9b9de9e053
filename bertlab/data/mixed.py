"""Your own text and general text: `data=mixed data.files=OWN data.general=GENERAL`.

The own text comes first; all held-out text is from it. Only general documents marked for training are used; so a task
of kind text can measure forgetting on the others. `pairs=mixed` sets the share of general text: runs with other shares
use the same store and are scored on the same text.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from bertlab.config.cache import digest
from bertlab.config.errors import InputError, own
from bertlab.data.documents import Document
from bertlab.data.text import Text

TRAIN = "train"


class Mixed:
    """The documents of `files`, then those of `general` with `split` train; `column` is the text field of both."""

    name = "mixed"

    def __init__(self, files: str | Sequence[str], general: str | Sequence[str], column: str | None = None) -> None:
        self._own = Text(files, column)
        with of_general():
            self._general = Text(general, column)

    def check(self) -> None:
        """Raise InputError for files that do not exist or cannot be read."""
        self._own.check()
        with of_general():
            self._general.check()

    def key(self) -> str:
        """Hash of every file's name and bytes."""
        with of_general():
            general = self._general.key()
        return digest("mixed-1", self._own.key(), general)

    def documents(self) -> Iterator[Document]:
        """Yield the own documents, then the general ones. Raises InputError for general ones without a split."""
        yield from self._own.documents()
        for document in general_documents(self._general):
            yield replace(document, id=f"general:{document.id}")

    def facts(self) -> dict[str, str]:
        """Return the names of the files."""
        own, general = self._own.facts(), self._general.facts()
        return {
            "source": f"{own['source']}; general text for training: {general['source']}",
            "licence": f"{own['licence']}; general text: {general['licence']}",
            "content": self.key(),
        }


def general_documents(text: Text) -> Iterator[Document]:
    """Yield the documents for training that contain a letter or digit, so that each has a token."""
    with of_general():
        for document in text.documents():
            if document.split is None:
                raise InputError(
                    f"data.general must say the split of every document, got none for {document.id}; write `split`, "
                    "train or test, into a .jsonl or .parquet file: test documents show what is forgotten"
                )
            if document.split == TRAIN and any(map(str.isalnum, document.text)):
                yield document


@contextmanager
def of_general() -> Iterator[None]:
    """Let file errors name the key of the general text."""
    try:
        yield
    except InputError as error:
        raise InputError(error.args[0].replace(own("files", "data"), own("general", "data"))) from error
