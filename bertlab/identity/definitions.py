"""Definitions of a module in a form that is equal for code that gives equal results.

Enters: the text of a module. Leaves: its imports, and for each definition its parsed code and the names that it reads.
Comments, docstrings, type hints of functions and the text of errors and log messages are left out.
"""

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.util import resolve_name

ROOT = "bertlab"
EFFECT = ""  # name of statements that bind no name; they belong to every definition of the module
ALL = "*"
SKIPPED = ("ctx", "kind", "type_comment", "type_params", "type_ignores", "returns", "annotation")  # fields of nodes
HINTS_THAT_ACT = ("ClassVar", "InitVar", "KW_ONLY")  # in a dataclass

Place = tuple[str, str]  # a module and a name in it
Import = ast.Import | ast.ImportFrom
Imports = Mapping[str, Place | str]  # by local name: a place in our code, or the full name of other code


@dataclass(frozen=True)
class Definition:
    """One definition: its code in canonical form, the names that it reads, and its own imports."""

    content: str
    names: frozenset[str]  # `name`, and `name.attribute` if an attribute of it is read
    imports: Imports


@dataclass(frozen=True)
class Module:
    """Imports at the top of a module, and its definitions by name."""

    imports: Imports
    definitions: Mapping[str, Definition]


def read_module(text: bytes, package: str = ROOT) -> Module:
    """Parse a module into its imports and definitions. Relative imports start from `package`."""
    imports: dict[str, Place | str] = {}
    parts: dict[str, list[ast.stmt]] = {}
    for statement in ast.parse(text).body:
        if isinstance(statement, Import):
            imports |= bound_by([statement], package)
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
    return Definition(content, frozenset(reader.names), dict(bound_by(reader.imports, package)))


def bound_by(statements: Iterable[Import], package: str) -> Iterator[tuple[str, Place | str]]:
    """Yield each local name that import statements bind, and its meaning."""
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
    """Writes nodes in a form that is equal in every version of Python, without what cannot change a result."""

    def __init__(self) -> None:
        self.names: set[str] = set()
        self.imports: list[Import] = []

    def text(self, value: object) -> str:
        """Return the form of a node, a list of nodes, or a plain value; "" for an ignored one."""
        if isinstance(value, list):
            return f"[{','.join(filter(None, map(self.text, value)))}]"
        if not isinstance(value, ast.AST):
            return ascii(value)  # the characters that repr prints differ between versions
        if isinstance(value, Import):
            self.imports.append(value)
            return ""
        if isinstance(value, ast.Expr) and _only_tells(value.value):
            return ""
        self._note(value)
        fields = ((name, child) for name in value._fields if (child := self._kept(value, name)) not in (None, []))
        return f"{type(value).__name__}({','.join(f'{name}={self.text(child)}' for name, child in fields)})"

    def _kept(self, node: ast.AST, name: str) -> object:
        """Return a field of a node, None if it is ignored."""
        child = getattr(node, name, None)
        if name == "annotation" and isinstance(node, ast.AnnAssign):
            return child if any(word in ast.unparse(node.annotation) for word in HINTS_THAT_ACT) else None
        if name in SKIPPED or (isinstance(node, ast.Assert) and name == "msg"):
            return None
        if isinstance(node, ast.Raise):  # an error ends the run: its type may be caught, its text is only read
            return child.func if isinstance(child, ast.Call) else child if name == "exc" else None
        return child

    def _note(self, node: ast.AST) -> None:
        if isinstance(node, ast.Name):
            self.names.add(node.id)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            self.names.add(f"{node.value.id}.{node.attr}")


def _only_tells(expression: ast.expr) -> bool:
    """Return whether a statement is a docstring or a log message."""
    if isinstance(expression, ast.Constant):
        return isinstance(expression.value, str)
    call = expression.func if isinstance(expression, ast.Call) else None
    return isinstance(call, ast.Attribute) and isinstance(call.value, ast.Name) and call.value.id == "log"
