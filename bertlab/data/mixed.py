"""Your own text and general text: `data=mixed data.files=OWN data.general=GENERAL`.

The own text comes first; all that is held out is of it. Of the general text only documents are taken that say they are
for training, so that the others, read by a task of kind text, tell what training forgets. How much of the general text
a run sees is up to `pairs=mixed`: runs with other shares read one store and are judged on the same text.
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
    """The documents of `files`, then those of `general` whose `split` is train; `column` is the field of both."""

    name = "mixed"

    def __init__(self, files: str | Sequence[str], general: str | Sequence[str], column: str | None = None) -> None:
        self._own = Text(files, column)
        with of_general():
            self._general = Text(general, column)

    def check(self) -> None:
        """Raise InputError for files that are not there or that nothing here reads."""
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
        """Name the files."""
        own, general = self._own.facts(), self._general.facts()
        return {
            "source": f"{own['source']}; general text for training: {general['source']}",
            "licence": f"{own['licence']}; general text: {general['licence']}",
            "content": self.key(),
        }


def general_documents(text: Text) -> Iterator[Document]:
    """Yield the documents that are for training and hold a letter or digit, so that each has a token."""
    with of_general():
        for document in text.documents():
            if document.split is None:
                raise InputError(
                    f"data.general must say the split of every document, got none for {document.id}; write `split`, "
                    "train or test, into a .jsonl or .parquet file: what is not for training tells what is forgotten"
                )
            if document.split == TRAIN and any(map(str.isalnum, document.text)):
                yield document


@contextmanager
def of_general() -> Iterator[None]:
    """Have errors of the reader of files name the key of the general text."""
    try:
        yield
    except InputError as error:
        raise InputError(error.args[0].replace(own("files", "data"), own("general", "data"))) from error
