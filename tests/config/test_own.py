"""A user's own folder: how it is named, what it may contain, and its modules as code of a run."""

import importlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bertlab.config.building import build_part
from bertlab.config.compose import PACKAGE, check, load, resolved
from bertlab.config.errors import InputError
from bertlab.config.own import VARIABLE, own_folder, own_words, take_own
from bertlab.identity.code import Code, code_of
from bertlab.identity.key import targets
from bertlab.study.catalogue import study_files
from tests.own import add, make_own

ORACLE = ("data=oracle",)


@pytest.fixture(autouse=True)
def _own_is_put_back(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(VARIABLE, "")
    monkeypatch.delenv(VARIABLE)
    monkeypatch.chdir(tmp_path)


def test_a_folder_is_named_by_a_word_a_variable_or_the_project_in_this_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("lab_word", "lab_variable", "lab_project"):
        (tmp_path / name).mkdir()
    assert take_own(["mask.rate=0.3"]) == ["mask.rate=0.3"]
    assert own_folder() is None
    (tmp_path / "pyproject.toml").write_text('[tool.bertlab]\nown = "lab_project"\n')
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    assert take_own([]) == []
    assert own_folder() == tmp_path / "lab_project"
    monkeypatch.setenv(VARIABLE, "../lab_variable")
    take_own([])
    assert os.environ[VARIABLE] == str(tmp_path / "lab_variable")
    for words in (["-m", "--own", "../lab_word", "seed=0"], ["-m", "seed=0", "--own=../lab_word"]):
        assert take_own(words) == ["-m", "seed=0"]
        assert own_folder() == tmp_path / "lab_word"
    assert own_words() == ["--own", "lab_word"]


def test_an_empty_variable_turns_the_folder_of_the_project_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.bertlab]\nown = "nowhere"\n')
    monkeypatch.setenv(VARIABLE, "")
    take_own([])
    assert own_folder() is None


@pytest.mark.parametrize(
    ("words", "project", "line"),
    [
        (["--own", "nowhere"], "", r"^--own must be a folder, got nowhere; make it"),
        (["--own"], "", r"^--own must be a folder, got nothing; make it"),
        (["--own", "a", "--own=b"], "", r"^--own must be given once, got a and b; leave one of them out"),
        (["--own", "my-lab"], "", r"^--own must be named as a Python package, got my-lab; rename it, for example my_"),
        (
            ["--own", "json"],
            "",
            r"^--own must have a name of its own, got json, that of an installed module; rename it",
        ),
        (["--own", "numpy"], "", r"^--own must have a name of its own, got numpy, that of an installed module; rename"),
        (["--own", "bertlab"], "", r"^--own must have a name of its own, got bertlab, that of an installed module; "),
        ([], "[tool.bertlab", r"^.*pyproject\.toml must be TOML, got .*; correct it, or set BERTLAB_OWN"),
        (
            [],
            "[tool.bertlab]\nonw = 'a'",
            r"^\[tool\.bertlab\] of .* must have only the key own, got .*; write own = \"my_lab",
        ),
        ([], "[tool.bertlab]\nown = 'a'", r"^own of \[tool\.bertlab\] must be a folder, got .*/a; make it"),
    ],
)
def test_a_folder_that_cannot_be_used_is_one_line(tmp_path: Path, words: list[str], project: str, line: str) -> None:
    for name in ("my-lab", "json", "numpy", "bertlab"):
        (tmp_path / name).mkdir()
    if project:
        (tmp_path / "pyproject.toml").write_text(project)
    with pytest.raises(InputError, match=line) as caught:
        take_own(words)
    assert "\n" not in str(caught.value)
    assert own_folder() is None


def test_options_and_studies_of_the_folder_are_added_to_bertlabs(tmp_path: Path) -> None:
    own, path = make_own(tmp_path), list(sys.path)
    take_own(["--own", str(own)])
    config = resolved(load([*ORACLE, "mask=first", "mask.count=3", "model/attention=cosine"]))
    mask = build_part(config, "mask")
    assert (type(mask).__module__, mask.count) == (f"{own.name}.mask.first", 3)
    assert build_part(config, "model").keywords["attention"].func.__name__ == "Cosine"
    assert study_files()["first_tokens"] == own / "sweeps" / "study" / "first_tokens.yaml"
    assert "mask_rate" in study_files()
    assert sys.path == path
    assert list(own.rglob("*.pyc")) == []


