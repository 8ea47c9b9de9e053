"""The code that a run uses, and its fingerprint.

Enters: the parts that a configuration names. Leaves: the definitions (functions, classes, constants) that can be
reached from them, hashed as parsed code. What cannot change a result does not count: comments, docstrings, hints of
functions, the words of errors and of the log, the order of imports, and the module that holds a definition. So a
better sentence or a moved module keeps the runs that were made before it, and so does a new module that they do not
use.

A definition reaches what it names: definitions of its own module, and what was imported from bertlab, at the top of the
module or inside a function. Objects that are passed around were made by something that names their class. Only modules
that can change a result are followed. Of a person's own folder (bertlab/config/own.py) whole modules are followed:
those of the parts that a run uses and all that these import.
"""

import ast
import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import resolve_name
from itertools import chain
from pathlib import Path

PACKAGE = Path(__file__).parents[1]
ROOT = "bertlab"
RESULT_ROOMS = ("data", "tasks", "mask", "batch", "model", "objective", "optim", "evaluation", "train")
RESULT_MODULES = ("streams.py", "ledger/checkpoint.py", "sweep/run.py")
STEPS = (  # of every run, whatever its configuration
    "bertlab.sweep.run.prepare_job",
    "bertlab.sweep.run.fit",
    "bertlab.ledger.checkpoint.save_checkpoint",
    "bertlab.ledger.checkpoint.newest_checkpoint",
)
EFFECT = ""  # the name of statements that bind none; they belong to every definition of their module
ALL = "*"
SKIPPED = ("ctx", "kind", "type_comment", "type_params", "type_ignores", "returns", "annotation")  # fields of nodes
HINTS_THAT_ACT = ("ClassVar", "InitVar", "KW_ONLY")  # in a dataclass

Place = tuple[str, str]  # a module and a name in it
Import = ast.Import | ast.ImportFrom
Imports = Mapping[str, Place | str]  # by local name: a place of ours, or the full name of a thing of others


@dataclass(frozen=True)
class Code:
    """The code that a run uses: one hash of it, and one for the used part of each module."""

    fingerprint: str
    modules: Mapping[str, str]


@dataclass(frozen=True)
class Definition:
    """One definition: its own code in a canonical form, the names that it reads, and what it imports itself."""

    content: str
    names: frozenset[str]  # `name`, and `name.attribute` where an attribute of it is read
    imports: Imports


@dataclass(frozen=True)
class Module:
    """What a module imports at its top, and what it defines, by name."""

    imports: Imports
    definitions: Mapping[str, Definition]


class Sources:
    """The modules of a package as they are on disk when this is made; each is parsed when it is first asked for."""

    def __init__(self, package: Path = PACKAGE) -> None:
        self.files = {path.relative_to(package): path.read_bytes() for path in result_modules(package)}
        self._texts = {
            ".".join([ROOT, *path.with_suffix("").parts]).removesuffix(".__init__"): text
            for path, text in self.files.items()
        }
        self._read: dict[str, Module] = {}

    def used_by(self, targets: Collection[str]) -> Code:
        """Return the code that is reached from some definitions, each given as `package.module.name`."""
        modules: dict[str, list[str]] = {}
        for place in sorted(self.reached_from(targets)):
            bound = sorted(set(self._bound(place)))
            modules.setdefault(place[0], []).append(_digest(self._definition(place).content, *bound))
        own = {module: _digest(*sorted(contents)) for module, contents in modules.items()}
        return Code(_digest(*sorted(chain.from_iterable(modules.values()))), own)

    def reached_from(self, targets: Collection[str]) -> set[Place]:
        """Return the places of all definitions that some of them can reach, these included.

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
        """Return the modules of a person's folder that run where some parts are imported."""
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
        """Return all that a module of a person's folder imports, wherever in it, of that folder and of bertlab."""
        source = self._source(module)
        assert source is not None
        statements = [node for node in ast.walk(ast.parse(source[0])) if isinstance(node, Import)]
        return [place for _, place in _bound_by(statements, source[1]) if isinstance(place, tuple)]

    def _source(self, module: str) -> tuple[bytes, str] | None:
        """Return the text of a module and the package that its relative imports start from; None for one of others."""
        if _is_ours(module):
            return (self._texts[module], ROOT) if module in self._texts else None
        from bertlab.config.own import source_of  # only for runs that use something of a person's folder

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
        """Return where a name of a module is defined, through modules that pass it on; nothing outside of our own."""
        if self._source(module) is None:
            return []
        defined, imports = self._module(module).definitions, self._module(module).imports
        if name == ALL:
            return [(module, each) for each in defined]
        if name in defined:
            return [(module, each) for each in (name, EFFECT) if each in defined]
        if isinstance(passed := imports.get(name), tuple):
            return self._find(*passed)
        return self._find(f"{module}.{name}", ALL)  # a module that is passed around whole

    def _reached(self, place: Place) -> Iterator[tuple[str, Place]]:
        """Yield what a definition names, and where that is defined, as far as it is ours."""
        definition, module = self._definition(place), self._module(place[0])
        for name in definition.names:
            plain, _, attribute = name.partition(".")
            bound = definition.imports.get(plain, module.imports.get(plain))
            if isinstance(bound, tuple):
                inner = ".".join(bound)  # of a module that was imported, the attribute alone is used
                if self._source(inner) is None:
                    yield from ((plain, other) for other in self._find(*bound))
                elif attribute or not any(other.startswith(f"{plain}.") for other in definition.names):
                    yield from ((name, other) for other in self._find(inner, attribute or ALL))
            elif bound is None and plain in module.definitions:
                yield from ((plain, other) for other in self._find(place[0], plain) if other != place)

    def _bound(self, place: Place) -> Iterator[str]:
        """Yield what every name means: the code of one of ours, the full name of one of others."""
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


