"""Fetch and build a corpus, once: `bertlab corpus books [yes=true] [mirror=FOLDER]`.

  books          novels and non-fiction in English from public git repositories, for data=books
  yes=true       fetch without asking
  mirror=FOLDER  fetch nothing: read git folders or checkouts at FOLDER/<owner>/<name>, or <name>.git

  bertlab corpus books yes=true

Fetched files stay in the cache folder (BERTLAB_CACHE, else ~/.cache/bertlab), so the same command continues after an
interruption. docs/books.md names every book, its source and its licence.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bertlab.config.arguments import ANSWERED, parse
from bertlab.config.cache import cache_root
from bertlab.config.error_messages import one_line_errors
from bertlab.config.errors import InputError
from bertlab.data.books import MEGABYTES
from bertlab.data.corpus.books import made
from bertlab.data.corpus.git import HOST, Tree, fetched, mirrored
from bertlab.data.corpus.sources import Source, listed

DEFAULTS = {"yes": "false", "mirror": None}
PLAN = """\
books: novels and non-fiction in English from {count} public git repositories of {host}:
  COST-ELTeC/ELTeC-eng (texts in the public domain, markup CC BY 4.0) and {ebooks} of Standard Ebooks (texts in the
  public domain in the US, editions CC0 1.0); docs/books.md lists them with their commits
fetched are about {megabytes:,} MB, into {folder}, from which they may be removed afterwards
the corpus takes {corpus} MB of the cache"""


def main(words: Sequence[str]) -> None:
    """Run the command."""
    with one_line_errors():
        name, *rest = words or [""]
        arguments = parse(DEFAULTS, __doc__, [name] if name in ANSWERED else rest)
        if name != "books":
            raise InputError(f"the corpus must be books, got {name or 'nothing'}; type bertlab corpus books")
        print(build(arguments))  # noqa: T201


def build(arguments: dict[str, Any]) -> str:
    """Build the corpus unless it exists; return a message with its place. Raises InputError."""
    sources, mirror = listed(), arguments["mirror"]
    if mirror is None:
        missing = [source for source in sources if not source.repository.is_in(sources_folder())]
        if missing:
            ask(missing, arguments["yes"])
        folder = made(sources, _fetched)
    else:
        folder = made(sources, lambda source: mirrored(source.repository, Path(mirror).expanduser()))
    return f"the corpus is in {folder}; train on it with data=books"


def sources_folder() -> Path:
    """Return the folder of fetched repositories."""
    return cache_root() / "repositories"


def ask(sources: list[Source], yes: str) -> None:
    """Show what will be fetched, and ask unless `yes`. Raises InputError for any answer except yes."""
    if yes not in ("true", "false"):
        raise InputError(f"yes must be true or false, got {yes}; choose one")
    print(  # noqa: T201
        PLAN.format(
            count=len(sources),
            host=HOST,
            ebooks=sum(source.repository.name.startswith("standardebooks/") for source in sources),
            megabytes=sum(source.megabytes for source in sources),
            folder=sources_folder(),
            corpus=MEGABYTES,
        )
    )
    try:
        agreed = yes == "true" or input("fetch them? [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        agreed = False
    if not agreed:
        raise InputError("books are fetched once that is agreed to, got no; say yes=true, or mirror=FOLDER")


def _fetched(source: Source) -> Tree:
    print(f"{source.repository.name}: about {source.megabytes} MB", flush=True)  # noqa: T201
    return fetched(source.repository, source.repository.place(sources_folder()))
