"""A user's own folder with options (`conf/`), studies (`sweeps/study/`) and Python modules, used without a fork.

Enters: `--own FOLDER`, the variable BERTLAB_OWN, or `own` in [tool.bertlab] of a pyproject.toml, in this order. Leaves:
the variable with an absolute path, so that child processes use the same folder; and its modules as a package with the
folder's name. Each module is read once, so that the code that runs is the code that is fingerprinted.
"""

import ast
import os
import sys
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.abc import ExecutionLoader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import decode_source, resolve_name, spec_from_file_location
from keyword import iskeyword
from pathlib import Path
from traceback import extract_tb
from types import ModuleType

from bertlab.config.errors import InputError

OPTION, VARIABLE, TABLE = "--own", "BERTLAB_OWN", "bertlab"  # command line, environment, pyproject.toml
TAKEN = ("bertlab", "hydra_plugins")  # package names that a folder may not have


@dataclass(frozen=True)
class Source:
    """A module of the folder, as this process read it. `package`: where its relative imports start."""

    path: Path
    text: bytes
    package: str
    is_package: bool


_read: dict[str, Source] = {}  # by module


def take_own(words: Sequence[str]) -> list[str]:
    """Return the words of a command line without `--own FOLDER`, and use that folder in this process.

    Without the word, the folder comes from the environment, or from the nearest pyproject.toml that names one. Raises
    InputError for a folder that cannot be used.
    """
    kept, given = list[str](), list[str]()
    rest = iter(words)
    for word in rest:
        if word == OPTION:
            given.append(next(rest, ""))
        elif word.startswith(f"{OPTION}="):
            given.append(word.partition("=")[2])
        else:
            kept.append(word)
    if len(given) > 1:
        raise InputError(f"{OPTION} must be given once, got {' and '.join(given)}; leave one of them out")
    if given:
        _use(given[0], OPTION)
    elif VARIABLE not in os.environ:
        for folder in _of_project():
            _use(str(folder), f"own of [tool.{TABLE}]")
    elif os.environ[VARIABLE]:
        _use(os.environ[VARIABLE], VARIABLE)
    return kept


def own_folder() -> Path | None:
    """Return the folder that this process uses; None without one."""
    named = os.environ.get(VARIABLE)
    return Path(named).expanduser().resolve() if named else None


def own_words() -> list[str]:
    """Return the words that choose the folder, by name only, for commands in records and on pages."""
    folder = own_folder()
    return [] if folder is None else [OPTION, folder.name]


def _of_project() -> Iterator[Path]:
    """Yield the folder that the nearest pyproject.toml with [tool.bertlab] names, if any."""
    here = Path.cwd()
    for path in (folder / "pyproject.toml" for folder in (here, *here.parents)):
        if not path.is_file():
            continue
        try:
            table = tomllib.loads(path.read_text("utf-8")).get("tool", {}).get(TABLE)
        except ValueError as error:
            raise InputError(f"{path} must be TOML, got {error}; correct it, or set {VARIABLE}") from error
        if table is None:
            continue
        if not isinstance(table, dict) or set(table) != {"own"} or not isinstance(table["own"], str):
            raise InputError(f'[tool.{TABLE}] of {path} must have only the key own, got {table}; write own = "my_lab"')
        yield path.parent / table["own"]
        return


def _use(folder: str, key: str) -> None:
    """Use a folder in this process and its children. Raises InputError."""
    place = Path(folder).expanduser().resolve()
    if not folder or not place.is_dir():
        raise InputError(
            f"{key} must be a folder, got {folder or 'nothing'}; make it, with conf/, sweeps/study/ or modules in it"
        )
    name = place.name
    if not name.isidentifier() or iskeyword(name):
        raise InputError(f"{key} must be named as a Python package, got {name}; rename it, for example my_lab")
    if name in TAKEN or name in sys.stdlib_module_names or _is_elsewhere(place):
        raise InputError(f"{key} must have a name of its own, got {name}, that of an installed module; rename it")
    os.environ[VARIABLE] = str(place)


