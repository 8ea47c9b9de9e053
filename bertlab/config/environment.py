"""What computes a run: the version of torch, the processor's instructions, threads, devices, compilation.

The same configuration and code give other last digits in another environment, and after many steps other losses. So an
environment belongs to what a finished run is found by.
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

LIMITS = (  # choose other kernels, of torch, oneDNN or MKL, than the processor would get
    *("ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "MKL_ENABLE_INSTRUCTIONS", "MKL_CBWR"),
)
CPU, CUDA = "cpu", ("cuda", "gpu")
CARDS = ("nvidia*", "nvhost*", "nvgpu*", "nvmap", "kfd", "dxg")  # in /dev: of NVIDIA, of its boards, of AMD, of WSL
DRIVER = "libcuda.so.1"


@dataclass(frozen=True)
class Environment:
    """An environment. `processor` is kept to be read: it is not part of what tells environments apart."""

    torch: str
    device: str  # instructions of the CPU, or the name of the GPU
    threads: int
    compile: str  # mode of torch.compile, "" for none
    limits: Mapping[str, str]
    processor: str
    devices: int = 1
    accumulate: int = 1  # parts in which a device works on a batch

    def __str__(self) -> str:
        limits = [f"{name}={value}" for name, value in self.limits.items()]
        compiled = [f"compiled ({self.compile})"] if self.compile else []
        threads = f"{self.threads} thread{'s' if self.threads > 1 else ''}"
        devices = [f"{self.devices} devices"] if self.devices > 1 else []
        parts = [f"{self.accumulate} parts a batch"] if self.accumulate > 1 else []
        return ", ".join([f"torch {self.torch}", self.device, threads, *devices, *parts, *compiled, *limits])


def environment_of(trainer: Mapping[str, Any]) -> Environment:
    """Return the environment in which this process would train, by the `trainer` section of a configuration."""
    import torch  # takes seconds, and reports need none of it

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
    return accelerator  # of another kind, or one that this machine lacks: refused before anything runs


def lacks_card(devices: Path = Path("/dev"), driver: str = DRIVER) -> bool:
    """Tell whether it is certain, without torch, that torch finds no GPU here: no device of one, and no driver."""
    if sys.platform != "linux" or any(any(devices.glob(name)) for name in CARDS):
        return False
    try:
        ctypes.CDLL(driver)
    except OSError:
        return True
    return False


def usable_cores() -> int:
    """Return the cores that this process may use, whatever a launcher told its workers about threads."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@cache
def processor() -> str:
    """Return the name of the processor."""
    told = Path("/proc/cpuinfo")
    lines = told.read_text(encoding="utf-8", errors="replace").splitlines() if told.is_file() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())
