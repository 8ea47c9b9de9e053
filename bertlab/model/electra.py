"""Export of a model that detects replaced tokens to `ElectraForPreTraining` of transformers, with equal scores.

Its encoder has the layers of BERT. The generator and the head for pairs are not exported.
"""

from typing import Any

import torch

from bertlab.model.expressible import check_expressible
from bertlab.model.reference import Weights, to_reference_parts
from bertlab.model.replaced import Replaced
from bertlab.model.value_residual import check_own_values

KEPT = ("bert.embeddings.", "bert.encoder.")
HEAD = {"transform": "dense", "classify": "dense_prediction"}  # ours: theirs


@torch.no_grad()
def to_electra(model: Replaced) -> tuple[dict[str, Any], Weights]:
    """Return configuration and weights, on the CPU, with which `ElectraForPreTraining` gives the same token scores.

    Raises InputError that names the unsupported part.
    """
    check_own_values(model)
    check_expressible(model)
    config, weights = to_reference_parts(model)
    own = {"model_type": "electra", "architectures": ["ElectraForPreTraining"], "embedding_size": model.shape.width}
    found = {name.replace("bert.", "electra.", 1): value for name, value in weights.items() if name.startswith(KEPT)}
    for ours, theirs in HEAD.items():
        for name, value in model.detection_head.get_submodule(ours).state_dict().items():
            found[f"discriminator_predictions.{theirs}.{name}"] = value.cpu().clone()
    return config | own, found
