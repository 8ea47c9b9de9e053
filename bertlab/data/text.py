"""A user's own files as a corpus: text, JSON lines or Parquet, plain or compressed (.gz, .xz, .zst), read as streams.

.txt      documents are separated by a blank line; a document is one paragraph, its lines are joined by spaces
.jsonl    one object a line: `text` (paragraphs separated by a blank line), optional `split`, `id`, `source`, `license`
.parquet  the same as columns

Lines end as on any system: with a line feed, a carriage return, or both.
"""

import codecs
import json
import os
import re
import shutil
import stat
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from glob import glob
from io import StringIO, TextIOWrapper
from itertools import chain, groupby
from pathlib import Path
from typing import BinaryIO, cast

import pyarrow.parquet as pq

from bertlab.config.cache import digest
from bertlab.config.errors import InputError
from bertlab.config.errors import own as _key  # `own` is a variable in this module
from bertlab.data.compressed import OPENERS, decompressed, file_errors
from bertlab.data.content import content_hash
from bertlab.data.documents import SPLITS, Document

VERSION = "text-3"  # change it if the same files would give other documents
ABOUT = ("split", "id", "source", "license")
NAMED = 5  # at most, of many files, sources or licences
COMPRESSED = (b"\x1f\x8b", b"\xfd7zXZ", b"(\xb5/\xfd")  # first bytes of .gz, .xz, .zst
BATCH = 64  # rows of a Parquet file in memory at a time
LONGEST = 32 << 20  # bytes of a line or a document, several times the longest book; more is text without separators
SHOWN = 40  # characters of a wrong value shown in an error
State = tuple[int, int, int, int]  # of a file: size, change times (ns), inode
SURROGATE = re.compile("[\ud800-\udfff]")  # half a character: possible in JSON, impossible in UTF-8


class Text:
    """The documents of `files`: a path, a glob (`*`, `?`, `[]`, `**`) or a list of them; `~` is the home folder.

    `column` is the text field; None: `text`. A document without its own id is held out by a hash of its text, so
    neither the file's name nor the position in the file matters.
    """

    name = "text"

    def __init__(self, files: str | Sequence[str], column: str | None = None) -> None:
        given = [files] if isinstance(files, str) else files
        if not (isinstance(given, Sequence) and given and all(isinstance(one, str) for one in given)):
            raise InputError(
                f"{_key('files', 'data')} must be a path or a list of paths, got {files}; choose for example book.txt"
            )
        if not (column is None or (isinstance(column, str) and column)):
            raise InputError(
                f"{_key('column', 'data')} must be null or the name of the text's field, got {column!r}; give a name"
            )
        self.patterns, self.column = list(given), column or "text"
        self._seen: dict[Path, State | None] = {}  # the files' state when their key was computed

    def check(self) -> None:
        """Raise InputError for files that do not exist or cannot be read."""
        find(self.patterns)

    def key(self) -> str:
        """Hash of every file's name and bytes, independent of its folder and time."""
        files = find(self.patterns)
        self._seen = {path: state_of(path) for path in files}
        return digest(VERSION, self.column, [(path.name, _sha256(path)) for path in files])

    def documents(self) -> Iterator[Document]:
        """Yield the documents of one file after the other.

        Raises InputError with the file, and the line or row if there is one, for invalid content, and for a file that
        has changed since its key was computed.
        """
        try:
            yield from self._documents()
        except InputError:  # for example a truncated file, while another program writes it
            self._check_unchanged()
            raise
        self._check_unchanged()

    def _check_unchanged(self) -> None:
        """Raise InputError if files have changed since their key was computed."""
        for path, state in self._seen.items():
            if (now := state_of(path)) != state:
                raise InputError(
                    f"{_key('files', 'data')} must stay as they are while they are read, got {path}, which "
                    f"{'was removed' if now is None else 'changed'}; type the same command again when it is complete"
                )
        if new := [path for path in find(self.patterns) if path not in self._seen] if self._seen else []:
            raise InputError(
                f"{_key('files', 'data')} must stay as they are while they are read, got {new[0]}, which is new; type "
                "the same command again when all files are there"
            )

    def _documents(self) -> Iterator[Document]:
        names: Counter[str] = Counter()
        ids: set[int] = set()  # hashes, to save memory
        for path in find(self.patterns):
            names[path.name] += 1
            label = path.name if names[path.name] == 1 else f"{path.name}#{names[path.name]}"
            empty = True
            for document in READERS[form(path)](path, label, self.column):
                if document.has_id and hash(document.id) in ids:
                    raise InputError(
                        f"{path}: an id must occur once, got {_shown(document.id)} again; make the ids unique"
                    )
                if document.has_id:  # documents without an id are named by their place
                    ids.add(hash(document.id))
                empty = False
                yield document
            if empty:
                raise InputError(f"{path} must hold at least one document, got none; add text or leave the file out")

    def facts(self) -> dict[str, str]:
        """Return the names of the files, without folders, and the origins that their documents state."""
        sources, licences = Counter[str](), Counter[str]()
        for document in self.documents():
            sources[document.source] += 1
            licences[document.licence] += 1
        del sources[""], licences[""]  # documents without these fields
        names = [path.name for path in find(self.patterns)]
        more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
        said = f", documents of {_counted(sources)}" if sources else ""
        return {
            "source": f"the user's files: {', '.join(names[:NAMED])}{more}{said}",
            "licence": _counted(licences) or "whatever the files' owner has set",
            "content": self.key(),
        }


