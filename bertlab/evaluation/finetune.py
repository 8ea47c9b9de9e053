"""Scores with a few labelled examples: fine-tuned (all weights are trained) or frozen.

Fine-tuning follows Devlin et al. 2018: a new layer on the pooled state after a dense layer and tanh, Adam with
warm-up and linear decay, and a learning rate chosen on separate examples. It trains a copy of the model. Frozen: a
linear probe reads the pooled state itself, like a sentence embedding.

Legend: B batch, C questions, D width, M tokens to predict, N examples, V vocabulary.
"""

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, linear
from torch.optim.lr_scheduler import LambdaLR

from bertlab.data.batches import Batch
from bertlab.evaluation.probe import probe_accuracy
from bertlab.evaluation.sequences import STREAMS, Reading
from bertlab.evaluation.tasks import Labelled, Task
from bertlab.model.bert import Bert
from bertlab.optim.optimizer import adamw

RATES = (3e-4, 1e-3, 3e-3)  # learning rates for small models; a tie goes to the lower one
EPOCHS, SIZE, WARM_UP, CLIP = 10, 32, 0.1, 1.0


def finetuned(
    model: Bert,
    tasks: Mapping[str, Task],
    numbers: Sequence[int],
    reading: Reading,
    device: torch.device,
    seeds: int = 1,
) -> dict[str, float]:
    """Return the share of right answers for each number of examples, per task and on average; the mean over `seeds`.

    A seed draws the order of the examples and dropout. With several seeds, `<measure>.seed_<k>` is the result of one.
    """

    def by_task(seed: int) -> dict[str, float]:
        return _by_task(
            "finetuned", tasks, numbers, lambda task, number: _tuned(model, task, number, seed, reading, device)
        )

    by_seed = [by_task(seed) for seed in range(seeds)]
    measures = {name: sum(each[name] for each in by_seed) / seeds for name in by_seed[0]}
    if seeds > 1:
        measures |= {f"{name}.seed_{k}": share for k, each in enumerate(by_seed) for name, share in each.items()}
    return measures


def frozen(
    model: Bert, tasks: Mapping[str, Task], numbers: Sequence[int], reading: Reading, device: torch.device
) -> dict[str, float]:
    """Return the same for a linear probe of the frozen pooled states, for tasks with questions.

    Left out if all training examples have the same answer.
    """
    asking = {name: task for name, task in tasks.items() if task.judge.questions}
    measures = _by_task("frozen", asking, numbers, lambda task, number: _probed(model, task, number, reading, device))
    return {name: share for name, share in measures.items() if math.isfinite(share)}


def _by_task(
    name: str, tasks: Mapping[str, Task], numbers: Sequence[int], share: Callable[[Task, int], float]
) -> dict[str, float]:
    measures: dict[str, float] = {}
    for number in numbers:
        shares = {task_name: share(task, number) for task_name, task in tasks.items()}
        measures |= {f"{name}.examples_{number}": sum(shares.values()) / len(shares)} if shares else {}
        measures |= {f"{name}.{task_name}.examples_{number}": value for task_name, value in shares.items()}
    return measures


def tuning_tokens(tasks: Mapping[str, Task], numbers: Sequence[int], length: int, seeds: int = 1) -> int:
    """Return the training tokens of `finetuned`, padding included, over tasks, numbers, learning rates and seeds."""
    return len(tasks) * len(RATES) * EPOCHS * sum(numbers) * length * seeds


def _probed(model: Bert, task: Task, number: int, reading: Reading, device: torch.device) -> float:
    """Train a separate probe for every question on the pooled state, and return the share of right answers."""
    teach, judge = task.teach[:number], task.judge
    state_ND = torch.cat([_pooled(model, examples, reading, device) for examples in (teach, judge)])
    answer_NC = torch.from_numpy(np.concatenate((teach.answer_NC, judge.answer_NC)))
    judges_N = torch.arange(len(state_ND)) >= len(teach)
    return sum(probe_accuracy(state_ND, answer_N, judges_N) for answer_N in answer_NC.T) / judge.questions


@torch.no_grad()
def _pooled(model: Bert, examples: Labelled, reading: Reading, device: torch.device) -> Tensor:
    """Return the pooled states (N, D)."""
    batches = examples.text.batches(examples.hidden, reading=replace(reading, ahead=0))
    return torch.cat([model.pooled(batch.to(device)).float().cpu() for batch in batches])


def _tuned(model: Bert, task: Task, number: int, seed: int, reading: Reading, device: torch.device) -> float:
    """Fine-tune at every learning rate; return the `judge` score of the rate that is best on `choose`."""
    tuned = [_learnt(model, task.teach[:number], rate, seed, reading, device) for rate in RATES]
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
        """Return a logit for every question (B, C), or the scores of all tokens (M, V) if there are none."""
        if not len(self.bias_C):
            return self.model(batch).mlm_MV  # type: ignore[no-any-return]
        return linear(self.model.pair_head.transformed(self.model.pooled(batch)), self.weight_CD, self.bias_C)


@torch.enable_grad()
def _learnt(
    model: Bert, examples: Labelled, rate: float, seed: int, reading: Reading, device: torch.device
) -> Answerer:
    """Return a model trained on the examples; random numbers are equal for all arms and pre-training seeds."""
    stream = f"finetune/{seed}" if seed else "finetune"
    answerer = Answerer(model, examples.questions).to(device).train()
    optimizer = adamw(answerer, lr=rate, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01)
    starts = range(0, len(examples), SIZE)
    total = EPOCHS * len(starts)
    schedule = LambdaLR(optimizer, lambda step: min((step + 1) / (WARM_UP * total), 1 - step / total))
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(STREAMS.integer(stream))  # seeds dropout
        for epoch in range(EPOCHS):
            rows = STREAMS.generator(stream, epoch).permutation(len(examples))
            for start in starts:
                optimizer.zero_grad()
                _loss(answerer, examples[rows[start : start + SIZE]], reading, device).backward()  # type: ignore[no-untyped-call]
                nn.utils.clip_grad_norm_(answerer.parameters(), CLIP)
                optimizer.step()
                schedule.step()
    return answerer.eval()


def _loss(answerer: Answerer, examples: Labelled, reading: Reading, device: torch.device) -> Tensor:
    logits, target = _answers(answerer, examples, reading, device)
    if examples.questions:
        return binary_cross_entropy_with_logits(logits, target.to(logits.dtype))
    return cross_entropy(logits, target)


@torch.no_grad()
def _share_right(answerer: Answerer, examples: Labelled, reading: Reading, device: torch.device) -> float:
    """Return the share of questions, or of tokens, with a right answer."""
    right, asked = 0, 0
    for start in range(0, len(examples), SIZE):
        logits, target = _answers(answerer, examples[slice(start, start + SIZE)], reading, device)
        guess = (logits > 0).long() if examples.questions else logits.argmax(1)
        right, asked = right + int((guess == target).sum()), asked + target.numel()
    return right / asked


def _answers(answerer: Answerer, examples: Labelled, reading: Reading, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return logits and right answers: both (B, C) for questions, (M, V) and (M,) for tokens."""
    plain = replace(reading, ahead=0) if examples.questions else reading
    (batch,) = examples.text.batches(examples.hidden, reading=plain)
    there = batch.to(device)
    target = torch.from_numpy(examples.answer_NC).to(device) if examples.questions else there.target_M
    return answerer(there).float(), target
