"""A user's own files as a corpus: text, JSON lines or Parquet, plain or compressed (.gz, .xz, .zst), read as streams.

.txt      documents are separated by a blank line; a document is one paragraph, its lines are joined by spaces
.jsonl    one object a line: `text` (paragraphs separated by a blank line), optional `split`, `id`, `source`, `license`
.parquet  the same as columns
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
from itertools import chain, groupby
from pathlib import Path

import pyarrow.parquet as pq

from bertlab.cache import digest
from bertlab.data.compressed import OPENERS, decompressed, file_errors
from bertlab.data.content import content_hash
from bertlab.data.documents import SPLITS, Document
from bertlab.errors import InputError

VERSION = "text-2"  # change it whenever the same files would give other documents
FIELDS = ("text", "split", "id", "source", "license")
NAMED = 5  # of many files, sources or licences
BATCH = 64  # rows of a Parquet file in memory at a time
LONGEST = 32 << 20  # bytes of a line or a document, several of the longest books; more is text that nothing separates
SURROGATE = re.compile("[\ud800-\udfff]")  # half a character, which JSON can express and UTF-8 cannot


class Text:
    """The documents of `files`: a path, a glob (`*`, `?`, `[]`, `**`) or a list of them; `~` is the home folder."""

    name = "text"

    def __init__(self, files: str | Sequence[str]) -> None:
        given = [files] if isinstance(files, str) else files
        if not (isinstance(given, Sequence) and given and all(isinstance(one, str) for one in given)):
            raise InputError(f"data.files must be a path or a list of paths, got {files}; choose for example book.txt")
        self.patterns = list(given)

    def check(self) -> None:
        """Raise InputError for files that are not there or that nothing here reads."""
        find(self.patterns)

    def key(self) -> str:
        """Hash of every file's name and bytes, whatever folder they are in and whenever they were written."""
        return digest(VERSION, [(path.name, _sha256(path)) for path in find(self.patterns)])

    def documents(self) -> Iterator[Document]:
        """Yield the documents of one file after the other.

        Raises InputError that names the file, and the line or row where there is one, if anything is wrong with it.
        """
        names: Counter[str] = Counter()
        ids: set[int] = set()  # hashes, to spare memory
        for path in find(self.patterns):
            names[path.name] += 1
            label = path.name if names[path.name] == 1 else f"{path.name}#{names[path.name]}"
            known = len(ids)
            for document in READERS[form(path)](path, label):
                if hash(document.id) in ids:
                    raise InputError(f"{path}: an id must occur once, got {document.id!r} again; make the ids unique")
                ids.add(hash(document.id))
                yield document
            if len(ids) == known:
                raise InputError(f"{path} must hold at least one document, got none; add text or leave the file out")

    def facts(self) -> dict[str, str]:
        """Name the files, without their folders, and what their documents say of where they are from."""
        names = [path.name for path in find(self.patterns)]
        more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
        documents = [(document.source, document.licence) for document in self.documents()]
        sources, licences = (Counter(filter(None, values)) for values in zip(*documents, strict=True))
        said = f", documents of {_counted(sources)}" if sources else ""
        return {
            "source": f"the user's files: {', '.join(names[:NAMED])}{more}{said}",
            "licence": _counted(licences) or "whatever the files' owner has set",
            "content": self.key(),
        }


def _counted(named: Counter[str]) -> str:
    """List names with the number of their documents, the most frequent first."""
    most = [f"{name} ({count:,})" for name, count in named.most_common(NAMED)]
    return ", ".join([*most, *([f"{len(named) - NAMED} more"] if len(named) > NAMED else [])])


def find(patterns: Sequence[str]) -> list[Path]:
    """Return the files that the paths and globs name, each once: in the order given, those of a glob sorted.

    Raises InputError for a pattern that matches nothing, a folder, or a suffix that is not known.
    """
    found: dict[Path, Path] = {}
    for pattern in patterns:
        for path in matches(pattern):
            if path.is_dir():
                raise InputError(f"data.files must name files, got the folder {path}; choose for example {path}/*.txt")
            form(path)
            with file_errors(path):
                if not stat.S_ISREG(path.stat().st_mode):  # a pipe or a device may never end
                    raise InputError(f"data.files must name files, got {path}, which is none; choose another")
            found.setdefault(path.resolve(), path)
    return list(found.values())


def matches(pattern: str) -> list[Path]:
    """Return the file of that name or, sorted, those that the glob matches. Raises InputError when there is none."""
    plain = os.path.expanduser(pattern)  # noqa: PTH111 - that of Path raises for a user it does not know
    with file_errors(Path(plain)):
        if Path(plain).exists():
            return [Path(plain)]
    if names := sorted(glob(plain, recursive=True)):  # noqa: PTH207 - that of Path takes no absolute pattern
        return [Path(name) for name in names]
    raise InputError(f"data.files must name files that are there, got {pattern!r}, which matches none; check the path")


