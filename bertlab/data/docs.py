"""The corpus that needs no download: English prose from docstrings of installed Python packages.

Enters: the source files of the Python standard library and of the distributions that bertlab needs at run time; they
are parsed with `ast`, never imported. Leaves: one document per docstring of two sentences or more, as next-sentence
prediction needs. A repeated paragraph is kept only once. The same versions give the same documents in the same order.
"""

import ast
import gc
import gzip
import json
import platform
import re
import sysconfig
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from itertools import chain
from pathlib import Path, PurePath

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from bertlab import DISTRIBUTION
from bertlab.config.cache import cached, digest
from bertlab.config.errors import InputError
from bertlab.data.docstrings import count_sentences, prose
from bertlab.data.documents import Document

VERSION = "docs-1"  # change it if the same packages would give other documents
FILE = "documents.jsonl.gz"
FEWEST_SENTENCES = 2
DEFINITION = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
NOT_LIBRARY = frozenset(("test", "tests", "conftest", "idle_test", "lib2to3", "turtledemo"))

# Parsing takes most of the time, and most source text is not prose. So a top-level definition is parsed only if it
# has a sentence boundary per 1,500 bytes: half of the bytes, 95 % of the boundaries (measured on 195 MB).
TOP_LEVEL = re.compile(rb"^(?=@|class |def |async def )", re.M)
BOUNDARY = re.compile(rb"\.\s+[A-Z][a-z ]")
BYTES_PER_BOUNDARY = 1500

Source = tuple[str, Path]  # dotted name of a module, its file
Prose = tuple[str, list[str]]  # module:name of the documented object, its paragraphs
TOGETHER = 64  # files that a process reads at a time


class Docs:
    """Docstrings of the standard library and of the run-time dependencies of the distribution `root`."""

    name = "docs"

    def __init__(self, root: str = DISTRIBUTION) -> None:
        self.root = root

    def key(self) -> str:
        """Hash of the extraction code's and Python's version and of the name and version of every distribution."""
        return digest(VERSION, platform.python_version(), versions(self.root))

    def documents(self) -> Iterator[Document]:
        """Yield the documents; the first call extracts them, in about half a minute, and keeps them in the cache."""
        entry = cached("corpora", self.key(), self._harvest)
        with gzip.open(entry / FILE, "rt", encoding="utf-8") as lines:
            for line in lines:
                yield Document(**json.loads(line))

    def facts(self) -> dict[str, str]:
        """Return the sources and their licences."""
        count = len(versions(self.root))
        return {
            "source": f"docstrings of Python {platform.python_version()} and of {count} distributions that {self.root}"
            " needs at run time, cleaned to English prose",
            "licence": "each docstring is under the licence of its package (mostly BSD, MIT, Apache-2.0, PSF-2.0)",
            "content": self.key(),
        }

    def _harvest(self, folder: Path) -> None:
        sources = [*library_sources(), *distribution_sources(dependencies(self.root))]
        with (folder / FILE).open("wb") as file, gzip.GzipFile("", "wb", 6, file, mtime=0) as out:
            for document in harvest(sources):
                out.write(json.dumps({"id": document.id, "text": document.text}).encode() + b"\n")


@cache
def versions(root: str) -> list[tuple[str, str]]:
    """Return name and version of every dependency of `root`; cached, because every run asks."""
    return [(found.name, found.version) for found in dependencies(root)]


def dependencies(root: str) -> list[Distribution]:
    """Return the distributions that `root` requires, at any depth, without optional extras, sorted by name.

    Raises InputError if `root` itself is not installed.
    """
    found: dict[str, Distribution] = {}
    names = [root]
    while names:
        name = canonicalize_name(names.pop())
        with suppress(PackageNotFoundError):  # a requirement may be missing, on purpose or on this platform
            if name not in found:
                found[name] = distribution(name)
                names += required_names(found[name])
    if canonicalize_name(root) not in found:
        raise InputError(f"data=docs must find the installed distribution {root!r}, got none; run: pip install -e .")
    del found[canonicalize_name(root)]
    return [found[name] for name in sorted(found)]


