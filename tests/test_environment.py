"""What computes a run is told so that what gives other last digits is another environment."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from bertlab.environment import environment_of, usable_cores

TRAINER: dict[str, Any] = {"accelerator": "cpu", "threads": 1, "compile": False}


@pytest.fixture(autouse=True)
def _plain(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "MKL_ENABLE_INSTRUCTIONS", "MKL_CBWR"):
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
def test_threads_and_compilation_tell_environments_apart(change: dict[str, Any], told: str) -> None:
    assert told in str(environment_of({**TRAINER, **change}))
    assert told not in str(environment_of(TRAINER))


def test_no_number_of_threads_is_all_cores_whatever_a_launcher_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    assert environment_of({**TRAINER, "threads": None}).threads == usable_cores()


def test_a_limit_on_instructions_tells_environments_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    free = environment_of(TRAINER)
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "sse41")
    assert str(environment_of(TRAINER)) == f"{free}, ONEDNN_MAX_CPU_ISA=SSE41"


def test_the_name_of_the_processor_is_kept_and_tells_none_apart() -> None:
    found = environment_of(TRAINER)
    assert found.processor
    assert str(replace(found, processor="another")) == str(found)