def form(path: Path) -> str:
    """Return the suffix that says how to read a file, without that of its compression."""
    suffix = (path.with_suffix("") if path.suffix in OPENERS else path).suffix
    if suffix not in READERS:
        accepted = f"{', '.join(READERS)}, each plain or with {', '.join(OPENERS)}"
        raise InputError(f"data.files must end in {accepted}; got {path}; rename or convert it")
    return suffix


def _sha256(path: Path) -> str:
    with file_errors(path):
        return content_hash(path)


def read_txt(path: Path, label: str) -> Iterator[Document]:
    """Yield each block of lines that stands between blank lines."""
    for blank, block in groupby(lines(path), key=lambda numbered: not numbered[1]):
        if not blank:
            numbered = list(_within_limit(block, path))
            yield Document(f"{label}:{numbered[0][0]}", " ".join(line for _, line in numbered))


def _within_limit(block: Iterator[tuple[int, str]], path: Path) -> Iterator[tuple[int, str]]:
    length = 0
    for number, line in block:
        length += len(line)
        if length > LONGEST:
            raise _too_long(f"{path}, line {number}: a document", "separate documents by a blank line")
        yield number, line


def read_jsonl(path: Path, label: str) -> Iterator[Document]:
    """Yield the object of each line that is not blank."""
    for number, line in lines(path):
        if not line:
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{path}, line {number}: must be one JSON object, got an error: {error}") from error
        if not isinstance(record, dict):
            raise InputError(f'{path}, line {number}: must be a JSON object like {{"text": "..."}}, got {line[:40]}')
        yield as_document(record, f"{path}, line {number}", f"{label}:{number}")


def read_parquet(path: Path, label: str) -> Iterator[Document]:
    """Yield each row; a compressed file is first unpacked into a temporary one, as Parquet is read from its end."""
    with decompressed(path) as stream, tempfile.TemporaryFile() as unpacked:
        if path.suffix in OPENERS:
            shutil.copyfileobj(stream, unpacked)
        table = pq.ParquetFile(unpacked if path.suffix in OPENERS else stream)
        columns = table.schema_arrow.names
        if "text" not in columns:
            raise InputError(
                f"{path} must have a column `text`, got {', '.join(columns)}; rename the column of the text"
            )
        batches = table.iter_batches(BATCH, columns=[name for name in FIELDS if name in columns])
        for number, record in enumerate(chain.from_iterable(batch.to_pylist() for batch in batches), 1):
            yield as_document(record, f"{path}, row {number}", f"{label}:{number}")


READERS: dict[str, Callable[[Path, str], Iterator[Document]]] = {
    ".txt": read_txt,
    ".jsonl": read_jsonl,
    ".parquet": read_parquet,
}


def lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the number and the text of each line of a UTF-8 file, without the white space around it."""
    with decompressed(path) as stream:
        for number, line in enumerate(iter(lambda: stream.readline(LONGEST + 1), b""), 1):
            if len(line) > LONGEST:
                raise _too_long(f"{path}, line {number}: a line", "break it up")
            if b"\0" in line:
                raise InputError(f"{path}, line {number}: must be UTF-8 text, got a NUL byte; convert the file")
            try:
                yield number, (line.removeprefix(codecs.BOM_UTF8) if number == 1 else line).decode().strip()
            except UnicodeDecodeError as error:
                raise InputError(f"{path}, line {number}: must be UTF-8 text, got {error}; convert the file") from error


def as_document(record: Mapping[str, object], place: str, place_id: str) -> Document:
    """Check one record; `place` (for errors) says where it is, `place_id` is its id when it brings none."""
    text, split, id_, *about = (record.get(field) for field in FIELDS)
    if not isinstance(text, str):
        raise InputError(f"{place}: `text` must be a string, got {text!r}; add it or leave the record out")
    if len(text) > LONGEST:
        raise _too_long(f"{place}: `text`", "make several documents of it")
    if SURROGATE.search(text):
        raise InputError(f"{place}: `text` must be whole characters, got half of a surrogate pair; repair the text")
    if split is not None and split not in SPLITS:
        raise InputError(f"{place}: `split` must be {', '.join(SPLITS)} or absent, got {split!r}; rename it")
    if id_ is not None and not isinstance(id_, str | int):
        raise InputError(f"{place}: `id` must be a string or an integer, got {id_!r}; change it or leave it out")
    source, licence = (value if isinstance(value, str) else "" for value in about)
    return Document(place_id if id_ is None else str(id_), text.replace("\r\n", "\n"), split, source, licence)


def _too_long(what: str, remedy: str) -> InputError:
    return InputError(f"{what} must hold at most {LONGEST >> 20} MiB, got more; {remedy}")
