"""Tasks in turn: each step learns either the masked tokens or the pairs, never both.

The other task has weight 0, so its head gets no gradient; the optimiser's momentum and weight decay continue.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from torch import Tensor

from bertlab.config.bounds import TASKS, bounded
from bertlab.config.errors import InputError, own_option
from bertlab.data.batches import Batch
from bertlab.model.bert import Output
from bertlab.objective.joint import weighted


class Turns(ABC):
    """Minimise the losses of the two tasks in turn, in the given order; both are reported at every step."""

    def __init__(self, *, order: Sequence[str], mlm_weight: float, pair_weight: float) -> None:
        self.order = tuple(order)
        self.weights = dict(zip(TASKS, (mlm_weight, pair_weight), strict=True))

    def __call__(self, output: Output, batch: Batch, step: int, total: int) -> dict[str, Tensor]:
        """Return `loss`, that of the current task, and both terms."""
        mlm_weight, pair_weight = self._weights(step, total)
        return weighted(output, batch, mlm_weight, pair_weight)

    def learns_tokens(self, step: int, total: int) -> bool:
        """Return whether the tokens that step `step` predicts have a weight in its loss."""
        return self._weights(step, total)[0] > 0

    def _weights(self, step: int, total: int) -> tuple[float, float]:
        task = self.order[self.turn(step, total)]
        mlm_weight, pair_weight = (weight * (name == task) for name, weight in self.weights.items())
        return mlm_weight, pair_weight

    def check(self, batch: Batch) -> None:
        """Raise InputError for batches without one of the tasks."""
        if not batch.has_pairs:
            raise InputError(
                f"objectives in turn need pairs, got none; use pairs=nsp or sop, or {own_option('objective', 'joint')}"
            )

    @abstractmethod
    def turn(self, step: int, total: int) -> int:
        """Return the index in the order, 0 or 1, of the task at step `step` (counted from 0) of `total`."""


class Sequential(Turns):
    """One task first, for `share` of the run, then the other."""

    @bounded
    def __init__(self, *, order: Sequence[str], share: float, mlm_weight: float, pair_weight: float) -> None:
        super().__init__(order=order, mlm_weight=mlm_weight, pair_weight=pair_weight)
        self.share = share

    def turn(self, step: int, total: int) -> int:
        """Change once."""
        return int(step >= self.share * total)


class Alternating(Turns):
    """Each task has `every` steps, then the other task."""

    @bounded
    def __init__(self, *, order: Sequence[str], every: int, mlm_weight: float, pair_weight: float) -> None:
        super().__init__(order=order, mlm_weight=mlm_weight, pair_weight=pair_weight)
        self.every = every

    def turn(self, step: int, total: int) -> int:
        """Change every `every` steps."""
        return step // self.every % 2
