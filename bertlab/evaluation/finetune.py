"""Fine-tuning: what a model makes of a few labelled examples when all of its weights go on learning.

As Devlin et al. 2018 do it: a new layer on the pooled state, Adam with a warm-up and a linear decay, and a learning
rate that is chosen on examples of its own. The model is copied and left as it was.

Legend: B batch, C questions, M tokens to name, V vocabulary.
"""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, linear
from torch.optim.lr_scheduler import LambdaLR

from bertlab.batch import Batch
from bertlab.evaluation.sequences import STREAMS, Reading
from bertlab.evaluation.tasks import Labelled, Task
from bertlab.model.bert import Bert
from bertlab.optimizer import adamw

RATES = (3e-4, 1e-3, 3e-3)  # of learning, for small models; ties go to the lower one
EPOCHS, SIZE, WARM_UP, CLIP = 10, 32, 0.1, 1.0


def finetuned(
    model: Bert, tasks: Mapping[str, Task], numbers: Sequence[int], reading: Reading, device: torch.device
) -> dict[str, float]:
    """Return the share of right answers after as many examples, task by task and their mean."""
    measures: dict[str, float] = {}
    for number in numbers:
        shares = {name: _tuned(model, task, number, reading, device) for name, task in tasks.items()}
        measures |= {f"finetuned.examples_{number}": sum(shares.values()) / len(shares)} if shares else {}
        measures |= {f"finetuned.{name}.examples_{number}": share for name, share in shares.items()}
    return measures


def tuning_tokens(tasks: Mapping[str, Task], numbers: Sequence[int], length: int) -> int:
    """Return what `finetuned` trains on: tokens, padding included, over all tasks, numbers and learning rates."""
    return len(tasks) * len(RATES) * EPOCHS * sum(numbers) * length


def _tuned(model: Bert, task: Task, number: int, reading: Reading, device: torch.device) -> float:
    """Fine-tune at every learning rate, and return how the one that does best on `choose` does on `judge`."""
    tuned = [_learnt(model, task.teach[:number], rate, reading, device) for rate in RATES]
    best = max(tuned, key=lambda answerer: _share_right(answerer, task.choose, reading, device))
    return _share_right(best, task.judge, reading, device)


class Answerer(nn.Module):
    """A copy of a model and, for questions, a new layer on its pooled state."""

    def __init__(self, model: Bert, questions: int) -> None:
        super().__init__()
        self.model = copy.deepcopy(model)
        self.weight_CD = nn.Parameter(torch.zeros(questions, model.shape.width))
        self.bias_C = nn.Parameter(torch.zeros(questions))

    def forward(self, batch: Batch) -> Tensor:
        """Return a logit for every question (B, C), or the scores of all tokens (M, V) where there are none."""
        if not len(self.bias_C):
            return self.model(batch).mlm_MV  # type: ignore[no-any-return]
        return linear(self.model.pooled(batch), self.weight_CD, self.bias_C)


@torch.enable_grad()
def _learnt(model: Bert, examples: Labelled, rate: float, reading: Reading, device: torch.device) -> Answerer:
    """Return a model that has learnt the examples; chance is the same for every arm and every seed."""
    answerer = Answerer(model, examples.answer_NC.shape[1]).to(device).train()
    optimizer = adamw(answerer, lr=rate, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01)
    starts = range(0, len(examples), SIZE)
    total = EPOCHS * len(starts)
    schedule = LambdaLR(optimizer, lambda step: min((step + 1) / (WARM_UP * total), 1 - step / total))
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(STREAMS.integer("finetune"))  # dropout
        for epoch in range(EPOCHS):
            rows = STREAMS.generator("finetune", epoch).permutation(len(examples))
            for start in starts:
                optimizer.zero_grad()
                _loss(answerer, examples[rows[start : start + SIZE]], reading, device).backward()  # type: ignore[no-untyped-call]
                nn.utils.clip_grad_norm_(answerer.parameters(), CLIP)
                optimizer.step()
                schedule.step()
    return answerer.eval()


def _loss(answerer: Answerer, examples: Labelled, reading: Reading, device: torch.device) -> Tensor:
    logits, target = _answers(answerer, examples, reading, device)
    if examples.answer_NC.shape[1]:
        return binary_cross_entropy_with_logits(logits, target.to(logits.dtype))
    return cross_entropy(logits, target)


@torch.no_grad()
def _share_right(answerer: Answerer, examples: Labelled, reading: Reading, device: torch.device) -> float:
    """Return the share of the questions, or of the tokens, that are answered right."""
    right, asked = 0, 0
    for start in range(0, len(examples), SIZE):
        logits, target = _answers(answerer, examples[slice(start, start + SIZE)], reading, device)
        guess = (logits > 0).long() if examples.answer_NC.shape[1] else logits.argmax(1)
        right, asked = right + int((guess == target).sum()), asked + target.numel()
    return right / asked


def _answers(answerer: Answerer, examples: Labelled, reading: Reading, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return the logits and what is right: (B, C) both for questions, (M, V) and (M,) for tokens."""
    plain = reading if not examples.answer_NC.shape[1] else replace(reading, ahead=0)
    (batch,) = examples.text.batches(examples.hidden, reading=plain)
    there = batch.to(device)
    logits = answerer(there).float()
    if not examples.answer_NC.shape[1]:
        return logits, there.target_M
    return logits, torch.from_numpy(examples.answer_NC).to(device)
