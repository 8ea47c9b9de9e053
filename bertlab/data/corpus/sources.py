"""The list of books: public git repositories, each at one commit, in `books.csv`.

From Standard Ebooks: novels and non-fiction in English, also translated, by authors and translators who died by 1955.
"""

import csv
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bertlab.data.corpus import eltec, standard_ebooks
from bertlab.data.corpus.book import Book
from bertlab.data.corpus.git import Repository, Tree

LIST = Path(__file__).with_name("books.csv")
READERS = {"COST-ELTeC": eltec.books, "standardebooks": standard_ebooks.books}  # by owner


@dataclass(frozen=True)
class Source:
    """A repository, its reader, and its approximate size."""

    repository: Repository
    books: Callable[[Repository, Tree], Iterator[Book]]
    megabytes: int


def listed(path: Path = LIST) -> list[Source]:
    """Return the sources in the order of the list; repeated text is kept from the first one."""
    with path.open(encoding="utf-8", newline="") as file:
        return [
            Source(
                Repository(row["repository"], row["commit"]),
                READERS[row["repository"].partition("/")[0]],
                int(row["megabytes"]),
            )
            for row in csv.DictReader(file)
        ]
