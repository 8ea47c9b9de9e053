"""Going on elsewhere: a run takes over the newest checkpoint of the same run that another environment left.

That is a run of the same key whose code is the same, be it divided among devices or not. As results of other
environments do, such a checkpoint counts under `tracking.reuse=code` and `any` alone: what follows it is equal to what
would have followed there to rounding, not to the bit.
"""

import json
import logging
import shutil
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from bertlab.ledger.checkpoint import Checkpoint, newest_checkpoint, save_checkpoint
from bertlab.ledger.metrics import Mark, holds
from bertlab.ledger.run_folder import ORIGIN, POINTS, RunFolder, checkpoints, run_folders_like
from bertlab.tracking.identity import TARGET, code_fingerprint

log = logging.getLogger(__name__)

TRAINERS = ("bertlab.train.fit.Hardware", "bertlab.train.devices.Hardware")  # make the same of the same state
MOVED = "bertlab.moved"  # the tag that says from where and when


def take_over(config: Mapping[str, Any], cell: RunFolder, reuse: str) -> str:
    """Put the newest checkpoint of another environment into a cell that has none; return what to say of it, or "".

    Hold the cell meanwhile. One that somebody else trains is left alone.
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
    """Return the newest checkpoint of a run that was stopped, with its cell."""

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