_RUNNING = Sources()  # at import: what is edited on disk later is not what this process runs


@cache
def code_of(targets: frozenset[str]) -> Code:
    """Return the code of a run whose configuration names some parts, as this process runs it."""
    return _RUNNING.used_by((*STEPS, *targets))


@cache
def source_hash() -> str:
    """Hash the bytes of every module that can change a result: what identified code before it was parsed."""
    total = hashlib.sha256()
    for path, text in _RUNNING.files.items():
        total.update(f"{path.as_posix()} {hashlib.sha256(text).hexdigest()}\n".encode())
    return total.hexdigest()[:16]


def read_module(text: bytes, package: str = ROOT) -> Module:
    """Parse a module into its imports and definitions. `package` is what its relative imports start from."""
    imports: dict[str, Place | str] = {}
    parts: dict[str, list[ast.stmt]] = {}
    for statement in ast.parse(text).body:
        if isinstance(statement, Import):
            imports |= _bound_by([statement], package)
        elif not _is_for_hints(statement):
            for name in _names_bound(statement) or [EFFECT]:
                parts.setdefault(name, []).append(statement)
    definitions = {name: _define(statements, package) for name, statements in parts.items()}
    return Module(imports, {name: each for name, each in definitions.items() if each.content})


def _is_for_hints(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.If) and ast.unparse(statement.test).endswith("TYPE_CHECKING")


def _names_bound(statement: ast.stmt) -> list[str]:
    """Return the names that a statement at the top of a module defines."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [statement.name]
    stored = (node.id for node in ast.walk(statement) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store))
    return list(dict.fromkeys(stored))


def _define(statements: Iterable[ast.stmt], package: str) -> Definition:
    reader = _Reader()
    content = "".join(reader.text(statement) for statement in statements)
    return Definition(content, frozenset(reader.names), dict(_bound_by(reader.imports, package)))


def _bound_by(statements: Iterable[Import], package: str) -> Iterator[tuple[str, Place | str]]:
    """Yield what import statements bind: a local name, and what it means."""
    roots = (ROOT, package.partition(".")[0])
    for statement in statements:
        for alias in statement.names:
            top = alias.name.partition(".")[0]
            if isinstance(statement, ast.Import):
                named = alias.name if alias.asname else top
                yield alias.asname or top, (alias.name, ALL) if top in roots else named
            else:
                module = resolve_name("." * statement.level + (statement.module or ""), package)
                ours = module.partition(".")[0] in roots
                yield alias.asname or alias.name, (module, alias.name) if ours else f"{module}.{alias.name}"


class _Reader:
    """Writes nodes in a form that is the same in every version of Python, without what cannot change a result."""

    def __init__(self) -> None:
        self.names: set[str] = set()
        self.imports: list[Import] = []

    def text(self, value: object) -> str:
        """Return the form of a node, of a list of them, or of a plain value; "" for one that does not count."""
        if isinstance(value, list):
            return f"[{','.join(filter(None, map(self.text, value)))}]"
        if not isinstance(value, ast.AST):
            return ascii(value)  # what repr can print differs between versions
        if isinstance(value, Import):
            self.imports.append(value)
            return ""
        if isinstance(value, ast.Expr) and _only_tells(value.value):
            return ""
        self._note(value)
        fields = ((name, child) for name in value._fields if (child := self._kept(value, name)) not in (None, []))
        return f"{type(value).__name__}({','.join(f'{name}={self.text(child)}' for name, child in fields)})"

    def _kept(self, node: ast.AST, name: str) -> object:
        """Return a field of a node, None where it does not count."""
        child = getattr(node, name, None)
        if name == "annotation" and isinstance(node, ast.AnnAssign):
            return child if any(word in ast.unparse(node.annotation) for word in HINTS_THAT_ACT) else None
        if name in SKIPPED or (isinstance(node, ast.Assert) and name == "msg"):
            return None
        if isinstance(node, ast.Raise):  # an error ends the run: its kind may be caught, its words are read
            return child.func if isinstance(child, ast.Call) else child if name == "exc" else None
        return child

    def _note(self, node: ast.AST) -> None:
        if isinstance(node, ast.Name):
            self.names.add(node.id)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            self.names.add(f"{node.value.id}.{node.attr}")


def _only_tells(expression: ast.expr) -> bool:
    """Tell whether a statement is a docstring or a line of the log."""
    if isinstance(expression, ast.Constant):
        return isinstance(expression.value, str)
    call = expression.func if isinstance(expression, ast.Call) else None
    return isinstance(call, ast.Attribute) and isinstance(call.value, ast.Name) and call.value.id == "log"


def _digest(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
