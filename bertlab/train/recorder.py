"""The recorder: a callback that evaluates at the planned steps and records points.

A point is a step and named numbers: `train/` (means since the last point), `eval/` (common evaluation) and `perf/`,
with every possible unit of a budget: tokens, predicted tokens, FLOPs and seconds of training.
"""

import logging
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytorch_lightning as pl
from torch import Tensor, nn
from torch.optim import Optimizer

from bertlab.data.batches import Batch
from bertlab.evaluation.score import Evaluation
from bertlab.model.flops import Flops, StagedFlops
from bertlab.train.module import Pretraining
from bertlab.train.state import snapshot

log = logging.getLogger(__name__)

SUMMARY = ("mlm_loss", "context_gain", "pair_accuracy")  # measures in the one-line result of a run

Record = Callable[[int, Mapping[str, float]], None]  # (step, numbers)
Save = Callable[[int, Mapping[str, Tensor], Mapping[str, Any]], None]  # (step, state, counters)
WINDOW = "window."  # name prefix of saved sums of losses since the last point
SAVING_SHARE = 0.01  # largest share of the time for checkpoints


@dataclass
class Progress:
    """What a run has used so far."""

    tokens: int = 0  # positions, padding included
    predicted_tokens: int = 0  # those with a weight in the loss
    flops: float = 0.0  # forward and backward
    seconds: float = 0.0  # of training, without evaluation

    def as_metrics(self) -> dict[str, float]:
        """Return the counters as metrics."""
        metrics = {f"perf/{name}": float(value) for name, value in vars(self).items()}
        return metrics | {"perf/tokens_per_second": self.tokens / self.seconds if self.seconds else 0.0}


@dataclass(frozen=True)
class Plan:
    """The steps (counted from 1) at which something is logged."""

    total: int
    train: frozenset[int]
    evaluate: frozenset[int]


