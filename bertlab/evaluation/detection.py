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
from bertlab.data.store import TokenStore
from bertlab.evaluation.measured import attention, final_pairs, finetuned, pairs, states
from bertlab.evaluation.own import EvaluationWithTasks, WithTasks
from bertlab.evaluation.score import Evaluation
from bertlab.evaluation.scored import Measure, Scored
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
    """The held-out data of one corpus, and the tasks of a run."""

    def measures(self, model: nn.Module, last: bool) -> Sequence[Measure]:
        """Return the functions that measure a model; of an encoder without an MLM head those that ask none."""
        if not isinstance(model, Replaced):
            return super().measures(model, last)
        end = (states, encoder_tasks, final_pairs, self.own_tasks)
        return (detected, attention, pairs, *(end if last else ()))


def detected(scored: Scored) -> dict[str, float]:
    """Return the generator's scores at hidden tokens, and how well the model detects its samples."""
    model, data, named, nats, right, replaced = scored.model, scored.data, [], [], [], []
    assert isinstance(model, Replaced)
    for chunk, batch in enumerate(data.text.batches(data.hidden[data.rate], reading=data.reading)):
        there = batch.to(scored.device)
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


def encoder_tasks(scored: Scored) -> dict[str, float]:
    """Fine-tune for the small tasks that need no MLM head; their mean would be one over fewer than other arms have."""
    tuning = scored.data.finetuning
    asking = {name: task for name, task in tuning.tasks.items() if task.judge.questions}
    measures = finetuned(replace(scored, data=replace(scored.data, finetuning=replace(tuning, tasks=asking))))
    return {name: value for name, value in measures.items() if name.startswith(_of_tasks(asking))}


def _of_tasks(names: Iterable[str]) -> tuple[str, ...]:
    """Return how measures of single tasks begin."""
    return tuple(f"{kind}.{name}." for kind in ("finetuned", "frozen") for name in names)


def _mean(parts: Sequence[Tensor]) -> float:
    return float(torch.cat(list(parts)).double().mean())


def _entropy(share: float) -> float:
    """Return the loss in nats of a guess that knows the share alone."""
    return -sum(part * math.log(part) for part in (share, 1 - share) if part)
