"""The order of the rooms: data flows from left to right, and a module imports only rooms to its left."""

import ast
from pathlib import Path

import pytest

import bertlab
from bertlab.config.compose import PACKAGE
from scripts.architecture import MODULES, ORDER, PAGE, arrows, imported, imports, page, room

DOORS = (  # `python -m bertlab.<door>`
    *("check", "clean", "corpus", "describe", "export", "plan", "run", "show", "site", "sync", "why"),
)
HEAVY = {"torch", "pytorch_lightning", "mlflow", "pandas", "matplotlib", "scipy", "numpy", "tokenizers", "pyarrow"}
PLUGIN = PACKAGE.parent / "hydra_plugins" / "bertlab_sweeper.py"
ARROWS = arrows()


def imported_at_once(path: Path) -> set[str]:
    """Return the imports of a file when it is imported, without those inside functions."""
    tree = ast.parse(path.read_text("utf-8"))
    deferred = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
    tree.body = [node for node in tree.body if not isinstance(node, deferred) and not is_for_types(node)]
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            node.body = [child for child in node.body if not isinstance(child, deferred)]
    return set(imports(tree))


def is_for_types(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def ours(names: frozenset[str] | set[str]) -> set[str]:
    return {name for name in names if name.startswith("bertlab.")}


def test_every_room_has_its_place() -> None:
    assert {room(module) for module in MODULES} - {"bertlab", "__main__"} == {*ORDER, *DOORS}


@pytest.mark.parametrize("door", DOORS)
def test_a_door_only_opens(door: str) -> None:
    _docstring, system, entry, *more, call = ast.parse(MODULES[f"bertlab.{door}"].read_text("utf-8")).body
    assert ast.unparse(system) == "import sys"
    assert isinstance(entry, ast.ImportFrom)
    assert [alias.name for alias in entry.names] == ["main"]
    assert isinstance(call, ast.If)
    called = ["from bertlab.config.callable import make_callable", "make_callable(__name__)"]
    assert [ast.unparse(each) for each in (*more, *call.orelse)] == called * (door in bertlab.__all__)


def test_imports_point_left_only() -> None:
    backwards = {(left, right) for left, right in ARROWS if ORDER.index(right) > ORDER.index(left)}
    assert backwards == set()


def test_the_page_of_the_rooms_is_what_the_code_says() -> None:
    assert PAGE.read_text("utf-8") == page(), "write it anew: python -m scripts.architecture"


def test_statistics_know_nothing_of_ours() -> None:
    assert {right for left, right in ARROWS if left == "stats"} <= {"stats"}


@pytest.mark.parametrize(
    ("who", "never"),
    [
        ("report", {"model", "train", "objective", "data", "sweep"}),
        ("model", {"train", "optim", "objective", "evaluation", "tracking"}),
        ("data", {"mask", "model"}),
        ("train", {"report", "sweep", "mask"}),
        ("tracking", {"data", "model", "train", "report"}),
    ],
)
def test_a_room_never_looks_into(who: str, never: set[str]) -> None:
    assert {right for left, right in ARROWS if left == who} & never == set()


def test_training_and_its_data_know_runs_on_disk_and_no_store() -> None:
    used = {
        name
        for module, path in MODULES.items()
        for name in ours(imported(path)) & MODULES.keys()
        if room(module) in {"data", "train"} and room(name) == "tracking" and module != "bertlab.data.start_weights"
    }
    assert used == {f"bertlab.tracking.{name}" for name in ("checkpoint", "files", "run_folder")}


@pytest.mark.parametrize("module", ["bertlab.run", "bertlab.report.__main__", "bertlab.commands.site", "hydra_plugins"])
def test_the_command_line_answers_before_anything_heavy_is_imported(module: str) -> None:
    waiting, seen = [PLUGIN if module == "hydra_plugins" else MODULES[module]], set()
    heavy: dict[str, str] = {}
    while waiting:
        path = waiting.pop()
        seen.add(path)
        names = imported_at_once(path)
        heavy |= {name: path.name for name in names if name.partition(".")[0] in HEAVY}
        waiting += [MODULES[name] for name in ours(names) & MODULES.keys() if MODULES[name] not in seen]
    assert heavy == {}


def test_only_the_lightning_room_knows_lightning_and_only_the_tracking_rooms_mlflow() -> None:
    def users(library: str) -> set[str]:
        return {
            room(name) for name, path in MODULES.items() if any(used.startswith(library) for used in imported(path))
        }

    assert users("pytorch_lightning") == {"train", "tracking"}, "of which tracking takes loggers alone"
    assert users("mlflow") <= {"tracking", "report", "sweep", "experiment"}
    assert users("hydra") <= {"config", "sweep", "experiment", "commands"}


def test_randomness_comes_from_streams_and_never_from_a_global_generator() -> None:
    forbidden = {"random", "numpy.random"}
    assert {name for name, path in MODULES.items() if imported(path) & forbidden} == set()
    calls = {
        (module, ast.unparse(node.func))
        for module, path in MODULES.items()
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func).startswith(("np.random.", "torch.manual_seed", "torch.rand"))
        and not ast.unparse(node.func).startswith("torch.random.fork_rng")
    }
    allowed = {"np.random.Generator", "np.random.Philox", "np.random.SeedSequence"}
    from_streams = {
        (f"bertlab.{module}", "torch.manual_seed")
        for module in ("train.module", "train.divided", "evaluation.finetune", "evaluation.tuning")
    }
    assert {call for call in calls if call[1] not in allowed} == from_streams


FILES = sorted(
    path
    for room in ("bertlab", "hydra_plugins", "scripts", "benchmarks")
    for path in (PACKAGE.parent / room).rglob("*.py")
)
TEXT = {"read_text": 1, "write_text": 2}  # index of the encoding among the arguments of a path's methods


def test_text_files_are_utf_8_on_every_system() -> None:
    calls = [
        (path.name, node.lineno, node.func.attr, len(node.args) + len(node.keywords))
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in TEXT
    ]
    assert len(calls) > 20
    assert [call for call in calls if call[3] < TEXT[call[2]]] == []
