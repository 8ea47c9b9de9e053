"""Sharing: layers with the same weights (Lan et al. 2020, ALBERT, arXiv:1909.11942, sec. 3.1)."""

from collections.abc import Sequence

from torch import nn

from bertlab.config.bounds import bounded
from bertlab.config.errors import InputError


@bounded
def share(blocks: nn.ModuleList, *, parts: Sequence[str]) -> None:
    """Replace the modules of these names in every block, at any depth, by those of the first block.

    Raises InputError if there is nothing to share.
    """
    if parts and len(blocks) < 2:
        raise InputError(
            f"model.layers must be at least 2 for model/sharing, got {len(blocks)}; choose model/sharing=none"
        )
    found = {path: module for path, module in blocks[0].named_modules() if path.rpartition(".")[2] in parts}
    if missing := set(parts) - {path.rpartition(".")[2] for path in found}:
        raise InputError(
            f"model/sharing shares {', '.join(sorted(missing))}, which layers with this model/attention and "
            "model/feed_forward have not; choose model/sharing=none, or attention or feed_forward where there is one"
        )
    for block in blocks[1:]:
        for path, module in found.items():
            block.set_submodule(path, module)
