"""Scoring a model on held-out data. `measures.csv` lists all measures; runs log them as `eval/<name>`.

All arms predict the same tokens (see `sequences.py`). Arms that predict ahead read plain text: they have no
`split_80_10_10` and no `visible_accuracy`, since they name another token than the one they read.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from bertlab.evaluation.held_out import HeldOut
from bertlab.evaluation.measured import CURVE, END, per_byte
from bertlab.evaluation.scored import Measure, Scored, evaluating


@dataclass(frozen=True)
class Evaluation(HeldOut):
    """The held-out data of one corpus, ready to score models of one arm."""

    def score(self, model: nn.Module, *, last: bool = False) -> dict[str, float]:
        """Return the measures: losses in nats, accuracies as shares. The model is left as it was.

        The `last` time the measures at the end of a run come too.
        """
        measures: dict[str, float] = {}
        with evaluating(model):
            scored = Scored(model, self)
            for measure in self.measures(model, last):
                measures |= measure(scored)
        return measures | (per_byte(measures, self.tokens_per_byte) if last else {})

    def measures(self, model: nn.Module, last: bool) -> Sequence[Measure]:
        """Return the functions that measure a model."""
        return (*CURVE, *END) if last else CURVE