def test_nothing_but_python_files_of_the_folder_is_imported_as_one_of_its_modules(tmp_path: Path) -> None:
    own = make_own(tmp_path)
    add(tmp_path, "beside.py", "")
    take_own(["--own", str(own)])
    importlib.import_module(f"{own.name}.mask.first")
    for name in ("beside", f"{own.name}.beside", f"{own.name}.conf.beside"):
        with pytest.raises(ModuleNotFoundError):
            importlib.import_module(name)


FIRST, SECOND = "conf/mask/first.yaml", "conf/mask/second.yaml"
SYSTEM = r"^{own}/conf/mask/second\.yaml: _target_ must be a class or function that a module of this folder defines, .*"

DEFINED = (
    r"^{own}/conf/mask/second\.yaml: _target_ must be a class or function that lab_\d+\.mask\.second defines, "
    r"got lab_\d+\.mask\."
)


@pytest.mark.parametrize(
    ("place", "text", "line"),
    [
        (SECOND, "_target_: os.system", SYSTEM + "got os.system; "),
        (SECOND, "_target_: {name}.mask.second.system", DEFINED + r"second\.system; it defines nothing: "),
        (SECOND, "_target_: {name}.mask.second.Shell", DEFINED + r"second\.Shell; it defines nothing: "),
        (
            SECOND,
            "_target_: {name}.mask.gone.Gone",
            r"^{own}/conf/mask/second\.yaml: _target_ must be in a module of {own}, got lab_\d+\.mask\.gone\.Gone; ",
        ),
        (SECOND, "_target_: bertlab.model.norm.layer", SYSTEM + r"got bertlab\.model\.norm\.layer; "),
        (
            SECOND,
            "_target_: {name}.mask.broken.A",
            r"^{own}/mask/broken\.py, line 1, must be Python, got .*; correct it",
        ),
        (SECOND, "_target_: {name}.mask.star.A", r"^{own}/mask/star\.py, line 1, must import by name, got \*; list "),
        (SECOND, "_target_: [", r"^{own}/conf/mask/second\.yaml must be YAML, got .*; correct it"),
        (SECOND, "7", r"^{own}/conf/mask/second\.yaml must hold keys with values, got 7; correct it"),
        (
            SECOND,
            "# @package hydra.callbacks\na: b",
            r"^{own}/conf/mask/second\.yaml must not set Hydra's own keys",
        ),
        (
            SECOND,
            "defaults: [/mask@hydra.x: token]",
            r"^{own}/conf/mask/second\.yaml must not set Hydra's own keys",
        ),
        (
            "sweeps/study/mine.yaml",
            "# @package _global_\nhydra: {{callbacks: {{a: {{_target_: os.system}}}}}}",
            r"^{own}/sweeps/study/mine\.yaml must not set Hydra's own keys except hydra: \{{mode: MULTIRUN\}}; ",
        ),
        (
            "conf/mask/token.yaml",
            "",
            r"^{own}/conf/mask/token\.yaml must have a name of its own, got that of an option",
        ),
        (
            "sweeps/study/norm.yaml",
            "",
            r"^{own}/sweeps/study/norm\.yaml must have a name of its own, got that of an op",
        ),
        (
            "conf/run.yaml",
            "",
            r"^{own}/conf/run\.yaml must be in the folder of a group, got \.; choose one of data, ",
        ),
        ("conf/masks/a.yaml", "", r"^{own}/conf/masks/a\.yaml must be in the folder of a group, got masks; choose "),
        (
            "conf/hydra/job_logging/a.yaml",
            "",
            r"^{own}/.*/a\.yaml must be in the folder of a group, got hydra/job_l",
        ),
    ],
)
def test_files_that_shadow_steer_or_name_strangers_are_one_line(
    tmp_path: Path, place: str, text: str, line: str
) -> None:
    own = make_own(tmp_path)
    add(own, "mask/second.py", "from os import system\nShell = system\n")
    add(own, "mask/broken.py", "class A(:\n")
    add(own, "mask/star.py", "from bertlab.mask import *\n\n\nclass A: ...\n")
    add(own, place, text.replace("{name}", own.name).replace("{{", "{").replace("}}", "}"))
    take_own(["--own", str(own)])
    with pytest.raises(
        InputError, match=line.replace("{own}", str(own)).replace("{{", "{").replace("}}", "}")
    ) as caught:
        check([])
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError):
        load([])