class Recorder(pl.Callback):
    """Logs points at the planned steps; stops the run if a loss is not finite."""

    def __init__(
        self,
        plan: Plan,
        evaluation: Evaluation,
        flops: Flops | StagedFlops,
        record: Record,
        saver: "Saver | None" = None,
    ) -> None:
        self.plan, self.evaluation, self.flops, self._record, self._saver = plan, evaluation, flops, record, saver
        self.progress, self.diverged, self.outcome = Progress(), False, ""
        self._window = _Window()
        self._started = 0.0

    def counters(self) -> dict[str, Any]:
        """Return the counters that a resumed run needs, as JSON values."""
        return {**vars(self.progress), "outcome": self.outcome, "window": self._window.steps}

    def resume(self, counters: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        """Continue from the result of `counters`; `tensors` include the sums since the last point."""
        self.outcome = counters["outcome"]
        self.progress = Progress(**{name: counters[name] for name in vars(Progress())})
        self._window = _Window.restored(tensors, counters.get("window", 0))

    @property
    def tokens_per_second(self) -> float:
        """Tokens per second of training until now."""
        seconds = self.progress.seconds + time.monotonic() - self._started
        return self.progress.tokens / seconds if seconds else 0.0

    def save(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Save the state after the current step, even if none is planned."""
        assert isinstance(module, Pretraining)
        if self._saver and not self.diverged:
            self.progress.seconds += time.monotonic() - self._started
            self._started = time.monotonic()
            self._saver.save(module.step, module.model, trainer.optimizers[0], self.counters(), self._window.tensors())
            log.info("stopped after step %s; the same command goes on from there", f"{module.step:,}")

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Start the clock."""
        self._started = time.monotonic()

    def on_train_batch_end(
        self, trainer: pl.Trainer, module: pl.LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        """Count the step; log and save if planned."""
        assert isinstance(module, Pretraining)
        step = module.step
        # count what the step used
        self.progress.tokens += batch.ids_BL.numel()
        self.progress.predicted_tokens += len(batch.target_M) * module.learns_tokens(step - 1)
        self.progress.flops += self.flops.of_step(batch)
        self._window.add(module.losses)
        if step not in self.plan.train and step not in self.plan.evaluate:
            return
        self.progress.seconds += time.monotonic() - self._started
        # build the point: budget counters, mean training losses, evaluation
        point = self.progress.as_metrics()
        if step in self.plan.train:
            point |= {f"train/{name}": value for name, value in self._window.means().items()}
            point["train/lr"] = trainer.optimizers[0].param_groups[0]["lr"]
        if step in self.plan.evaluate and all(map(math.isfinite, point.values())):
            scores = self.evaluation.score(module.model, last=step == self.plan.total)
            point |= {f"eval/{name}": value for name, value in scores.items()}
            self.outcome = ", ".join(f"eval/{name} {scores[name]:.3f}" for name in SUMMARY if name in scores)
        # diverged if any loss is not finite; record the finite numbers
        finite = {name: value for name, value in point.items() if math.isfinite(value)}
        self.diverged = trainer.should_stop = any(name.endswith("loss") for name in point.keys() - finite.keys())
        if self.diverged:
            self.outcome = f"diverged: a loss was not finite at step {step:,}"
        self._record(step, finite)
        # checkpoint only at points: then no sums are pending
        if self._saver and self._window.is_empty and not self.diverged:
            self._saver.offer(step, module.model, trainer.optimizers[0], self.counters())
        self._started = time.monotonic()


class Saver:
    """Saves the training state if `seconds` have passed since the last time (0: at every opportunity)."""

    def __init__(self, seconds: float, save: Save) -> None:
        self._seconds, self._save = seconds, save
        self._last, self._cost = time.monotonic(), 0.0

    def offer(self, step: int, model: nn.Module, optimizer: Optimizer, counters: Mapping[str, Any]) -> None:
        """Save after `step` steps if it is time; slow saves are made less often."""
        now = time.monotonic()
        if self._seconds and now - self._last < max(self._seconds, self._cost / SAVING_SHARE):
            return
        self.save(step, model, optimizer, counters, {})
        self._last = time.monotonic()
        self._cost = self._last - now

    def save(
        self, step: int, model: nn.Module, optimizer: Optimizer, counters: Mapping[str, Any], more: Mapping[str, Tensor]
    ) -> None:
        """Save now; `more` tensors are added to those of model and optimiser."""
        self._save(step, {**snapshot(model, optimizer), **more}, counters)


@dataclass
class _Window:
    """Sums losses on the device until a point is logged, so that steps do not wait for a transfer."""

    sums: dict[str, Tensor] = field(default_factory=dict)
    steps: int = 0

    def add(self, losses: Mapping[str, Tensor]) -> None:
        self.steps += 1
        for name, loss in losses.items():
            self.sums[name] = self.sums[name] + loss if name in self.sums else loss

    @classmethod
    def restored(cls, tensors: Mapping[str, Tensor], steps: int) -> "_Window":
        """Read the result of `tensors` from among other tensors."""
        sums = {name.removeprefix(WINDOW): value.clone() for name, value in tensors.items() if name.startswith(WINDOW)}
        return cls(sums, steps)

    def tensors(self) -> dict[str, Tensor]:
        """Return the sums under the names of a checkpoint."""
        return {f"{WINDOW}{name}": total for name, total in self.sums.items()}

    @property
    def is_empty(self) -> bool:
        return not self.steps

    def means(self) -> dict[str, float]:
        means = {name: (total / self.steps).item() for name, total in self.sums.items()}
        self.sums, self.steps = {}, 0
        return means


def plan(total: int, points: int, evaluate: list[int]) -> Plan:
    """Spread `points` training points evenly over the steps; the last step is always one."""
    train = frozenset(max(round(total * point / points), 1) for point in range(1, points + 1))
    return Plan(total, train, frozenset(evaluate))
