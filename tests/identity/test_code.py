"""The fingerprint of code reacts to what can change a result of the run, and to nothing else."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import pytest

from bertlab.config.compose import load, resolved, typed
from bertlab.identity.code import PACKAGE, STEPS, Code, Sources, code_of
from bertlab.identity.definitions import read_module
from bertlab.identity.key import targets
from bertlab.sweep.run import train

PARTS = targets(resolved(load([])))
Change = tuple[str, str, str]  # a module, a text in it, and its replacement
Edit = Callable[..., Code]


def code(package: Path, parts: frozenset[str] = PARTS) -> Code:
    return Sources(package).used_by([*STEPS, *parts])


@pytest.fixture
def package(tmp_path: Path) -> Path:
    return Path(shutil.copytree(PACKAGE, tmp_path / "bertlab", ignore=shutil.ignore_patterns("__pycache__")))


@pytest.fixture
def edit(package: Path) -> Edit:
    """Replace text in modules and return the code as it is then."""

    def edit(*changes: Change) -> Code:
        for module, old, new in changes:
            text = (package / module).read_text("utf-8")
            assert old in text
            (package / module).write_text(text.replace(old, new, 1), "utf-8")
        return code(package)

    return edit


def test_the_folder_does_not_matter(package: Path) -> None:
    assert code(package) == code_of(PARTS)


IDLE = (
    ("mask/token.py", '"""', '"""Other words. '),
    ("mask/corrupt.py", "def corrupt(", "# a comment\ndef corrupt("),
    ("streams.py", "import hashlib\n", "import math\nimport hashlib\n"),
    ("config/errors.py", "def whole_number(", "def another() -> None: ...\n\n\ndef whole_number("),
    ("sweep/run.py", "must choose tokens to predict, got none", "chooses nothing, got none"),
    ("sweep/run.py", 'log.info("%s: %s parameters', 'log.info("%s has %s parameters'),
    ("sweep/run.py", "def looks_ahead(model: Bert, batch: Batch) -> bool:", "def looks_ahead(model, batch):"),
    ("optim/optimizer.py", "def sgd(", "def another() -> int:\n    return 1\n\n\ndef sgd("),
    ("model/position.py", "class Alibi", "class Alibi2"),
    ("tracking/mlflow.py", "REUSE = ", "SOMETHING, REUSE = 0, "),
    ("model/reference.py", "import ", "import math, "),
)


def test_words_and_code_that_the_run_does_not_use_do_not_matter(edit: Edit) -> None:
    assert edit(*IDLE).fingerprint == code_of(PARTS).fingerprint


@pytest.mark.parametrize(
    "edits",  # one of a module at a time
    [
        (
            ("mask/corrupt.py", "return ", "return 0 or "),
            ("streams.py", "return ", "return 0 or "),
            ("model/attention.py", "class SelfAttention", "@print\nclass SelfAttention"),
            ("train/module.py", "self.", "self . other."),
            ("data/tokenizer/wordpiece.py", "def ", "async def "),
            ("data/prepare.py", "if digest", "if not digest"),
            ("data/batches.py", "+ 1", "+ 2"),
            ("evaluation/common.py", "np.where", "np.choose"),
            ("sweep/run.py", "GLANCE = 20", "GLANCE = 21"),
            ("tracking/checkpoint.py", "KEPT = 2", "KEPT = 3"),
        ),
        (("streams.py", "import hashlib", "import zlib as hashlib"), ("data/batches.py", "ceil(", "abs(")),
    ],
)
def test_code_that_the_run_uses_matters_and_its_module_is_named(edit: Edit, edits: Sequence[Change]) -> None:
    changed, running = edit(*edits), code_of(PARTS)
    assert changed.fingerprint != running.fingerprint
    for module, _, _ in edits:
        name = f"bertlab.{module.removesuffix('.py').replace('/', '.')}"
        assert changed.modules[name] != running.modules[name]


def test_a_new_module_and_another_part_concern_only_the_runs_that_use_them(edit: Edit, package: Path) -> None:
    (package / "mask" / "another.py").write_text("class Another: ...\n")
    assert edit(("mask/span.py", "class SpanMask", "@print\nclass SpanMask")) == code_of(PARTS)
    spans = PARTS - {"bertlab.mask.token.TokenMask"} | {"bertlab.mask.span.SpanMask"}
    assert code(package, spans) != code_of(spans)
    another = PARTS | {"bertlab.mask.another.Another"}
    assert code(package, another).fingerprint != code_of(PARTS).fingerprint


def test_a_module_that_is_renamed_keeps_its_runs(package: Path) -> None:
    (package / "mask" / "corrupt.py").rename(package / "mask" / "changing.py")
    (package / "mask" / "token.py").rename(package / "mask" / "tokens.py")
    for path in package.rglob("*.py"):
        text = path.read_text("utf-8").replace("bertlab.mask.corrupt import", "bertlab.mask.changing import")
        path.write_text(text.replace("bertlab.mask.token import", "bertlab.mask.tokens import"), "utf-8")
    renamed = code(package, PARTS - {"bertlab.mask.token.TokenMask"} | {"bertlab.mask.tokens.TokenMask"})
    assert renamed.fingerprint == code_of(PARTS).fingerprint
    assert renamed.modules["bertlab.mask.tokens"] == code_of(PARTS).modules["bertlab.mask.token"]


def test_a_definition_that_moves_to_another_module_keeps_its_runs(package: Path) -> None:
    job, text = package / "sweep/run.py", (package / "sweep/run.py").read_text("utf-8")
    moved = text[text.index("@torch.no_grad()\ndef looks_ahead(") : text.index("def _size(")]
    job.write_text(text.replace(moved, "from bertlab.train.ahead import looks_ahead\n\n"), "utf-8")
    imports = ("import torch", "from dataclasses import replace", "from bertlab.data.tokenizer import CLS")
    (package / "train" / "ahead.py").write_text("\n".join([*imports, moved]), "utf-8")
    there = code(package)
    assert there.fingerprint == code_of(PARTS).fingerprint
    assert "bertlab.train.ahead" in there.modules


def test_a_part_that_is_nowhere_is_an_error() -> None:
    with pytest.raises(LookupError, match=r"^bertlab\.mask\.token\.Nothing is not"):
        Sources().used_by(["bertlab.mask.token.Nothing"])


def test_the_words_of_an_error_do_not_count_and_its_kind_does() -> None:
    def content(text: str) -> str:
        return read_module(f"def f(x):\n    {text}\n".encode()).definitions["f"].content

    assert content("raise ValueError('a', x)") == content("raise ValueError(f'{x} b') from None")
    assert content("raise ValueError('a')") != content("raise TypeError('a')")
    assert content("assert x, 'a'") == content("assert x") != content("assert not x")
    assert content("return 'a'") != content("return 'b'")


def test_hints_count_only_where_a_dataclass_acts_on_them() -> None:
    def content(text: str) -> str:
        return read_module(f"class A:\n    {text}\n".encode()).definitions["A"].content

    assert content("x: int = 1") == content("x: float = 1") != content("x: int = 2")
    assert content("x: ClassVar[int] = 1") != content("x: int = 1")


TINY = ("data=oracle", "data.documents=60", "batch.size=4", "batch.length=35", "budget.tokens=1000")
AROUND = {"config", "identity", "sweep", "tracking"}  # rooms around a result, that have no part in it
QUIET = ("evaluation.sequences=8", "evaluation.pseudo=4", "evaluation.probe=8", "trainer.progress=false")


@pytest.mark.parametrize("words", [(), ("model=tiny", "mask=span", "pairs=sop", "objective=alternating")])
def test_everything_that_a_run_calls_is_found(tmp_path: Path, words: tuple[str, ...]) -> None:
    called: set[CodeType] = set()

    def note(frame: FrameType, event: str, argument: Any) -> None:
        if event == "call":
            called.add(frame.f_code)

    config = load([*TINY, *QUIET, *words, "tracking.offline=true", f"output_dir={tmp_path}"])
    sys.setprofile(note)
    try:
        train(resolved(config), typed(config, []))
    finally:
        sys.setprofile(None)
    sources = Sources()
    reached = sources.reached_from([*STEPS, *targets(resolved(config))])
    ours = {path for path in sources.files if path != Path("sweep/run.py")}  # whose other half only records
    found = {(Path(code.co_filename), code.co_qualname.partition(".")[0]) for code in called}
    run = {(path.relative_to(PACKAGE), name) for path, name in found if path.is_relative_to(PACKAGE)}
    missed = {
        (str(path), name)
        for path, name in run
        if path in ours and not name.startswith("<") and (_module(path), name) not in reached
    }
    assert not missed
    assert len(run) > 100
    assert {path.parts[0] for path, _ in run if path not in sources.files} <= AROUND


def _module(path: Path) -> str:
    return ".".join(["bertlab", *path.with_suffix("").parts]).removesuffix(".__init__")


ALONE = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location("code_of_runs", sys.argv[1])
module = importlib.util.module_from_spec(spec)
sys.modules["code_of_runs"] = module
spec.loader.exec_module(module)
print(module.code_of(frozenset(sys.argv[2:])).fingerprint)
"""  # the module needs nothing but Python's own library


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13"])
def test_every_version_of_python_finds_the_same_fingerprint(version: str) -> None:
    """With the interpreters that are here, on the path or in pyenv's folder."""
    folders = sorted((Path.home() / ".pyenv/versions").glob(f"{version}.*/bin/python"))
    python = str(folders[0]) if folders else shutil.which(f"python{version}")
    if python is None:
        pytest.skip(f"there is no Python {version} here")
    told = subprocess.run(
        [python, "-c", ALONE, str(PACKAGE / "identity/code.py"), *PARTS], capture_output=True, text=True, check=False
    )
    assert told.stdout.strip() == code_of(PARTS).fingerprint, told.stderr
