"""The environment of a run: torch version, CPU instructions, threads, devices, compilation.

In another environment the same configuration and code give other last digits, and after many steps other losses. So the
environment is part of the search for a finished run.
"""

import ctypes
import os
import platform
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

LIMITS = (  # variables that make torch, oneDNN or MKL choose other kernels
    *("ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "MKL_ENABLE_INSTRUCTIONS", "MKL_CBWR"),
)
CPU, CUDA = "cpu", ("cuda", "gpu")
CARDS = ("nvidia*", "nvhost*", "nvgpu*", "nvmap", "kfd", "dxg")  # GPU devices in /dev: NVIDIA, NVIDIA boards, AMD, WSL
DRIVER = "libcuda.so.1"


@dataclass(frozen=True)
class Environment:
    """An environment. `processor` is for information only; it does not distinguish environments."""

    torch: str
    device: str  # CPU instructions, or the name of the GPU
    threads: int
    compile: str  # mode of torch.compile, "" for none
    limits: Mapping[str, str]
    processor: str
    devices: int = 1
    accumulate: int = 1  # number of parts into which a device divides a batch

    def __str__(self) -> str:
        limits = [f"{name}={value}" for name, value in self.limits.items()]
        compiled = [f"compiled ({self.compile})"] if self.compile else []
        threads = f"{self.threads} thread{'s' if self.threads > 1 else ''}"
        devices = [f"{self.devices} devices"] if self.devices > 1 else []
        parts = [f"{self.accumulate} parts a batch"] if self.accumulate > 1 else []
        return ", ".join([f"torch {self.torch}", self.device, threads, *devices, *parts, *compiled, *limits])


def environment_of(trainer: Mapping[str, Any]) -> Environment:
    """Return the environment in which this process would train. `trainer`: the section of the configuration."""
    import torch  # this import takes seconds, and reports do not need it

    compiled = {False: "", True: "default"}.get(trainer["compile"], str(trainer["compile"]))
    limits = {name: os.environ[name].upper() for name in LIMITS if os.environ.get(name)}
    threads = usable_cores() if trainer["threads"] is None else int(trainer["threads"])
    device = _device(str(trainer["accelerator"]), torch)
    divided = (int(trainer.get(name, 1)) for name in ("devices", "accumulate"))
    return Environment(torch.__version__, device, threads, compiled, limits, processor(), *divided)


def _device(accelerator: str, torch: Any) -> str:
    on_cuda = accelerator in CUDA or (accelerator == "auto" and torch.cuda.is_available())
    if on_cuda and torch.cuda.is_available():
        return str(torch.cuda.get_device_name(0))
    if accelerator in (CPU, "auto"):
        return f"{CPU} {torch.backends.cpu.get_cpu_capability()}"
    return accelerator  # an unknown or missing device; the program refuses it before any run


def lacks_card(devices: Path = Path("/dev"), driver: str = DRIVER) -> bool:
    """Return whether there is certainly no GPU, without torch: no device file and no driver."""
    if sys.platform != "linux" or any(any(devices.glob(name)) for name in CARDS):
        return False
    try:
        ctypes.CDLL(driver)
    except OSError:
        return True
    return False


def usable_cores() -> int:
    """Return the number of cores that this process may use; ignores thread limits set by launchers."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@cache
def processor() -> str:
    """Return the name of the processor."""
    told = Path("/proc/cpuinfo")
    lines = told.read_text(encoding="utf-8", errors="replace").splitlines() if told.is_file() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())
