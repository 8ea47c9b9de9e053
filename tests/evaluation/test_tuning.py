"""A model learns a task of every kind, fine-tuned or frozen, and is not changed."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from bertlab.data.store import TokenStore
from bertlab.evaluation.measures import measure_of
from bertlab.evaluation.own import Ready
from bertlab.evaluation.sequences import BERT, Reading
from bertlab.evaluation.tuning import Learner, by_length, in_order, items, targets
from bertlab.model.bert import Bert
from bertlab.tasks.own import KINDS, Tasks
from tests.evaluation.conftest import MakeSmall
from tests.tasks.drawn import SETTINGS, rows, write

CPU, LENGTH = torch.device("cpu"), 24
LEARNT = [kind for kind in KINDS if KINDS[kind].head != "alternatives"]
Make = Callable[..., Ready]


@pytest.fixture
def small(make_small: MakeSmall, store: TokenStore) -> Bert:
    sizes = ("model.width=32", "model.inner=64", "model.heads=2", "model.layers=2", "model.dense_std=0.2")
    return make_small(store.vocabulary.size, LENGTH, *sizes, "model.dropout=0.1").eval()


@pytest.fixture
def ready(store: TokenStore, tmp_path: Path) -> Make:
    def make(kind: str, number: int = 400, **settings: Any) -> Ready:
        entry = {"name": "own", "kind": kind, "file": str(write(tmp_path / "own.jsonl", rows(kind, number)))}
        (task,) = Tasks(**{**SETTINGS, **settings, "list": [entry]}).asked
        return Ready(task, task.prepare(store.tokenizer, LENGTH))

    return make


@pytest.mark.parametrize("kind", LEARNT)
@pytest.mark.slow
def test_a_tuned_model_learns_every_kind(kind: str, small: Bert, ready: Make) -> None:
    examples, epochs = (600, 20) if kind == "word_in_context" else (400, 10)
    measures = ready(kind, examples, epochs=epochs, seeds=1).score(small, BERT, CPU)
    assert next(iter(measures.values())) > 0.85, measures


@pytest.mark.parametrize("kind", LEARNT)
def test_a_probe_reads_frozen_states(kind: str, small: Bert, ready: Make) -> None:
    """Answers about words are in their states; [CLS], whose state is used for texts, has learned nothing yet."""
    measures = ready(kind, method="probe").score(small, BERT, CPU)
    assert all(measure_of(f"eval/{name}") for name in measures), "the table of measures has them"
    first, error, *_ = measures.values()
    assert first > (0.8 if kind in ("tagging", "word_in_context") else 0.3), measures
    assert 0 < error < 0.15 or first == 1
    assert not any(".seed_" in name or ".se_seeds" in name for name in measures), "a probe has nothing that is drawn"


def test_seeds_have_their_own_chance_and_a_mean_with_its_error(small: Bert, ready: Make) -> None:
    task = ready("classification", 200, epochs=1, seeds=3, rates=[1e-3])
    measures = task.score(small, BERT, CPU)
    by_seed = [measures[f"tasks.own.macro_f1.seed_{seed}"] for seed in range(3)]
    assert len(set(by_seed)) > 1
    assert measures["tasks.own.macro_f1"] == pytest.approx(np.mean(by_seed))
    assert measures["tasks.own.macro_f1.se_seeds"] == pytest.approx(np.std(by_seed, ddof=1) / 3**0.5)
    assert task.score(small, BERT, CPU) == measures


def test_the_model_and_chance_are_left_as_they_were(small: Bert, ready: Make) -> None:
    before = {name: value.clone() for name, value in small.state_dict().items()}
    chance = torch.get_rng_state()
    ready("classification", 60, epochs=1, seeds=1).score(small, BERT, CPU)
    assert all(torch.equal(value, before[name]) for name, value in small.state_dict().items())
    assert torch.equal(torch.get_rng_state(), chance)
    assert not small.training


@pytest.mark.parametrize("reading", [Reading(cls=False), Reading(ahead=1)])
@pytest.mark.parametrize("kind", ["tagging", "word_in_context"])
def test_arms_without_cls_and_arms_that_predict_ahead_read_the_same_words(
    kind: str, reading: Reading, small: Bert, ready: Make
) -> None:
    measures = ready(kind, method="probe").score(small, reading, CPU)
    assert next(iter(measures.values())) > 0.8


def test_it_stops_where_more_passes_make_nothing_better(
    small: Bert, ready: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = ready("classification", 60, epochs=9, patience=2)
    learner = Learner(small, KINDS["classification"], task.task, task.asked.tuning, True, CPU)
    values = iter([0.5, 0.6, 0.6, 0.1, 0.9])
    monkeypatch.setattr(Learner, "_value", lambda *_: next(values))
    assert learner._learnt(1e-3, 0)[1] == 0.6
    assert list(values) == [0.9], "four passes: the second was best, and two were no better"


def test_the_rate_that_does_best_on_valid_counts(small: Bert, ready: Make) -> None:
    task = ready("classification", 200, epochs=5)

    def scores(*rates: float) -> np.ndarray:
        tuning = replace(task.asked.tuning, rates=rates)
        return Learner(small, KINDS["classification"], task.task, tuning, True, CPU).scores(0)

    assert np.array_equal(scores(1e-9, 3e-3), scores(3e-3))


def test_batches_hold_every_example_once_and_like_lengths(ready: Make) -> None:
    examples = ready("tagging", 1000).task.parts.train
    batches = list(by_length(examples, 8, np.random.default_rng(0)))
    assert sorted(id(one) for batch in batches for one in batch) == sorted(map(id, examples))
    spread = [max(lengths) - min(lengths) for batch in batches for lengths in [[len(one.ids) for one in batch]]]
    assert np.mean(spread) < 2 < np.ptp([len(one.ids) for one in examples])
    assert [len(batch[0].ids) for batch in batches] != sorted(len(batch[0].ids) for batch in batches)


def test_outputs_come_in_the_order_of_the_examples(ready: Make) -> None:
    examples = ready("tagging", 50).task.parts.train
    made = in_order(examples, 7, lambda some: torch.from_numpy(np.stack([targets(some), items(some)], 1)))
    assert np.array_equal(made, np.stack([targets(examples), items(examples)], 1))