def state_of(path: Path) -> State | None:
    """Return the state of a file, to see changes without reading it; None if it does not exist."""
    try:
        about = path.stat()
    except OSError:
        return None
    return about.st_size, about.st_mtime_ns, about.st_ctime_ns, about.st_ino


def _counted(named: Counter[str]) -> str:
    """List names with the number of their documents, the most frequent first."""
    most = [f"{name} ({count:,})" for name, count in named.most_common(NAMED)]
    return ", ".join([*most, *([f"{len(named) - NAMED} more"] if len(named) > NAMED else [])])


def find(patterns: Sequence[str]) -> list[Path]:
    """Return the files of paths and globs, each once: in the given order, those of a glob sorted.

    Raises InputError for a pattern without a match, a folder, or an unknown suffix.
    """
    found: dict[Path, Path] = {}
    for pattern in patterns:
        for path in matches(pattern):
            if path.is_dir():
                raise InputError(
                    f"{_key('files', 'data')} must name files, got the folder {path}; choose for example {path}/*.txt"
                )
            form(path)
            with file_errors(path):
                if not stat.S_ISREG(path.stat().st_mode):  # reading a pipe or a device may never end
                    raise InputError(
                        f"{_key('files', 'data')} must name files, got {path}, which is none; choose another"
                    )
            found.setdefault(path.resolve(), path)
    return list(found.values())


def matches(pattern: str) -> list[Path]:
    """Return the file of that name or, sorted, those that the glob matches. Raises InputError if there is none."""
    plain = os.path.expanduser(pattern)  # noqa: PTH111 - that of Path raises for a user it does not know
    with file_errors(Path(plain)):
        if Path(plain).exists():
            return [Path(plain)]
    if names := sorted(glob(plain, recursive=True)):  # noqa: PTH207 - that of Path takes no absolute pattern
        return [Path(name) for name in names]
    raise InputError(
        f"{_key('files', 'data')} must name files that are there, got {pattern!r}, which matches none; check the path"
    )


def form(path: Path) -> str:
    """Return the suffix that says how to read a file, without the suffix of its compression."""
    suffix = (path.with_suffix("") if path.suffix in OPENERS else path).suffix
    if suffix not in READERS:
        accepted = f"{', '.join(READERS)}, each plain or with {', '.join(OPENERS)}"
        raise InputError(f"{_key('files', 'data')} must end in {accepted}; got {path}; rename or convert it")
    return suffix


def _sha256(path: Path) -> str:
    with file_errors(path):
        return content_hash(path)


def read_txt(path: Path, label: str, column: str) -> Iterator[Document]:
    """Yield each block of lines between blank lines."""
    if column != "text":
        raise InputError(
            f"{_key('column', 'data')} must be text where a file has no fields, got {column!r} for {path}; leave it out"
        )
    for blank, block in groupby(lines(path), key=lambda numbered: not numbered[1]):
        if not blank:
            first, line = next(block)
            text = StringIO()  # a list of many short lines takes thirty times their memory
            text.write(line)
            for number, more in block:
                if text.tell() + len(more) > LONGEST:
                    raise _too_long(f"{path}, line {number}: a document", "separate documents by a blank line")
                text.write(f" {more}")
            yield Document(f"{label}:{first}", text.getvalue(), has_id=False)


def read_jsonl(path: Path, label: str, column: str) -> Iterator[Document]:
    """Yield the object of each non-blank line."""
    for number, line in lines(path):
        if not line:
            continue
        try:
            record = json.loads(line, object_pairs_hook=_each_once)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{path}, line {number}: must be one JSON object, got an error: {error}") from error
        if not isinstance(record, dict):
            raise InputError(f'{path}, line {number}: must be a JSON object like {{"text": "..."}}, got {line[:SHOWN]}')
        yield as_document(record, column, f"{path}, line {number}", f"{label}:{number}")


