"""Training that continues from another run with its optimiser's state: `start.optimizer=true`.

Enters: the folder from which a run starts, with the state that `trainer=keeping_all` kept. Leaves: that state. The new
run starts with it at its own step 0, with its own schedule and batches.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import yaml

from bertlab.config.errors import InputError, true_or_false
from bertlab.data.weights import REFUSE, Start, start_of
from bertlab.tracking.run_folder import START_STATE

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from torch import Tensor

NOTHING_YET = {  # recorder's counters of a run before its first step
    **dict.fromkeys(("tokens", "predicted_tokens"), 0),
    **dict.fromkeys(("flops", "seconds"), 0.0),
    "outcome": "",
}


def continues(config: Mapping[str, Any]) -> bool:
    """Return whether a run takes over an optimiser's state. Raises InputError."""
    asked = config.get("start", {}).get("optimizer", False)
    true_or_false("start.optimizer", asked)
    return bool(asked)


def check_continued(config: Mapping[str, Any]) -> None:
    """Raise InputError for a missing state, or one that the run's optimiser cannot use."""
    if not continues(config):
        return
    start = start_of(config)
    if start is None or not (start.folder / START_STATE).is_file():
        raise InputError(
            "start.optimizer=true must go with start=run:ID@TOKENS of a run that kept the state of its optimiser, got "
            f"{'no start' if start is None else start.said}; train that run with trainer=keeping_all "
            "trainer.keep_at=[TOKENS], or leave start.optimizer out"
        )
    if start.missing != REFUSE:
        raise InputError(
            f"start.missing must be {REFUSE} with start.optimizer=true, which belongs to all weights, got "
            f"{start.missing}; leave one of them out"
        )
    own = config["optimizer"]["_target_"].rpartition(".")[2]
    kept = str(yaml.safe_load(start.config.read_text("utf-8"))["optimizer"]["_target_"]).rpartition(".")[2]
    if own != kept:
        raise InputError(
            f"optimizer must be that of the start with start.optimizer=true, got {own} after {kept}; choose "
            f"optimizer={kept}, or leave start.optimizer out"
        )


def state_of(start: Start, tokenizer: "Tokenizer") -> "Mapping[str, Tensor]":
    """Return weights and optimiser state by the names of a checkpoint.

    Raises InputError for a tokenizer with other tokens or another order: embedding rows would belong to other tokens.
    """
    from bertlab.model.start import rows_of
    from bertlab.tracking.checkpoint import load_checkpoint

    rows_V = rows_of(tokenizer, start)
    tensors = load_checkpoint(start.folder / START_STATE).tensors
    if rows_V != list(range(len(tensors["model.embedding.token.weight"]))):
        raise InputError(
            "tokenizer must be that of the start with start.optimizer=true, got one with other tokens; choose "
            f"tokenizer=file tokenizer.path={start.tokenizer.parent}, or leave start.optimizer out"
        )
    return tensors
