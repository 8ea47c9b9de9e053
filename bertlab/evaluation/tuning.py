"""A model learns a task: all of its weights and a new layer, or a linear layer alone that reads its frozen states.

Fine-tuning is done as by Devlin et al. 2018, sec. 4: Adam with a warm-up and a linear decay, and a learning rate that
is chosen on `valid`. It stops where more passes make it no better there. Examples of like length share a batch. The
model is copied and left as it was. Ties go to the lower rate, the earlier pass and the larger penalty.

Legend: R answers, C outputs, F numbers that a head reads.
"""

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, mse_loss
from torch.optim.lr_scheduler import LambdaLR

from bertlab.data.batches import Batch
from bertlab.evaluation.reads import READS, Spots, padded
from bertlab.evaluation.sequences import STREAMS
from bertlab.model.bert import Bert
from bertlab.optim.optimizer import adamw
from bertlab.tasks.encoding import Example
from bertlab.tasks.kind import Kind, Prepared
from bertlab.tasks.metrics import Array
from bertlab.tasks.own import Tuning

WARM_UP, CLIP = 0.1, 1.0  # share of the steps; norm of a gradient
TOGETHER, LEAST = 50, 16  # batches, at most, whose examples are put in order of length; groups of them in an epoch
PENALTIES = (1.0, 1e-1, 1e-2, 1e-3, 1e-4)  # on the squared weights of a probe, of standardised states
STEPS = 100  # of L-BFGS at most
Loss = Callable[[Tensor, Tensor], Tensor]
LOSSES: Mapping[str, Loss] = {
    "classes": cross_entropy,
    "numbers": lambda score_R1, target_R: mse_loss(score_R1[:, 0], target_R.to(score_R1.dtype)),
    "labels": lambda score_RC, target_RC: binary_cross_entropy_with_logits(score_RC, target_RC.to(score_RC.dtype)),
}


