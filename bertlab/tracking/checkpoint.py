"""Checkpoints: tensors and their metadata in one safetensors file, complete or absent, checked when loaded.

The newest valid one is used; the one before it is kept until the next, in case the disk loses the newest.
"""

import hashlib
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from bertlab.tracking.files import refusing, whole
from bertlab.tracking.run_folder import checkpoints

log = logging.getLogger(__name__)

KEPT = 2


@dataclass(frozen=True)
class Checkpoint:
    """A run after `step` steps. `about` has JSON values: key, code, run id, counters, mark of the points."""

    step: int
    tensors: Mapping[str, Tensor]
    about: Mapping[str, Any]


def save_checkpoint(folder: Path, checkpoint: Checkpoint) -> Path:
    """Write `checkpoint-<step>.safetensors` and remove all but the newest two. Raises InputError for a full disk."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in checkpoint.tensors.items()}
    about = json.dumps({"step": checkpoint.step, **checkpoint.about})
    path = folder / f"checkpoint-{checkpoint.step:012d}.safetensors"
    with whole(path) as temporary:
        try:
            save_file(tensors, temporary, {"about": about, "sha256": content_hash(tensors, about)})
        except Exception as error:  # safetensors has its own type for errors of the system
            raise error if isinstance(error, OSError) else OSError(getattr(error, "errno", None), str(error)) from error
    with refusing(path):
        for old in checkpoints(folder)[:-KEPT]:
            old.unlink()
    return path


def newest_checkpoint(folder: Path, fault: Callable[[Mapping[str, Any]], str | None]) -> Checkpoint | None:
    """Return the newest complete checkpoint in which `fault` finds no fault; others are skipped with a warning."""
    for path in reversed(checkpoints(folder)):
        try:
            found = load_checkpoint(path)
            reason = fault(found.about)
        except Exception as error:  # each kind of damage raises its own type
            reason = " ".join(str(error).split())[:200] or type(error).__name__
        if reason is None:
            return found
        log.warning("%s is skipped: %s", path, reason)
    return None


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint. Raises ValueError, KeyError, OSError or safetensors' error for a damaged one."""
    with safe_open(path, "pt") as file:
        about, expected = file.metadata()["about"], file.metadata()["sha256"]
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # not a mapping
    if content_hash(tensors, about) != expected:
        raise ValueError("its content is not what was written")
    fields = json.loads(about)
    return Checkpoint(int(fields["step"]), tensors, fields)


def content_hash(tensors: Mapping[str, Tensor], about: str) -> str:
    """Hash names, types, shapes and bytes of some tensors on the CPU, and a text."""
    total = hashlib.sha256(about.encode())
    for name in sorted(tensors):
        tensor = tensors[name].contiguous()
        total.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        total.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return total.hexdigest()
