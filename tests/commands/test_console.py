"""`bertlab COMMAND`: one table of commands, a help screen for each, tab completion, and the messages for mistakes."""

import os
import re
import subprocess
import sys
import tomllib
from contextlib import suppress
from pathlib import Path

import pytest

import bertlab
from bertlab.__main__ import main
from bertlab.commands.completion import completed
from bertlab.commands.table import COMMANDS
from bertlab.config.compose import PACKAGE
from bertlab.config.own import VARIABLE
from tests.own import make_own

SCREEN, WIDE = 40, 120  # lines and columns of a terminal
WITHOUT_EXAMPLE = ("completion", "site")  # their first line is how to use them
Captured = pytest.CaptureFixture[str]


def test_the_installed_program_is_this_one() -> None:
    project = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["scripts"] == {"bertlab": "bertlab.__main__:main"}


def test_the_help_has_a_line_for_each_command(capsys: Captured) -> None:
    with suppress(SystemExit):
        main([])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines if line.startswith("  ")] == list(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_how_to_type_it(name: str, capsys: Captured) -> None:
    with suppress(SystemExit):
        main([name, "--help"])
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= WIDE
    assert name == "run" or len(lines) <= SCREEN
    assert any(line.startswith(f"  bertlab {name}") for line in lines) or name in WITHOUT_EXAMPLE
    assert any(f"bertlab {name}" in line for line in lines)
    assert not any("python -m" in line for line in lines)


@pytest.mark.parametrize("name", ["run", "sweep", "study"])
def test_the_help_of_runs_sweeps_and_studies_is_their_own(name: str, capsys: Captured) -> None:
    with suppress(SystemExit):
        main([name, "--help"])
    text = capsys.readouterr().out
    assert ("Keys (key=value" in text) == (name == "run")
    assert "`bertlab run --help`" in text or name == "run"


@pytest.mark.parametrize("words", [[], ["run"], ["sweep"], ["study"], ["study", "mask_rate"], ["runs"], ["plan"]])
def test_the_version_is_that_of_bertlab(words: list[str], capsys: Captured) -> None:
    with suppress(SystemExit):
        main([*words, "--version"])
    assert capsys.readouterr().out == f"bertlab {bertlab.__version__}\n"


def test_every_key_of_a_run_has_a_text_that_is_not_cut(capsys: Captured) -> None:
    with suppress(SystemExit):
        main(["run", "--help"])
    rows = re.findall(r"^  ([\w.]+=\S+) *(.*)$", capsys.readouterr().out.partition("Keys (")[2], re.MULTILINE)
    assert len(rows) > 60
    assert [key for key, text in rows if not text or text.endswith("...")] == []


@pytest.mark.parametrize("words", [[], *([name, "--help"] for name in COMMANDS), ["run", "--version"]], ids=" ".join)
def test_a_reader_that_closes_the_pipe_leaves_no_traceback(
    words: list[str], capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as closed:  # closing it flushes, as Python does at its exit
        monkeypatch.setattr(sys, "stdout", closed)
        with suppress(SystemExit):
            main(words)
    assert capsys.readouterr().err == ""


def test_output_that_cannot_be_written_is_one_line(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    with open("/dev/full", "w") as full:  # noqa: PTH123
        monkeypatch.setattr(sys, "stdout", full)
        with pytest.raises(SystemExit):
            main(["completion"])
    assert capsys.readouterr().err.startswith("bertlab: the output cannot be used: no space left on device; ")


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["rnu"], "rnu is no command; did you mean run?"),
        ([""], "'' is no command; the commands are run, "),
        (["xyzzy"], "xyzzy is no command; the commands are run, sweep, study, "),
        (["mask.rate=0.3"], "a command must come first, got mask.rate=0.3; did you mean bertlab run mask.rate=0.3?"),
        (["run", "lr=0.01"], "lr is not a key of the configuration; did you mean optimizer.lr?"),
        (["study", "mask_rat"], "study=mask_rat is not an option; did you mean mask_rate"),
        (["study"], "study must be named, got nothing; bertlab studies lists them"),
        (["study", "seed=1"], "study must be named, got nothing; "),
        (["--own", "gone", "runs"], "--own must be a folder, got gone; make it, "),
        (["studies", "--own"], "--own must be a folder, got nothing; make it, "),
        (["plan", "mask_rate", "sd=0"], "sd must lie in (0, 100), got 0"),
        (["runs"], "from must be the output_dir of some runs, got outputs without any; name another"),
        (["runs", "status=lost"], "status must be finished, diverged, running, failed, killed, got lost; choose one"),
        (["runs", "remove=true"], "remove needs a filter, got none; add one, such as status=failed"),
        (["studies", "from=gone"], "from must be the report_dir of studies, got gone, which is no folder"),
    ],
)
def test_a_mistake_is_one_line(
    words: list[str], line: str, capsys: Captured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as caught:
        main(words)
    printed = capsys.readouterr()
    assert (caught.value.code, printed.out, printed.err.count("\n")) == (2, "", 1)
    assert printed.err.startswith(f"bertlab: {line}")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("bertlab st", ["study ", "studies "]),
        ("bertlab study mask_ra", ["mask_rate ", "mask_rate_books ", "mask_rate_continued ", "mask_rate_ladder "]),
        ("bertlab run mask=sp", ["mask=span"]),
        ("bertlab run mask=span mask.lon", ["mask.longest="]),
        ("bertlab sweep optimizer.l", ["optimizer.lr="]),
        ("bertlab clean fr", ["from="]),
        ("bertlab nothing ", []),
    ],
)
def test_tab_completes_commands_studies_options_and_keys(line: str, found: list[str]) -> None:
    assert completed(line) == found