@dataclass(frozen=True)
class Learner:
    """A model, and a task that it is to learn."""

    model: Bert
    kind: Kind
    task: Prepared
    tuning: Tuning
    cls: bool  # whether sequences start with [CLS]
    device: torch.device

    def scores(self, seed: int) -> Array:
        """Return the outputs for `test` (R, C) of what did best on `valid`."""
        return self._probed() if self.tuning.method == "probe" else self._tuned(seed)

    def _tuned(self, seed: int) -> Array:
        best, found = -np.inf, None
        for rate in sorted(self.tuning.rates):
            head, value = self._learnt(rate, seed)
            if found is None or value > best:
                best, found = value, self._read(head, self.task.parts.test)
        assert found is not None, "there is a rate"
        return found

    @torch.enable_grad()
    def _learnt(self, rate: float, seed: int) -> tuple["Head", float]:
        """Return a head as it was after its best pass, and its value on `valid`; chance is the same for every arm."""
        stream = f"tasks/{seed}"
        head = Head(self.model, self.kind, self.task.outputs, STREAMS.generator(f"{stream}/head")).to(self.device)
        optimizer = adamw(head, lr=rate, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01)
        total = self.tuning.epochs * -(-len(self.task.parts.train) // self.tuning.size)
        schedule = LambdaLR(optimizer, partial(_share, total=total))
        best, kept, waited = -np.inf, head, 0
        with torch.random.fork_rng(devices=[self.device] if self.device.type == "cuda" else []):
            torch.manual_seed(STREAMS.integer(stream))  # dropout
            for epoch in range(self.tuning.epochs):
                head.train()
                for rows in by_length(self.task.parts.train, self.tuning.size, STREAMS.generator(stream, epoch)):
                    optimizer.zero_grad()
                    self._loss(head, rows).backward()  # type: ignore[no-untyped-call]
                    nn.utils.clip_grad_norm_(head.parameters(), CLIP)
                    optimizer.step()
                    schedule.step()
                value = self._value(self._read(head, self.task.parts.valid))
                if value > best:
                    best, kept, waited = value, copy.deepcopy(head), 0
                elif (waited := waited + 1) >= self.tuning.patience:
                    break
        return kept, best

    def _loss(self, head: "Head", examples: Sequence[Example]) -> Tensor:
        return LOSSES[self.kind.loss](
            self._outputs(head, examples), torch.from_numpy(targets(examples)).to(self.device)
        )

    def _outputs(self, head: "Head", examples: Sequence[Example]) -> Tensor:
        batch, spots = padded(examples, cls=self.cls)
        return head(batch.to(self.device), spots)  # type: ignore[no-any-return]

    @torch.no_grad()
    def _read(self, head: "Head", examples: Sequence[Example]) -> Array:
        """Return the outputs for examples, in their order."""
        head.eval()
        return in_order(examples, self.tuning.size, lambda some: self._outputs(head, some))

    def _value(self, score_RC: Array) -> float:
        valid = self.task.parts.valid
        return next(iter(self.task.judge(score_RC, targets(valid), items(valid)).values()))

    def _probed(self) -> Array:
        """Learn a linear layer at several penalties, and return the outputs of what does best on `valid`."""
        read, parts = READS[self.kind.head], self.task.parts

        @torch.no_grad()
        def states(some: Sequence[Example]) -> Tensor:
            batch, spots = padded(some, cls=self.cls)
            return read(self.model, batch.to(self.device), spots, False).float()

        train_RF, valid_RF, test_RF = (
            torch.from_numpy(in_order(part, self.tuning.size, states)).double()
            for part in (parts.train, parts.valid, parts.test)
        )
        mean_F, spread_F = train_RF.mean(0), train_RF.std(0, correction=0).clamp_min(1e-12)
        for state_RF in (train_RF, valid_RF, test_RF):
            state_RF.sub_(mean_F).div_(spread_F)  # in place: of many words they are gigabytes
        target = torch.from_numpy(targets(parts.train))
        learn = partial(_linear, train_RF, target, self.task.outputs, LOSSES[self.kind.loss])
        layers = [learn(penalty) for penalty in PENALTIES]
        values = [self._value(layer(valid_RF).numpy()) for layer in layers]
        best = layers[int(np.argmax(values))]
        return best(test_RF).numpy()


class Head(nn.Module):
    """A copy of a model and a new layer on what is read of it."""

    def __init__(self, model: Bert, kind: Kind, outputs: int, rng: np.random.Generator) -> None:
        super().__init__()
        self.model, self._read = copy.deepcopy(model), READS[kind.head]
        width = model.shape.width * (4 if kind.head == "marked" else 1)
        self.dropout = nn.Dropout(model.shape.dropout)
        drawn_CF = model.shape.matrix_std(width) * rng.standard_normal((outputs, width))  # as the model's own layers
        self.weight_CF = nn.Parameter(torch.from_numpy(drawn_CF).float())
        self.bias_C = nn.Parameter(torch.zeros(outputs))

    def forward(self, batch: Batch, spots: Spots) -> Tensor:
        """Return the outputs (R, C)."""
        state_RF = self._read(self.model, batch, spots, True)
        score_RC: Tensor = self.dropout(state_RF) @ self.weight_CF.T + self.bias_C
        return score_RC.float()


def by_length(examples: Sequence[Example], size: int, rng: np.random.Generator) -> Iterator[list[Example]]:
    """Yield all examples once in batches of like length, in random order.

    Length tells of the answer, so that batches of one length teach badly where there are few of them: examples are put
    in order within drawn groups, of which there are many.
    """
    order_N, batches = rng.permutation(len(examples)), list[list[int]]()
    together = size * max(min(len(examples) // (size * LEAST), TOGETHER), 1)
    for start in range(0, len(order_N), together):
        near = sorted(order_N[start : start + together].tolist(), key=lambda row: len(examples[row].ids))
        batches += [near[first : first + size] for first in range(0, len(near), size)]
    for place in rng.permutation(len(batches)):
        yield [examples[row] for row in batches[place]]


def in_order(examples: Sequence[Example], size: int, outputs: Callable[[Sequence[Example]], Tensor]) -> Array:
    """Return outputs for examples in their order, made in batches of like length."""
    near = sorted(range(len(examples)), key=lambda row: len(examples[row].ids))
    found: dict[int, Array] = {}
    for start in range(0, len(near), size):
        rows = near[start : start + size]
        made = outputs([examples[row] for row in rows]).cpu().numpy()
        ends = np.cumsum([len(examples[row].target) for row in rows])
        found |= dict(zip(rows, np.split(made, ends[:-1]), strict=True))
    return np.concatenate([found[row] for row in range(len(examples))])


def targets(examples: Sequence[Example]) -> Array:
    """Return all that is right (R, ...)."""
    return np.concatenate([example.target for example in examples])


def items(examples: Sequence[Example]) -> Array:
    """Return the row of the file of each answer (R,)."""
    return np.repeat([example.item for example in examples], [len(example.target) for example in examples])


def _share(step: int, total: int) -> float:
    return min((step + 1) / (WARM_UP * total), 1 - step / total)


def _linear(state_RF: Tensor, target: Tensor, outputs: int, loss: Loss, penalty: float) -> Callable[[Tensor], Tensor]:
    """Learn a linear layer with a ridge penalty (Alain & Bengio 2016, arXiv:1610.01644); the loss is convex."""
    weight_CF = state_RF.new_zeros(outputs, state_RF.shape[1], requires_grad=True)
    bias_C = state_RF.new_zeros(outputs, requires_grad=True)
    optimizer = torch.optim.LBFGS([weight_CF, bias_C], max_iter=STEPS, line_search_fn="strong_wolfe")

    def total() -> Tensor:
        optimizer.zero_grad()
        value = loss(state_RF @ weight_CF.T + bias_C, target) + penalty * weight_CF.square().sum()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    with torch.enable_grad():
        optimizer.step(total)  # type: ignore[no-untyped-call]
    return lambda x_RF: x_RF @ weight_CF.detach().T + bias_C.detach()