def _each_once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    record = dict(pairs)
    if len(record) < len(pairs):
        twice = Counter(name for name, _ in pairs).most_common(1)[0][0]
        raise ValueError(f"the field {_shown(twice)} is there more than once")
    return record


def read_parquet(path: Path, label: str, column: str) -> Iterator[Document]:
    """Yield each row; a compressed file is first unpacked to a temporary one, because Parquet is read from its end."""
    with decompressed(path) as stream, tempfile.TemporaryFile() as unpacked:
        if path.suffix in OPENERS:
            shutil.copyfileobj(stream, unpacked)
        table = pq.ParquetFile(unpacked if path.suffix in OPENERS else stream)
        columns = table.schema_arrow.names
        if column not in columns:
            raise InputError(
                f"{path} must have a column `{column}`, got {', '.join(columns)}; name that of the text "
                f"by {_key('column', 'data')}"
            )
        batches = table.iter_batches(BATCH, columns=[name for name in (column, *ABOUT) if name in columns])
        for number, record in enumerate(chain.from_iterable(batch.to_pylist() for batch in batches), 1):
            yield as_document(record, column, f"{path}, row {number}", f"{label}:{number}")


READERS: dict[str, Callable[[Path, str, str], Iterator[Document]]] = {
    ".txt": read_txt,
    ".jsonl": read_jsonl,
    ".parquet": read_parquet,
}


def lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the number and the text of each line of a UTF-8 file, stripped of white space."""
    with decompressed(path) as stream:
        # decode as Latin-1, one letter per byte, so that Python's line reader finds every kind of line end
        text = TextIOWrapper(cast("BinaryIO", stream), "latin-1", newline=None)
        for number, letters in enumerate(iter(lambda: text.readline(LONGEST + 1), ""), 1):
            line = letters.encode("latin-1")
            if len(line) > LONGEST:
                raise _too_long(f"{path}, line {number}: a line", "break it up")
            if number == 1 and line.startswith(COMPRESSED):
                raise InputError(f"{path} must end as it is compressed ({', '.join(OPENERS)}), got none; rename it")
            if b"\0" in line:
                raise InputError(f"{path}, line {number}: must be UTF-8 text, got a NUL byte; convert the file")
            try:
                yield number, (line.removeprefix(codecs.BOM_UTF8) if number == 1 else line).decode().strip()
            except UnicodeDecodeError as error:
                raise InputError(f"{path}, line {number}: must be UTF-8 text, got {error}; convert the file") from error


def as_document(record: Mapping[str, object], column: str, place: str, place_id: str) -> Document:
    """Check one record; `place` is its place for errors, `place_id` its id if it has none."""
    text, split, id_, *about = (record.get(field) for field in (column, *ABOUT))
    if not isinstance(text, str):
        there = f", and the fields {_shown(', '.join(record))}" if column not in record else ""
        raise InputError(
            f"{place}: `{column}` must be a string, got {_shown(text)}{there}; add it, leave the record out, or name "
            f"the field of the text by {_key('column', 'data')}"
        )
    if len(text) > LONGEST:
        raise _too_long(f"{place}: `{column}`", "make several documents of it")
    if SURROGATE.search(text):
        raise InputError(f"{place}: `{column}` must be whole characters, got half of a surrogate pair; repair the text")
    if split is not None and split not in SPLITS:
        raise InputError(f"{place}: `split` must be {', '.join(SPLITS)} or absent, got {_shown(split)}; rename it")
    if id_ is not None and (isinstance(id_, bool) or not isinstance(id_, str | int)):
        raise InputError(f"{place}: `id` must be a string or an integer, got {_shown(id_)}; change it or leave it out")
    source, licence = (value if isinstance(value, str) else "" for value in about)
    own, lines = place_id if id_ is None else str(id_), text.replace("\r\n", "\n").replace("\r", "\n")
    return Document(own, lines, split, source, licence, has_id=id_ is not None)


def _shown(value: object) -> str:
    """Return a short form of a value for an error."""
    written = repr(value)
    return written if len(written) <= SHOWN else f"{written[:SHOWN]}..."


def _too_long(what: str, remedy: str) -> InputError:
    return InputError(f"{what} must hold at most {LONGEST >> 20} MiB, got more; {remedy}")
