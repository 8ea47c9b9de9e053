"""A user's own folder from end to end: that of docs/own.md is checked, run, swept in workers and studied."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bertlab.commands import check
from bertlab.config.own import VARIABLE
from tests.command import typed_exit_code
from tests.own import TINY, add, make_own


@pytest.fixture(autouse=True)
def _elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    monkeypatch.setenv(VARIABLE, "")


def checked(*words: str) -> object:
    try:
        check.main(words)
    except SystemExit as ended:
        return ended.code
    return 0


@pytest.mark.slow
def test_the_folder_of_the_page_keeps_every_contract(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    own = make_own(tmp_path)
    assert checked(str(own)) == 0
    shown = capsys.readouterr().out
    assert shown.endswith("24 of 24 hold\n")
    for line in (
        "special tokens and padding are neither predicted nor changed",
        "every parameter has a finite gradient",
        "nothing leaks with model/visibility=left_to_right",
        "composes, and its arms differ only by what they declare",
    ):
        assert f"  ok      {line}\n" in shown
    assert {path.name for path in (tmp_path / "elsewhere").iterdir()} == set()


def test_what_breaks_a_contract_is_named_with_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    own = tmp_path / "lab_that_is_broken"
    policy = """
import numpy as np
from bertlab.mask.corrupt import predict

class Everything:
    def __call__(self, ids_BL, vocabulary, draw):
        return predict(ids_BL, ids_BL.copy(), ids_BL >= 0)

class Gone:
    def __call__(self, ids_BL, vocabulary, draw):
        return ids_BL.gone
"""
    add(own, "mask.py", policy)
    add(own, "conf/mask/everything.yaml", f"_target_: {own.name}.mask.Everything")
    add(own, "conf/mask/gone.yaml", f"_target_: {own.name}.mask.Gone")
    study = (make_own(tmp_path) / "sweeps/study/first_tokens.yaml").read_text("utf-8")
    wider = study.replace("[mask=first]", "[mask=everything, mask@mask.policy=token]").replace(
        "factors: [mask]", "factors: [seed]"
    )
    add(own, "sweeps/study/wide.yaml", wider.replace("id: first_tokens", "id: wide"))
    assert checked(str(own)) == 1
    shown = capsys.readouterr().out
    assert (
        "FAILED  special tokens and padding are neither predicted nor changed: a special token is predicted\n" in shown
    )
    assert (
        "FAILED  composes and is built: AttributeError: 'numpy.ndarray' object has no attribute 'gone' (mask.py, "
        in shown
    )
    assert (
        "FAILED  composes, and its arms differ only by what they declare: study.factors must leave seed alike" in shown
    )


def test_every_file_that_may_not_be_used_is_named_with_what_its_module_defines(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = make_own(tmp_path)
    add(own, "conf/mask/gone.yaml", f"_target_: {own.name}.mask.first.Gone")
    add(own, "conf/mask/lost.yaml", f"_target_: {own.name}.mask.last.Last")
    add(own, "conf/mask/other.yaml", "_target_: os.system")
    assert checked(str(own)) == 1
    shown = capsys.readouterr().out
    assert shown.count("FAILED  may be used: ") == 3
    assert f"got {own.name}.mask.first.Gone; it defines FirstTokens: correct one of both\n" in shown
    assert f"got {own.name}.mask.last.Last; there is no module {own.name}.mask.last: write its file, or corr" in shown
    assert "got os.system; write the folder, the module and the name, joined by dots\n" in shown


def test_one_reason_of_many_failures_is_said_once_with_a_count(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = tmp_path / "lab_with_a_norm"
    add(own, "parts.py", "from torch import nn\n\nclass Norm(nn.Identity):\n    pass\n")
    add(own, "conf/model/norm/plain.yaml", f"_target_: {own.name}.parts.Norm\n_partial_: true\n")
    assert checked(str(own)) == 1
    failed = [line for line in capsys.readouterr().out.splitlines() if "FAILED" in line]
    assert len(failed) == 2
    assert "positional argument" in failed[0]
    assert failed[1].startswith("  FAILED  12 more, for the same reason as: a few steps have finite losses")


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ((), "bertlab: --own must name a folder, got nothing; "),
        (("nowhere",), "bertlab: --own must be a folder, got nowhere; "),
        (("empty_lab",), " must hold conf/<group>/<name>.yaml or sweeps/study/<id>.yaml, got none; "),
        (("--own", "empty_lab", "mask.rte=1", "--what"), "bertlab: options are "),
    ],
)
def test_a_folder_that_cannot_be_checked_is_one_line(
    words: tuple[str, ...], line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("empty_lab").mkdir()
    assert checked(*words) == 2
    error = capsys.readouterr().err
    assert error.startswith("bertlab: ")
    assert line in error
    assert error.count("\n") == 1


def test_an_error_of_a_persons_code_names_its_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own = make_own(tmp_path)
    policy = (own / "mask/first.py").read_text("utf-8").replace("real_BL = ", "real_BL = draw.nothing or ")
    add(own, "mask/first.py", policy)
    assert typed_exit_code("--own", str(own), "mask=first", *TINY) == 1
    told = capsys.readouterr().err.splitlines()[-1]
    assert told == "bertlab: stopped by an error of your folder (AttributeError) (mask/first.py, line 19); correct it"


@pytest.mark.slow
def test_a_study_of_the_folder_runs_and_its_page_says_from_which_folder(tmp_path: Path) -> None:
    own = make_own(tmp_path)
    path = own / "sweeps/study/first_tokens.yaml"
    path.write_text(path.read_text("utf-8").replace("seeds: 5", "seeds: 3").replace("looks: [3, 5]", "looks: [3]"))
    harmful = "study.controls.harmful=['budget.tokens=1_400']"
    assert typed_exit_code("--own", str(own), "study=first_tokens", *TINY, harmful) == 0
    page = Path("outputs/reports/first_tokens.md").read_text("utf-8")
    assert "Predicting the first tokens alone is worse" in page
    assert f"- Own parts and studies from the folder: {own.name}\n" in page
    assert f"python -m bertlab.run --own {own.name} study=first_tokens " in page
    assert str(own.parent) not in page


@pytest.mark.slow
def test_workers_of_a_launcher_have_the_folder_too(tmp_path: Path) -> None:
    own = make_own(tmp_path)
    words = ["-m", "mask=first", "mask.count=2,3", "model/attention=cosine", *TINY, "tracking.offline=true"]
    told = subprocess.run(
        [sys.executable, "-m", "bertlab.run", *words, "hydra/launcher=joblib", "hydra.launcher.n_jobs=2"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, VARIABLE: os.path.relpath(own)},
    )
    assert told.returncode == 0, told.stderr
    assert told.stdout.count("finished") == 2, told.stdout
