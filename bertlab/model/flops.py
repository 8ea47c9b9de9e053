"""FLOPs of a training step, counted by torch on the model itself, so that every variant is counted as built.

A multiply-add is two FLOPs. Only matrix products count, not element-wise work (torch.utils.flop_counter). We count a
forward and a backward pass of one sequence and of one predicted position; a step is linear in both. Padding and unread
states of the last layer count too, although a step skips them: the architecture is counted.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from bertlab.data.batches import Batch
from bertlab.model.bert import Bert
from bertlab.model.count import part_of

CONTAINERS = ("", "embedding", "blocks")  # their modules are counted as parts


@dataclass(frozen=True)
class Flops:
    """Forward and backward FLOPs of training."""

    per_sequence: int
    per_prediction: int

    def of_step(self, batch: Batch) -> int:
        """Return the FLOPs of one training step."""
        return len(batch.ids_BL) * self.per_sequence + len(batch.target_M) * self.per_prediction


@dataclass(frozen=True)
class StagedFlops:
    """FLOPs of a run whose sequence length changes."""

    by_length: Mapping[int, Flops]

    def of_step(self, batch: Batch) -> int:
        """Return the FLOPs of one training step."""
        return self.by_length[batch.ids_BL.shape[1]].of_step(batch)


def count_flops(model: Bert, length: int) -> Flops:
    """Count the FLOPs of training on sequences of `length` tokens; does not change the model."""
    weight = model.decoder_weight
    zeros_1L = torch.zeros(1, length, dtype=torch.int64, device=weight.device)
    first_1 = zeros_1L[0, :1]
    with _counting(model) as counter:
        output = model(Batch(zeros_1L, zeros_1L, None, first_1, first_1, first_1, has_pairs=True))
        (output.mlm_MV.sum() + output.pair_B2.sum()).backward()
    whole = counter.get_total_flops()
    with _counting(model) as counter:
        state_1D = model.mlm_head(weight.new_zeros(1, weight.shape[1]).requires_grad_())
        replace(output, state_MD=state_1D).mlm_MV.sum().backward()
    prediction = counter.get_total_flops()
    model.zero_grad(set_to_none=True)
    return Flops(per_sequence=int(whole - prediction), per_prediction=int(prediction))


def forward_flops(model: Bert, batch: Batch) -> dict[str, int]:
    """Count the FLOPs of one forward pass by part; does not change the model.

    Products outside every part, such as scores between positions, are `between parts`.
    """
    with _counting(model) as counter:
        output = model(batch)
        before = counter.get_total_flops()
        output.mlm_MV  # noqa: B018 - the product that scores the vocabulary
        scoring = counter.get_total_flops() - before
    found = Counter({part_of("mlm_head"): scoring})
    for path, flops in counter.get_flop_counts().items():
        inside = path.partition(".")[2]  # without the model's own name
        part = part_of(inside)
        if part not in CONTAINERS and part != part_of(inside.rpartition(".")[0]):
            found[part] += sum(flops.values())
    if between := counter.get_total_flops() - found.total():
        found["between parts"] = between
    return dict(found)


@contextmanager
def _counting(model: Bert) -> Iterator[FlopCounterMode]:
    """Make the model compute all states and leave running statistics unchanged, while counting."""
    training, reads_few = model.training, model.reads_few
    model.eval()
    model.reads_few = False
    try:
        # The counter does not know fused attention kernels for the CPU; the plain formula has the same products.
        with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
            yield counter
    finally:
        model.train(training)
        model.reads_few = reads_few
