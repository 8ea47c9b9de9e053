"""The code that a run uses, and its fingerprint.

Enters: the parts that a configuration names. Leaves: the definitions (functions, classes, constants) that they can
reach, hashed as parsed code. What cannot change a result is ignored: comments, docstrings, type hints of functions, the
text of errors and log messages, the order of imports, and which module contains a definition. So a better sentence, a
moved module or a new module that runs do not use keeps earlier runs valid.

A definition reaches what it names: definitions of its own module, and what was imported from bertlab, at the top of the
module or inside a function. Objects that are passed around were made by something that names their class. Only modules
that can change a result are followed. In a user's own folder (bertlab/config/own.py) whole modules are followed: those
of the parts that a run uses and everything that these import.
"""

import ast
import hashlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import chain
from pathlib import Path

from bertlab.identity.definitions import ALL, EFFECT, ROOT, Definition, Import, Module, Place, bound_by, read_module

PACKAGE = Path(__file__).parents[1]
RESULT_ROOMS = ("data", "tasks", "mask", "model", "objective", "optim", "evaluation", "train")
RESULT_MODULES = ("streams.py", "tracking/checkpoint.py", "sweep/run.py")
STEPS = (  # of every run with any configuration
    "bertlab.sweep.run.prepare_job",
    "bertlab.sweep.run.fit",
    "bertlab.tracking.checkpoint.save_checkpoint",
    "bertlab.tracking.checkpoint.newest_checkpoint",
)


@dataclass(frozen=True)
class Code:
    """The code that a run uses: one hash of all, and one for the used part of each module."""

    fingerprint: str
    modules: Mapping[str, str]


class Sources:
    """The modules of a package as they are on disk at construction; each is parsed at its first use."""

    def __init__(self, package: Path = PACKAGE) -> None:
        self.files = {path.relative_to(package): path.read_bytes() for path in result_modules(package)}
        self._texts = {
            ".".join([ROOT, *path.with_suffix("").parts]).removesuffix(".__init__"): text
            for path, text in self.files.items()
        }
        self._read: dict[str, Module] = {}

    def used_by(self, targets: Collection[str]) -> Code:
        """Return the code that some definitions reach; each is given as `package.module.name`."""
        modules: dict[str, list[str]] = {}
        for place in sorted(self.reached_from(targets)):
            bound = sorted(set(self._bound(place)))
            modules.setdefault(place[0], []).append(_digest(self._definition(place).content, *bound))
        own = {module: _digest(*sorted(contents)) for module, contents in modules.items()}
        return Code(_digest(*sorted(chain.from_iterable(modules.values()))), own)

    def reached_from(self, targets: Collection[str]) -> set[Place]:
        """Return the places of all definitions that some definitions can reach, including themselves.

        Raises LookupError for one that is in no module that can change a result.
        """
        found, waiting = set[Place](), list[Place]()
        for target in targets:
            places = self._find(*target.rsplit(".", 1))
            if not places:
                raise LookupError(f"{target} is not defined in a module that can change a result")
            waiting += places
        for module in self._own_modules(targets):
            waiting += self._find(module, ALL)
            waiting += chain.from_iterable(self._find(*place) for place in self._imported_by(module))
        while waiting:
            place = waiting.pop()
            if place not in found:
                found.add(place)
                waiting += [other for _, other in self._reached(place)]
        return found

    def _own_modules(self, targets: Collection[str]) -> set[str]:
        """Return the modules of a user's folder that run when some parts are imported."""
        found, waiting = set[str](), [target.rpartition(".")[0] for target in targets if not _is_ours(target)]
        while waiting:
            name = waiting.pop()
            if name not in found and not _is_ours(name) and self._source(name):
                found.add(name)
                waiting.append(name.rpartition(".")[0])  # a package runs before its modules
                for place in self._imported_by(name):
                    waiting += [place[0], ".".join(place)]
        return found

    def _imported_by(self, module: str) -> list[Place]:
        """Return everything that a module of a user's folder imports anywhere from that folder and from bertlab."""
        source = self._source(module)
        assert source is not None
        statements = [node for node in ast.walk(ast.parse(source[0])) if isinstance(node, Import)]
        return [place for _, place in bound_by(statements, source[1]) if isinstance(place, tuple)]

    def _source(self, module: str) -> tuple[bytes, str] | None:
        """Return the text of a module and the package of its relative imports; None for a module of another project."""
        if _is_ours(module):
            return (self._texts[module], ROOT) if module in self._texts else None
        from bertlab.config.own import source_of  # only for runs that use a user's folder

        source = source_of(module)
        return None if source is None else (source.text, source.package)

    def _definition(self, place: Place) -> Definition:
        return self._module(place[0]).definitions[place[1]]

    def _module(self, name: str) -> Module:
        if name not in self._read:
            source = self._source(name)
            assert source is not None
            self._read[name] = read_module(*source)
        return self._read[name]

    def _find(self, module: str, name: str) -> list[Place]:
        """Return where a name of a module is defined, through modules that re-export it; empty for other projects."""
        if self._source(module) is None:
            return []
        defined, imports = self._module(module).definitions, self._module(module).imports
        if name == ALL:
            return [(module, each) for each in defined]
        if name in defined:
            return [(module, each) for each in (name, EFFECT) if each in defined]
        if isinstance(passed := imports.get(name), tuple):
            return self._find(*passed)
        return self._find(f"{module}.{name}", ALL)  # a module that is used as a value

    def _reached(self, place: Place) -> Iterator[tuple[str, Place]]:
        """Yield what a definition names and where that is defined, if it is our code."""
        definition, module = self._definition(place), self._module(place[0])
        for name in definition.names:
            plain, _, attribute = name.partition(".")
            bound = definition.imports.get(plain, module.imports.get(plain))
            if isinstance(bound, tuple):
                inner = ".".join(bound)  # only this attribute of an imported module is used
                if self._source(inner) is None:
                    yield from ((plain, other) for other in self._find(*bound))
                elif attribute or not any(other.startswith(f"{plain}.") for other in definition.names):
                    yield from ((name, other) for other in self._find(inner, attribute or ALL))
            elif bound is None and plain in module.definitions:
                yield from ((plain, other) for other in self._find(place[0], plain) if other != place)

    def _bound(self, place: Place) -> Iterator[str]:
        """Yield what every name means: its code if it is ours, else its full name."""
        definition, module = self._definition(place), self._module(place[0])
        for name, other in self._reached(place):
            yield f"{name} {_digest(self._definition(other).content)}"
        for name in definition.names:
            if isinstance(bound := definition.imports.get(name, module.imports.get(name)), str):
                yield f"{name} {bound}"


def _is_ours(name: str) -> bool:
    return name.partition(".")[0] == ROOT


def result_modules(package: Path = PACKAGE) -> list[Path]:
    """Return the files of every module of a package that can change a result."""
    paths = [package / name for name in RESULT_MODULES]
    return sorted(paths + [path for room in RESULT_ROOMS for path in (package / room).rglob("*.py")])


_RUNNING = Sources()  # at import: this process does not run later edits on disk


@cache
def code_of(targets: frozenset[str]) -> Code:
    """Return the code that this process runs for a configuration with these parts."""
    return _RUNNING.used_by((*STEPS, *targets))


@cache
def source_hash() -> str:
    """Hash the bytes of every module that can change a result, as code was identified in earlier versions."""
    total = hashlib.sha256()
    for path, text in _RUNNING.files.items():
        total.update(f"{path.as_posix()} {hashlib.sha256(text).hexdigest()}\n".encode())
    return total.hexdigest()[:16]


def _digest(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