def code_with(folder: Path, *words: str) -> Code:
    """Return the code of a run that uses options of a folder."""
    take_own(["--own", str(folder)])
    return code_of(targets(resolved(load([*ORACLE, *words]))))


@pytest.mark.parametrize(
    ("place", "old", "new", "counts"),
    [
        ("mask/first.py", "<= self.count", "< self.count", True),
        pytest.param("shares.py", "1.0", "0.9", True, marks=pytest.mark.slow),
        pytest.param("patch.py", "VALUE = 1", "VALUE = 2", True, marks=pytest.mark.slow),
        pytest.param("__init__.py", "ANY = 1", "ANY = 2", True, marks=pytest.mark.slow),
        pytest.param("mask/first.py", '"""Predict', '"""Choose', False, marks=pytest.mark.slow),
        ("cosine.py", "math.sqrt", "math.log", False),
    ],
)
def test_an_edit_of_what_a_run_uses_changes_its_code_and_only_then(
    tmp_path: Path, place: str, old: str, new: str, counts: bool
) -> None:
    """Under the name of another folder: that does not count either."""
    first = make_own(tmp_path)
    add(first, "__init__.py", "ANY = 1\n")
    add(first, "shares.py", "# shares\nSHARES = (1.0, 0.0, 0.0)\n")
    add(first, "patch.py", "import bertlab.streams\n\nbertlab.streams.VALUE = 1\n")
    policy = (first / "mask/first.py").read_text("utf-8").replace("(1.0, 0.0, 0.0)", "SHARES")
    imports = "import numpy as np\n\nimport NAME.patch\nfrom ..shares import SHARES\n"
    add(first, "mask/first.py", policy.replace("import numpy as np\n", imports.replace("NAME", first.name)))
    second = make_own(tmp_path)
    for path in first.rglob("*.*"):
        text = path.read_text("utf-8").replace(first.name, second.name)
        if path.relative_to(first).as_posix() == place:
            assert old in text
            text = text.replace(old, new)
        add(second, path.relative_to(first).as_posix(), text)
    before, after = code_with(first, "mask=first"), code_with(second, "mask=first")
    assert (before.fingerprint != after.fingerprint) == counts
    assert {f"{first.name}{part}" for part in ("", ".shares", ".patch", ".mask.first")} <= before.modules.keys()
    plain = code_with(second)
    monkeypatched = [name for name in plain.modules if not name.startswith("bertlab.")]
    assert monkeypatched == []


@pytest.mark.slow
def test_a_run_that_uses_nothing_of_the_folder_has_the_code_that_it_has_without_one(tmp_path: Path) -> None:
    without = code_of(targets(resolved(load(list(ORACLE)))))
    assert code_with(make_own(tmp_path)) == without
    assert code_with(make_own(tmp_path), "mask=first") != without


def test_a_module_runs_as_it_was_when_it_was_read_and_so_it_is_recorded(tmp_path: Path) -> None:
    own = make_own(tmp_path)
    before = code_with(own, "mask=first")
    policy = own / "mask" / "first.py"
    policy.write_text(policy.read_text("utf-8").replace("<= self.count", "< self.count"), "utf-8")
    module = importlib.import_module(f"{own.name}.mask.first")
    assert module.__loader__.get_source(module.__name__).count("<= self.count") == 1
    assert code_with(own, "mask=first") == before


ALONE = """
import sys
from bertlab.identity.code import code_of
print(code_of(frozenset(sys.argv[1:])).fingerprint)
"""


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13"])
@pytest.mark.slow
def test_every_version_of_python_finds_the_same_fingerprint(tmp_path: Path, version: str) -> None:
    folders = sorted((Path.home() / ".pyenv/versions").glob(f"{version}.*/bin/python"))
    python = str(folders[0]) if folders else shutil.which(f"python{version}")
    if python is None:
        pytest.skip(f"there is no Python {version} here")
    own = make_own(tmp_path)
    expected = code_with(own, "mask=first").fingerprint
    parts = targets(resolved(load([*ORACLE, "mask=first"])))
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE.parent), VARIABLE: str(own)}
    told = subprocess.run(
        [python, "-c", ALONE, *parts], capture_output=True, text=True, check=False, env=environment, cwd=tmp_path
    )
    assert told.stdout.strip() == expected, told.stderr
