"""The small commands: an absurd command line gives one error line and exit code 2, and leaves no files."""

import json
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

HERE = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("command", "words", "line"),
    [
        (
            "experiment.plan.__main__",
            ["study=mask_rate", "study.seeds=2"],
            "study.seeds must be a whole number of at least 3, got 2",
        ),
        (
            "experiment.plan.__main__",
            ["study=mask_rate", "+study.nonsense=3"],
            "study.nonsense is not a key of a study; ",
        ),
        (
            "experiment.plan.__main__",
            ["study=mask_rate", "trainer.clip=no"],
            "trainer.clip must lie in [0, 1e+09], got no; ",
        ),
        (
            "experiment.plan.__main__",
            ["study=mask_rate", "batch.size=1,2"],
            "batch.size must be one value, got 1,2; choose one",
        ),
        ("commands.show", ["mask.rate=2"], "mask.rate must lie in (0, 1), got 2; choose a number inside"),
        ("commands.show", ["-m", "seed=1"], "arguments must be key=value, got -m; leave it out"),
        (
            "commands.show",
            ["data=text", "data.files=gone.txt"],
            "data.files must name files that are there, got 'gone.txt'",
        ),
        ("commands.describe", ["model.heads=3"], "model.heads must divide model.width 64, got 3; choose a divisor"),
        (
            "commands.describe",
            ["against", "mask.rate=2"],
            "mask.rate must lie in (0, 1), got 2; choose a number inside",
        ),
        (
            "commands.compare",
            ["run=latest", "mask.rate=2"],
            "mask.rate must lie in (0, 1), got 2; choose a number inside",
        ),
        (
            "commands.compare",
            ["seed=1"],
            "compare takes run=ID with a second run=ID or with key=value words; --help shows how",
        ),
        ("commands.export", ["run=latest"], "to must be given; add to=... (bertlab export --help)"),
        ("commands.export", ["run=a", "run=b", "to=c"], "run must be given once, got run=b too; leave one of them out"),
        (
            "commands.sync",
            ["from=nope"],
            "from must be the output_dir of some runs, got nope without any; name another",
        ),
        (
            "commands.clean",
            ["from=nope"],
            "from must be the output_dir of some runs, got nope, which is not a folder; ",
        ),
        ("commands.clean", ["all=maybe"], "all must be true or false, got maybe; choose one"),
        ("report.__main__", [], "uri must name a store that holds runs, got sqlite:///"),
        ("report.__main__", ["sweep=x"], "uri must name a store that holds runs, got sqlite:///"),
        ("report.__main__", ["from=nope"], "a study's folder must hold study.json, runs.csv, curves.csv; "),
        ("report.__main__", ["study=nope"], "a study's folder must hold study.json, runs.csv, curves.csv; "),
        ("facts.__main__", ["measure=no"], "measure must be true or false, got no; choose one"),
    ],
)
def test_an_absurd_command_line_is_one_line_and_leaves_nothing(
    command: str,
    words: list[str],
    line: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with pytest.raises(SystemExit) as caught:
        import_module(f"bertlab.{command}").main(words)
    assert caught.value.code == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith(f"bertlab: {line}")
    assert printed.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


PROGRAM = """
import io, json, runpy, sys
from contextlib import redirect_stderr, redirect_stdout
for name, *words in json.loads(sys.argv[1]):
    told, sys.argv[1:] = [io.StringIO(), io.StringIO()], words
    try:
        with redirect_stdout(told[0]), redirect_stderr(told[1]):
            runpy.run_module(f"bertlab.{name}", run_name="__main__")
    except SystemExit as exit_:
        print(json.dumps([exit_.code, "torch" in sys.modules, *(each.getvalue() for each in told)]))
"""
WITHOUT_TORCH = (
    ["run", "batch.size=hello"],
    ["run", "model.heads=3"],
    ["run", "data=text", "data.files=gone.txt"],
    ["run", "-m", "optimizer.lr=1e-3,-1"],
    ["run", "study=mask_rate", "study.seeds=2"],
    ["run", "study=mask_rate", "evaluation.share=0.0001"],
    ["plan", "study=mask_rate", "study.seeds=2"],
    ["plan", "mask_rate", "study.seeds=2"],
    ["show", "mask.rate=2"],
    ["describe", "model.heads=3"],
)


@pytest.mark.slow
def test_errors_that_need_no_torch_come_without_it(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PROGRAM, json.dumps(WITHOUT_TORCH)]
    environment = {**os.environ, "PYTHONPATH": str(HERE)}
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, check=True)
    ended = [json.loads(line) for line in done.stdout.splitlines()]
    for words, (code, has_torch, out, error) in zip(WITHOUT_TORCH, ended, strict=True):
        assert (code, has_torch, out, error.count("\n")) == (2, False, "", 1), words
        assert error.startswith("bertlab: "), words
    assert (done.stderr, list(tmp_path.iterdir())) == ("", [])


@pytest.mark.parametrize("words", [["tracking.experiment='\u00e9'", "mask.rate='\u00fc'"], ["--cfg", "job"]])
def test_an_encoding_without_the_characters_writes_their_escapes(words: list[str], tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(HERE), "PYTHONIOENCODING": "ascii"}
    show = [*words, "tracking.experiment='\u00e9'"] if "--cfg" in words else words
    done = subprocess.run(
        [sys.executable, "-m", "bertlab.run", *show], capture_output=True, cwd=tmp_path, env=environment, check=False
    )
    printed = (done.stdout + done.stderr).decode("ascii")
    assert "Traceback" not in printed
    assert done.returncode == (0 if "--cfg" in words else 2)
    assert ("experiment: \\xe9" if "--cfg" in words else "mask.rate must lie in (0, 1), got \\xfc; ") in printed
