"""The common evaluation for encoders with and without an MLM head.

A model with one is judged as by `common`. One that was trained to detect replaced tokens has none: the MLM head is that
of its generator, so no loss of masked tokens is its own. During training it is measured how well the model detects
samples of its generator, which stand where the main rate hides tokens. At the end it is judged by what both kinds of
encoders can do: tasks, fine-tuned or frozen, probes of states, and pairs. Detection depends on the generator: it
compares no arms.

Legend: B batch, L length.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from bertlab.data.documents import Corpus
from bertlab.data.pairs import NO_PAIR
from bertlab.data.store import TokenStore
from bertlab.evaluation.finetune import finetuned, frozen
from bertlab.evaluation.own import EvaluationWithTasks, WithTasks
from bertlab.evaluation.score import Evaluation
from bertlab.evaluation.sequences import STREAMS
from bertlab.model.replaced import Replaced
from bertlab.objective.replaced import detection_nats


class Detection(WithTasks):
    """Settings of the common evaluation and of tasks of one's own, which may be none."""

    def prepare(self, store: TokenStore, corpus: Corpus, length: int) -> Evaluation:
        """Return the evaluation of a corpus at a length. Raises InputError."""
        prepared = super().prepare(store, corpus, length)
        return EvaluationOfEncoders(**{each.name: getattr(prepared, each.name) for each in fields(prepared)})


@dataclass(frozen=True)
class EvaluationOfEncoders(EvaluationWithTasks):
    """The stored yardstick of one corpus, and the tasks of a run."""

    def score(self, model: nn.Module, *, last: bool = False) -> dict[str, float]:
        """Return the measures of a model, the `last` time also what is measured once. The model is left as it was."""
        if not isinstance(model, Replaced):
            return super().score(model, last=last)
        training = model.training
        model.eval()
        with torch.no_grad():
            measures = self._detected(model) | self._attention(model)
            measures |= self._pairs(model) if (self.pairs.label_N != NO_PAIR).any() else {}
            measures |= self._of_encoder(model) if last else {}
        model.train(training)
        return measures

    def _detected(self, model: Replaced) -> dict[str, float]:
        """Return how the generator names the hidden tokens, and how the model tells its samples from the others."""
        device, named, nats, right, replaced = next(model.parameters()).device, [], [], [], []
        for chunk, batch in enumerate(self.text.batches(self.hidden[self.rate], reading=self.reading)):
            there = batch.to(device)
            uniform_N = STREAMS.generator("replaced", chunk).random(batch.ids_BL.numel(), dtype="float32")
            output = model.detect(there, torch.from_numpy(uniform_N))
            judged_BL = output.judged_BL
            named.append(cross_entropy(output.generator_MV.float(), there.target_M, reduction="none"))
            nats.append(detection_nats(output)[judged_BL])
            right.append(((output.detected_BL > 0) == output.replaced_BL)[judged_BL])
            replaced.append(output.replaced_BL[judged_BL])
        loss, share = _mean(nats), _mean(replaced)
        return {
            "generator_loss": _mean(named),
            "detection_loss": loss,
            "detection_gain": _entropy(share) - loss,
            "detection_accuracy": _mean(right),
            "replaced_share": share,
        }

    def _of_encoder(self, model: Replaced) -> dict[str, float]:
        """Return what is measured once and asks no MLM head."""
        device = next(model.parameters()).device
        measures = self._probes(model)
        if asking := {name: task for name, task in self.tasks.items() if task.judge.questions}:
            given = (model, asking, self.finetune, self.reading, device)
            tuned = finetuned(*given, self.finetune_seeds) | frozen(*given)
            measures |= {name: value for name, value in tuned.items() if name.startswith(_of_tasks(asking))}
        measures |= replace(self, final=None)._finally(model)
        for ready in self.own:
            measures |= ready.score(model, self.reading, device)
        return measures


def _of_tasks(names: Iterable[str]) -> tuple[str, ...]:
    """Return how measures of single tasks begin; a mean over tasks would be one over fewer than other arms have."""
    return tuple(f"{kind}.{name}." for kind in ("finetuned", "frozen") for name in names)


def _mean(parts: Sequence[Tensor]) -> float:
    return float(torch.cat(list(parts)).double().mean())


def _entropy(share: float) -> float:
    """Return the loss in nats of a guess that knows the share alone."""
    return -sum(part * math.log(part) for part in (share, 1 - share) if part)
