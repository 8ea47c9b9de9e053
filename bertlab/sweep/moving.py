"""Resume in another environment: a run takes the newest checkpoint of the same run that another environment left.

Key and code must be the same; the number of devices may differ. Like results of other environments, such a checkpoint
counts only under `tracking.reuse=code` and `any`: the later results are equal up to rounding, not bit by bit.
"""

import json
import logging
import shutil
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from bertlab.identity.key import TARGET, code_fingerprint
from bertlab.tracking.checkpoint import Checkpoint, newest_checkpoint, save_checkpoint
from bertlab.tracking.metrics import Mark, holds
from bertlab.tracking.run_folder import ORIGIN, POINTS, RunFolder, checkpoints, run_folders_like

log = logging.getLogger(__name__)

TRAINERS = ("bertlab.train.fit.Hardware", "bertlab.train.devices.Hardware")  # equivalent trainers
MOVED = "bertlab.moved"  # tag: after which step, and from which environment


def take_over(config: Mapping[str, Any], cell: RunFolder, reuse: str) -> str:
    """Copy the newest checkpoint of another environment into a run folder without one; return a message, or "".

    The caller holds the lock of the run folder. A run that another process trains is skipped.
    """
    if reuse == "same" or checkpoints(cell.folder) or config["trainer"][TARGET] not in TRAINERS:
        return ""
    codes = {code_fingerprint({**config, "trainer": {**config["trainer"], TARGET: target}}) for target in TRAINERS}
    others = [other for other in run_folders_like(cell.folder.parents[1], cell.key) if other.code in codes]
    found = [each for other in others if other.folder != cell.folder and (each := _left(other))]
    if not found:
        return ""
    other, newest = max(found, key=lambda each: each[1].step)
    shutil.copyfile(other.folder / POINTS, cell.folder / POINTS)
    save_checkpoint(cell.folder, replace(newest, about={**newest.about, **cell.made_by}))
    said = f"after step {newest.step:,} from {_environment(other)}"
    log.info("taken over %s", said)
    return said


def _left(other: RunFolder) -> tuple[RunFolder, Checkpoint] | None:
    """Return the newest checkpoint of a stopped run, and its run folder."""

    def fault(about: Mapping[str, Any]) -> str | None:
        is_good = other.made_by.items() <= about.items() and holds(other.folder / POINTS, Mark(**about["points"]))
        return None if is_good else "it does not belong to its cell"

    with other.held(0) as held:
        newest = newest_checkpoint(other.folder, fault) if held else None
    return (other, newest) if newest else None


def _environment(other: RunFolder) -> str:
    try:
        told = json.loads((other.folder / ORIGIN).read_text("utf-8"))["environment"]
        return f"{told['device']}, threads {told['threads']}, devices {told.get('devices', 1)}"
    except (OSError, ValueError, KeyError):
        return "another environment"