def _is_elsewhere(folder: Path) -> bool:
    spec = PathFinder.find_spec(folder.name)
    return spec is not None and spec.origin is not None and Path(spec.origin).resolve().parent != folder


def source_of(module: str) -> Source | None:
    """Return a module of the folder; None if it does not exist. Raises InputError if it is not valid Python.

    A folder without `__init__.py` is an empty package.
    """
    folder, (root, *names) = own_folder(), module.split(".")
    if folder is None or root != folder.name:
        return None
    if module not in _read:
        place = folder.joinpath(*names)
        file, init = place.with_suffix(".py"), place / "__init__.py"
        if init.is_file() or (place.is_dir() and not (names and file.is_file())):
            source = Source(init, init.read_bytes() if init.is_file() else b"", module, True)
        elif names and file.is_file():
            source = Source(file, file.read_bytes(), module.rpartition(".")[0], False)
        else:
            return None
        _check_imports(source)
        _read[module] = source
    return _read[module]


def defines(target: str) -> bool:
    """Return whether a target is a class or a function defined in its own module of the folder."""
    module, _, name = target.rpartition(".")
    return name in (defined_by(module) or ())


def defined_by(module: str) -> list[str] | None:
    """Return the classes and functions that a module of the folder defines; None if there is no such module."""
    source = source_of(module)
    if source is None:
        return None
    return [node.name for node in ast.parse(source.text).body if isinstance(node, ast.ClassDef | ast.FunctionDef)]


def place_of(error: BaseException) -> str:
    """Return the last line of the folder in an error's traceback, in brackets; "" if there is none."""
    folder = own_folder()
    frames = [] if folder is None else extract_tb(error.__traceback__)
    lines = [(Path(each.filename), each.lineno) for each in frames if Path(each.filename).is_relative_to(str(folder))]
    return f" ({lines[-1][0].relative_to(str(folder))}, line {lines[-1][1]})" if lines else ""


def _check_imports(source: Source) -> None:
    """Raise InputError for invalid Python, and for imports that hide which code is used."""
    try:
        for node in ast.walk(ast.parse(source.text)):
            if isinstance(node, ast.ImportFrom):
                name = resolve_name("." * node.level + (node.module or ""), source.package)
                if node.names[0].name == "*" and name.partition(".")[0] in (TAKEN[0], source.package.partition(".")[0]):
                    raise InputError(f"{source.path}, line {node.lineno}, must import by name, got *; list the names")
    except (SyntaxError, ValueError, ImportError) as error:
        if isinstance(error, InputError):
            raise
        line = f", line {error.lineno}" if isinstance(error, SyntaxError) else ""
        words = error.msg if isinstance(error, SyntaxError) else str(error)
        raise InputError(f"{source.path}{line}, must be Python, got {words}; correct it") from error


class _Importer(MetaPathFinder, ExecutionLoader):
    """Imports the modules of the folder, independent of the working directory and of Python's path."""

    def find_spec(self, name: str, path: object = None, target: ModuleType | None = None) -> ModuleSpec | None:
        """Return how to import a module of the folder; only Python files of the folder are modules."""
        source, folder = source_of(name), own_folder()
        if source is not None:
            within = [str(source.path.parent)] if source.is_package else None
            return spec_from_file_location(name, source.path, loader=self, submodule_search_locations=within)
        if folder is not None and name.startswith(f"{folder.name}."):
            raise ModuleNotFoundError(f"there is no module {name} in {folder}", name=name)
        return None

    def get_filename(self, name: str) -> str:
        """Return the path of a module."""
        return str(self._known(name).path)

    def get_source(self, name: str) -> str:
        """Return the text of a module."""
        return decode_source(self._known(name).text)

    def is_package(self, name: str) -> bool:
        """Return whether a module is a package."""
        return self._known(name).is_package

    def _known(self, name: str) -> Source:
        source = source_of(name)
        assert source is not None
        return source


sys.meta_path.insert(0, _Importer())