@pytest.mark.parametrize("place", [0, 1, 2], ids=["before", "behind the command", "behind all"])
def test_every_command_takes_a_users_own_folder_at_any_place(
    place: int, capsys: Captured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = make_own(tmp_path)
    for words, shown in (
        (["studies", "quick=true"], "first_tokens "),
        (["study", "first_tokens", "--help"], "first_tokens"),
        (["run", "mask=first", "--help"], "mask.count=8  "),
        (["run", "model/attention=cosine", "--help"], "*cosine "),
        (["completion", "line=bertlab study first"], "first_tokens "),
        (["site", "--help"], "bertlab site"),
    ):
        monkeypatch.setenv(VARIABLE, "")
        with suppress(SystemExit):
            main([*words[:place], "--own", str(own), *words[place:]])
        assert shown in capsys.readouterr().out


def test_tab_completes_what_a_folder_on_the_line_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "")
    own = make_own(tmp_path)
    assert completed(f"bertlab --own {own} run mask=fir") == ["mask=first"]
    assert completed(f"bertlab run mask=first --own {own} mask.c") == ["mask.count="]


def test_a_shell_that_evaluates_the_completion_completes(tmp_path: Path) -> None:
    (tmp_path / "bertlab").write_text(f'#!/bin/sh\nexec {sys.executable} -m bertlab "$@"\n')
    (tmp_path / "bertlab").chmod(0o755)
    script = (
        f'export PATH="{tmp_path}:$PATH" PYTHONPATH="{PACKAGE.parent}"; eval "$(bertlab completion)"; '
        'COMP_LINE="bertlab stu"; COMP_POINT=11; _bertlab; echo "${COMPREPLY[*]}"'
    )
    shell = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert shell.stdout.split() == ["study", "studies"]


@pytest.mark.parametrize("words", [["state=nope"], ["state=undecided", "quick=true"], ["quick=maybe"], ["from=nope"]])
def test_a_list_of_studies_that_cannot_be_is_one_line(capsys: Captured, words: list[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(["studies", *words])
    assert exit_.value.code == 2
    assert capsys.readouterr().err.startswith(f"bertlab: {words[0].partition('=')[0]} must be ")


def test_a_broken_study_of_a_users_own_folder_is_one_line(
    capsys: Captured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "")
    (tmp_path / "sweeps" / "study").mkdir(parents=True)
    (tmp_path / "sweeps" / "study" / "mine.yaml").write_text("not: [a", "utf-8")
    with pytest.raises(SystemExit) as exit_:
        main(["studies", "quick=true", "--own", str(tmp_path)])
    assert exit_.value.code == 2
    assert "mine.yaml must be YAML, got " in capsys.readouterr().err


def test_studies_have_their_questions_and_states(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(PACKAGE.parent)
    main(["studies", "quick=true"])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) > 40
    assert all(len(line.split()) > 4 for line in lines), "each with a question"
    from bertlab.commands.studies import state_of

    places = [Path("reports")]
    assert (state_of("mask_rate", places), state_of("mask_rate_books", places)) == ("undecided", "not run")
