"""Checks which settings belong together for detection of replaced tokens, before torch is imported."""

from collections.abc import Mapping
from typing import Any

from bertlab.config.building import build_part
from bertlab.config.errors import InputError
from bertlab.mask.piecewise import Piecewise
from bertlab.mask.rated import Rated
from bertlab.mask.scheduled import Scheduled
from bertlab.mask.static import Static
from bertlab.tasks.own import KINDS, Tasks

MODEL = "bertlab.model.replaced.build"
OBJECTIVE = "bertlab.objective.replaced.Replaced"
EVALUATION = "bertlab.evaluation.detection.Detection"
NO_HEAD = "an encoder that detects replaced tokens has no head for masked tokens"


def check_detection(config: Mapping[str, Any]) -> None:
    """Raise InputError for a model with a generator, or its objective, without the matching other settings."""
    has_generator, detects = config["model"]["_target_"] == MODEL, config["objective"]["_target_"] == OBJECTIVE
    if not has_generator and not detects:
        return
    if has_generator != detects:
        raise InputError(
            f"model and objective must both detect replaced tokens, got {'the model' if detects else 'the objective'} "
            "of another kind; choose model=replaced objective=replaced, or neither of them"
        )
    if (judged := config["evaluation"]["_target_"]) != EVALUATION:
        raise InputError(
            f"evaluation must do without a head for masked tokens with objective=replaced, got "
            f"{judged.rpartition('.')[2]}; choose evaluation=detection, which has tasks=[...] too"
        )
    _check_mask(build_part(config, "mask"))
    for key in ("prune", "longest"):
        if value := config["evaluation"][key]:
            raise InputError(
                f"evaluation.{key} must be left out with objective=replaced, got {value}: {NO_HEAD}; drop it"
            )
    tasks = Tasks(**{key: value for key, value in config["evaluation"]["tasks"].items() if key != "_target_"})
    if asked := [task for task in tasks.asked if KINDS[task.kind].head == "alternatives"]:
        raise InputError(
            f"tasks must be learnt with objective=replaced, got {asked[0].name} of kind {asked[0].kind}: {NO_HEAD}; "
            "leave it out"
        )
    for key in ("devices", "accumulate"):
        if (value := config["trainer"].get(key, 1)) != 1:
            raise InputError(
                f"trainer.{key} must be 1 with objective=replaced, whose detection is a mean over a whole batch, got "
                f"{value}; leave it out"
            )


def _check_mask(mask: object) -> None:
    """Raise InputError for a policy that leaves corrupted tokens without a prediction, or that hides none."""
    inner = mask.policy if isinstance(mask, Static) else mask
    if not isinstance(inner, Rated | Scheduled | Piecewise):
        raise InputError(
            f"mask must predict at their places the tokens that it corrupts, as a generator does, got "
            f"{type(inner).__name__}; choose mask=token, whole_word, span, scheduled, piecewise or static"
        )
