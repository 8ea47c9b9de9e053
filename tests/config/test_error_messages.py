"""Errors in one line: each kind has its message, and None if the fault is in bertlab."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from hydra.utils import instantiate

from bertlab.config.compose import load, resolved
from bertlab.config.error_messages import explain, one_line_errors
from bertlab.config.errors import InputError


def error_of(*overrides: str) -> Exception:
    """Return the error of composing and building."""
    from bertlab.config.building import build_parts

    with pytest.raises(Exception) as caught:  # noqa: PT011 - each kind is told apart by its explanation
        build_parts(resolved(load(overrides)))
    return caught.value


@pytest.mark.parametrize(
    ("overrides", "line"),
    [
        (["mask.rte=0.3"], "mask.rte is not a key of the configuration; did you mean mask.rate or "),
        (["modl=tiny"], "modl is not a key of the configuration; did you mean model?"),
        (["xyzzy=1"], "xyzzy is not a key of the configuration; bertlab run --help lists the keys"),
        (["model=huge"], "model=huge is not an option; choose one of base, mini, modernbert, nano, replaced, "),
        (["model/position=absolute"], "model/position=absolute is not an option; choose one of alibi, learned, "),
        (["data=text"], "data.files must be given; add data.files=... to the command line"),
        (["mask=null"], "a config group takes the name of an option; bertlab run --help lists groups and"),
        (["foo"], "arguments must be key=value that can be read, got foo; write foo=... or leave it out"),
        (["mask.rate=0.1,0.2"], "mask.rate must be one value, got 0.1,0.2; choose one, or write mask.rate=[0.1,0.2]"),
        (["mask.rate=1.5"], "mask.rate must lie in (0, 1), got 1.5; choose a number inside"),
        (["+mask.extra=3"], "mask.extra is not a key of this part; bertlab run --help lists the keys"),
        (["+evaluation.text.extra=3"], "evaluation.text.extra is not a key of this part; bertlab run --help"),
        (["~mask.rate"], "mask cannot be built: "),
        (["seed=${nothing}"], "Interpolation key 'nothing' not found"),
    ],
)
def test_input_errors_become_one_line(overrides: list[str], line: str) -> None:
    explained = explain(error_of(*overrides))
    assert explained is not None
    assert explained.startswith(line)
    assert "\n" not in explained


def test_the_input_error_behind_another_error_is_the_one_that_counts() -> None:
    with pytest.raises(ValueError, match="outer") as caught:
        wrap(InputError("seed must be\na number"))
    assert explain(caught.value) == "seed must be a number"


def wrap(error: Exception) -> None:
    try:
        raise error
    except Exception as inner:
        raise ValueError("outer") from inner


def test_a_file_that_cannot_be_used_is_named() -> None:
    error = NotADirectoryError(errno.ENOTDIR, "Not a directory", "letter/outputs")
    assert explain(error) == "letter/outputs cannot be used: not a directory; choose another with output_dir=..."


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), "DefaultCPUAllocator: can't allocate "),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB."), "CUDA out of memory. Tried to "),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "[Errno 12] Cannot allocate memory)"),
        (MemoryError(), "MemoryError)"),
    ],
)
def test_too_little_memory_names_what_to_lower(error: Exception, reason: str) -> None:
    line = explain(error)
    assert line is not None
    assert line.startswith(f"this needs more memory than there is ({reason}")
    assert line.endswith("; lower batch.size or batch.length, or choose a smaller model or corpus")


@pytest.mark.parametrize(
    "error", [ZeroDivisionError("division by zero"), ValueError("odd"), OSError("odd"), KeyError("a")]
)
def test_what_is_our_fault_is_not_explained(error: Exception) -> None:
    assert explain(error) is None


def test_a_part_that_breaks_for_a_reason_of_its_own_names_itself() -> None:
    with pytest.raises(Exception) as caught:  # noqa: PT011
        instantiate({"mask": {"_target_": "bertlab.mask.token.TokenMask", "rate": 0.3, "wrong": 1}})
    assert explain(caught.value) == ("mask.wrong is not a key of this part; bertlab run --help lists the keys")


@contextmanager
def exit_code(expected: int) -> Iterator[None]:
    with pytest.raises(SystemExit) as caught:
        yield
    assert caught.value.code == expected


@pytest.fixture(autouse=True)
def _plain_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BERTLAB_TRACEBACK", raising=False)


def test_an_input_error_is_one_line_and_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    with exit_code(2), one_line_errors():
        raise InputError("seed must be a whole number, got abc")
    assert capsys.readouterr() == ("", "bertlab: seed must be a whole number, got abc\n")


def test_an_interrupt_is_one_line_and_code_130(capsys: pytest.CaptureFixture[str]) -> None:
    with exit_code(130), one_line_errors():
        raise KeyboardInterrupt
    assert capsys.readouterr().err == "bertlab: interrupted; type the same command to run it again\n"


def test_an_error_of_ours_keeps_its_traceback_and_has_code_1(capsys: pytest.CaptureFixture[str]) -> None:
    with exit_code(1), one_line_errors():
        raise ZeroDivisionError("division by zero")
    printed = capsys.readouterr().err
    assert printed.startswith("Traceback (most recent call last):")
    assert printed.endswith("bertlab: stopped by an error of its own (ZeroDivisionError); please report it\n")


@pytest.mark.parametrize("wish", ["environment", "hydra.verbose"])
def test_the_traceback_comes_back_on_demand(
    wish: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if wish == "environment":
        monkeypatch.setenv("BERTLAB_TRACEBACK", "1")
    with exit_code(2), one_line_errors(["hydra.verbose=true"] if wish == "hydra.verbose" else []):
        raise InputError("seed must be a whole number")
    printed = capsys.readouterr().err
    assert printed.startswith("Traceback (most recent call last):")
    assert printed.endswith("bertlab: seed must be a whole number\n")


def test_an_exit_passes_as_it_is() -> None:
    with exit_code(143), one_line_errors():
        raise SystemExit(143)


def test_what_goes_well_is_left_alone(capsys: pytest.CaptureFixture[str]) -> None:
    with one_line_errors():
        pass
    assert capsys.readouterr() == ("", "")


def test_a_key_that_other_options_have_is_no_remedy_for_itself() -> None:
    line = explain(error_of("mask=noise", "mask.rate=0.3"))
    assert line == "mask.rate is not a key of the configuration; did you mean mask.split or mask?"


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (
            ["data.files=a.txt"],
            "data.files is not a key of the configuration; of the options data=mixed and data=text ",
        ),
        (["schedule.floor=0.1"], "schedule.floor is not a key of the configuration; "),
        (["study=heads", "study.margin={nats: 1}"], "study.margin has keys of its own, study.margin.tokens; set them "),
    ],
)
def test_a_key_that_other_options_have_leads_to_them(words: list[str], line: str) -> None:
    explained = explain(error_of(*words), words)
    assert explained is not None
    assert explained.startswith(line)