def required_names(of: Distribution) -> list[str]:
    """Return the names that a distribution requires on this platform without its extras."""
    requirements = map(Requirement, of.requires or [])
    return [one.name for one in requirements if one.marker is None or one.marker.evaluate({"extra": ""})]


def library_sources() -> list[Source]:
    """List the modules of the standard library."""
    root = Path(sysconfig.get_paths()["stdlib"])
    return modules((path.relative_to(root), path) for path in sorted(root.rglob("*.py")))


def distribution_sources(distributions: Iterable[Distribution]) -> list[Source]:
    """List the modules that the distributions installed, in the order given."""
    return modules(
        (PurePath(file), Path(str(file.locate())))
        for found in distributions
        for file in sorted(found.files or [])
        if file.suffix == ".py"
    )


def modules(files: Iterable[tuple[PurePath, Path]]) -> list[Source]:
    """Return the module name of each file, each once; without scripts, tests and folders that cannot be imported."""
    found: dict[str, Path] = {}
    for relative, path in files:
        parts = relative.with_suffix("").parts
        if (
            all(map(str.isidentifier, parts))
            and not NOT_LIBRARY & set(parts)
            and not parts[-1].startswith("test_")
            and path.is_file()
        ):
            found.setdefault(".".join(parts[:-1] if parts[-1] == "__init__" else parts), path)
    return list(found.items())


def harvest(sources: Iterable[Source]) -> Iterator[Document]:
    """Yield the documents of the modules, without paragraphs of earlier documents (compared in lower case)."""
    paragraphs: set[str] = set()
    names: Counter[str] = Counter()
    for name, texts in read(list(sources)):
        new = {text.lower(): text for text in texts if text.lower() not in paragraphs}
        if sum(map(count_sentences, new.values())) >= FEWEST_SENTENCES:
            paragraphs.update(new)
            names[name] += 1  # overloads and property setters share a name
            yield Document(name if names[name] == 1 else f"{name}#{names[name]}", "\n\n".join(new.values()))


def read(sources: Sequence[Source]) -> Iterator[Prose]:
    """Yield the prose of every docstring in the order of the sources; uses one process per core."""
    from joblib import Parallel, cpu_count, delayed  # takes 0.2 s; do not delay input errors

    parts = [sources[start : start + TOGETHER] for start in range(0, len(sources), TOGETHER)]
    processes = min(cpu_count(), len(parts)) or 1
    yield from chain.from_iterable(Parallel(processes, return_as="generator")(map(delayed(read_part), parts)))


def read_part(sources: Sequence[Source]) -> list[Prose]:
    """Return the prose of every docstring of some modules."""
    with fast_and_quiet():
        return [
            (f"{module}:{name}", prose(docstring))
            for module, path in sources
            for name, docstring in docstrings(path.read_bytes())
        ]


def docstrings(source: bytes) -> list[tuple[str, str]]:
    """Return the qualified name ("" for the module) and docstring of each definition; [] for invalid files."""
    kept = (part for part in TOP_LEVEL.split(source) if len(BOUNDARY.findall(part)) * BYTES_PER_BOUNDARY > len(part))
    for text in (b"".join(kept), source):  # parse the whole file if a cut went through a string
        with suppress(SyntaxError, ValueError, RecursionError):
            return list(_docstrings(ast.parse(text), ""))
    return []


def _docstrings(node: ast.AST, name: str) -> Iterator[tuple[str, str]]:
    if isinstance(node, ast.Module | DEFINITION) and (docstring := ast.get_docstring(node, clean=False)):
        yield name, docstring
    for child in getattr(node, "body", ()):
        inner = f"{name}.{child.name}".lstrip(".") if isinstance(child, DEFINITION) else name
        yield from _docstrings(child, inner)


@contextmanager
def fast_and_quiet() -> Iterator[None]:
    """Silence compiler warnings about other people's files, and disable the garbage collector for syntax trees."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        if enabled:
            gc.enable()
