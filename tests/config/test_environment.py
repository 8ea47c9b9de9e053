"""The environment of a run: hardware and software that give other last digits are another environment."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from bertlab.config.environment import LIMITS, environment_of, lacks_card, usable_cores

TRAINER: dict[str, Any] = {"accelerator": "cpu", "threads": 1, "compile": False}


@pytest.fixture(autouse=True)
def _plain(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in LIMITS:
        monkeypatch.delenv(name, raising=False)


def test_an_environment_names_torch_instructions_and_threads() -> None:
    capability = torch.backends.cpu.get_cpu_capability()
    assert str(environment_of(TRAINER)) == f"torch {torch.__version__}, cpu {capability}, 1 thread"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"threads": 3}, "3 threads"),
        ({"compile": True}, "compiled (default)"),
        ({"compile": "reduce-overhead"}, "compiled (reduce-overhead)"),
    ],
)
def test_threads_and_compilation_give_different_environments(change: dict[str, Any], told: str) -> None:
    assert told in str(environment_of({**TRAINER, **change}))
    assert told not in str(environment_of(TRAINER))


def test_without_a_number_of_threads_all_cores_are_used_with_any_launcher(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    assert environment_of({**TRAINER, "threads": None}).threads == usable_cores()


@pytest.mark.parametrize("name", ["ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA"])
def test_a_limit_on_instructions_gives_another_environment(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    free = environment_of(TRAINER)
    monkeypatch.setenv(name, "sse41")
    assert str(environment_of(TRAINER)) == f"{free}, {name}=SSE41"


def test_the_name_of_the_processor_is_kept_but_gives_no_other_environment() -> None:
    found = environment_of(TRAINER)
    assert found.processor
    assert str(replace(found, processor="another")) == str(found)


@pytest.mark.parametrize("device", ["nvidia0", "nvidiactl", "nvhost-gpu", "nvmap", "kfd", "dxg"])
def test_a_machine_with_a_device_of_any_kind_of_gpu_is_never_said_to_lack_one(device: str, tmp_path: Path) -> None:
    (tmp_path / device).touch()
    assert not lacks_card(tmp_path, "absent.so")


def test_a_driver_alone_may_find_a_gpu_too(tmp_path: Path) -> None:
    assert not lacks_card(tmp_path, "libc.so.6")


def test_a_linux_machine_without_device_and_driver_has_no_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "null").touch()
    monkeypatch.setattr(sys, "platform", "linux")
    assert lacks_card(tmp_path, "absent.so")
    monkeypatch.setattr(sys, "platform", "darwin")
    assert not lacks_card(tmp_path, "absent.so")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no GPU")
def test_a_machine_whose_gpu_torch_finds_does_not_lack_one() -> None:
    assert not lacks_card()
