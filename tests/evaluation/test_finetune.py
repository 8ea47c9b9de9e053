"""Fine-tuning learns from examples, does not change the model, and chooses its rate on separate examples."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from bertlab.data.batches import Batch
from bertlab.data.tokenizer import CLS, PAD, SEP
from bertlab.evaluation import finetune
from bertlab.evaluation.finetune import Answerer, finetuned, frozen, tuning_tokens
from bertlab.evaluation.sequences import BERT, Reading
from bertlab.evaluation.tasks import Labelled, Task
from bertlab.model.bert import Bert, Output
from tests.evaluation.conftest import MakeSmall

CPU, V, LENGTH = torch.device("cpu"), 30, 10


@pytest.fixture
def small(make_small: MakeSmall) -> MakeSmall:
    sizes = ("model.width=16", "model.inner=16", "model.heads=2", "model.layers=1", "model.dense_std=0.2")
    return partial(make_small, V, LENGTH, *sizes)


def texts(number: int, seed: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    words_NL = np.random.default_rng(seed).integers(10, V, (number, LENGTH - 2))
    return np.hstack([np.full((number, 1), CLS), words_NL, np.full((number, 1), SEP)])


def questions(number: int, seed: int) -> Labelled:
    """Does the text contain an 11, and does it contain a 12?"""
    ids_NL = texts(number, seed)
    answer_NC = np.stack([(ids_NL == word).any(1) for word in (11, 12)], 1).astype(np.int64)
    return Labelled(ids_NL, np.zeros_like(ids_NL), answer_NC, np.zeros(number, np.int64))


def endings(number: int, seed: int) -> Labelled:
    """The last word, one of three, is that of every second place."""
    ids_NL = texts(number, seed)
    ids_NL[:, 2:9:2] = 10 + ids_NL[:, 1:2] % 3
    return Labelled(ids_NL, np.zeros_like(ids_NL), np.zeros((number, 0), np.int64), np.full(number, 8, np.int64))


def task(made: Callable[[int, int], Labelled], teach: int = 512) -> Task:
    return Task(made(teach, 0), made(64, 1), made(128, 2))


@pytest.mark.parametrize("reading", [BERT, Reading(cls=False), Reading(ahead=1)])
@pytest.mark.slow
def test_more_examples_teach_more(small: MakeSmall, reading: Reading, monkeypatch: pytest.MonkeyPatch) -> None:
    """Chance with 8 examples: the more frequent answer for questions, one word in three for endings."""
    monkeypatch.setattr(finetune, "RATES", (1e-2,))  # for a model as small as this one
    options = ("model/pooling=mean", "model/position=learned")
    tasks = {"questions": task(questions), "endings": task(endings)}
    measures = finetuned(small(*options), tasks, [8, 512], reading, CPU)
    assert measures["finetuned.questions.examples_512"] > 0.95 > 0.85 > measures["finetuned.questions.examples_8"]
    assert measures["finetuned.endings.examples_512"] > 0.9 > 0.6 > measures["finetuned.endings.examples_8"]
    assert list(measures) == [
        f"finetuned.{name}examples_{number}" for number in (8, 512) for name in ("", "questions.", "endings.")
    ]
    shares = [measures[f"finetuned.{name}.examples_8"] for name in tasks]
    assert measures["finetuned.examples_8"] == pytest.approx(np.mean(shares))


def test_the_model_and_chance_are_left_as_they_were_and_the_answer_is_the_same_again(small: MakeSmall) -> None:
    model = small("model.dropout=0.2").eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    chance = torch.get_rng_state()
    tasks = {"questions": task(questions, 64)}
    with torch.no_grad():
        measured = finetuned(model, tasks, [64], BERT, CPU)
    assert not model.training
    assert torch.equal(torch.get_rng_state(), chance)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
    torch.rand(3)
    assert finetuned(model, tasks, [64], BERT, CPU) == measured


@pytest.mark.parametrize("reading", [BERT, Reading(cls=False), Reading(ahead=1)])
def test_frozen_states_are_read_by_a_probe_of_the_pooled_state(small: MakeSmall, reading: Reading) -> None:
    """The mean of the states of 8 words shows whether a word is among them, but two examples are not enough."""
    model = small("model/pooling=mean", "model.dropout=0.2").eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    tasks = {"questions": task(questions), "endings": task(endings)}
    measures = frozen(model, tasks, [2, 512], reading, CPU)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert set(measures) >= {"frozen.examples_512", "frozen.questions.examples_512"}
    assert not any("endings" in name for name in measures), "which asks no question"
    assert measures["frozen.examples_512"] == measures["frozen.questions.examples_512"] > 0.85
    assert measures.get("frozen.questions.examples_2", 0) < 0.75


def test_a_question_with_one_answer_teaches_no_probe(small: MakeSmall) -> None:
    made = task(questions, 8)
    made.teach.answer_NC[:] = 1
    assert frozen(small().eval(), {"questions": made}, [8], BERT, CPU) == {}


def test_only_so_many_examples_teach(small: MakeSmall) -> None:
    long, short = task(questions, 200), task(questions, 200)
    short = Task(short.teach[:50], short.choose, short.judge)
    measured = [finetuned(small(), {"questions": made}, [50], BERT, CPU) for made in (long, short)]
    assert measured[0] == measured[1]


def test_the_rate_is_chosen_on_examples_that_neither_teach_nor_judge(
    small: MakeSmall, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The result of each rate is fixed here: on `choose` the second rate is best, on `judge` the third."""
    made = task(questions, 8)
    told = {finetune.RATES[0]: (0.5, 0.6), finetune.RATES[1]: (0.8, 0.7), finetune.RATES[2]: (0.8, 0.9)}
    monkeypatch.setattr(finetune, "_learnt", lambda model, examples, rate, seed, reading, device: told[rate])
    monkeypatch.setattr(
        finetune, "_share_right", lambda learnt, examples, reading, device: learnt[examples is made.judge]
    )
    assert finetuned(small(), {"questions": made}, [8], BERT, CPU)["finetuned.questions.examples_8"] == 0.7


@pytest.mark.slow
def test_several_seeds_give_their_mean_and_each_by_itself(small: MakeSmall, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finetune, "RATES", (1e-2,))  # for a model as small as this one
    model, tasks = (
        small("model/pooling=mean", "model/position=learned", "model.dropout=0.2"),
        {"questions": task(questions, 256)},
    )
    once, thrice = (finetuned(model, tasks, [200], BERT, CPU, seeds) for seeds in (1, 3))
    name = "finetuned.questions.examples_200"
    shares = [thrice[f"{name}.seed_{k}"] for k in range(3)]
    assert set(once) == {"finetuned.examples_200", name}
    assert shares[0] == once[name]
    assert len(set(shares)) > 1, "other chance"
    assert thrice[name] == pytest.approx(np.mean(shares))


def test_the_new_layer_starts_without_an_opinion_and_reads_the_pooled_state(small: MakeSmall) -> None:
    model = small().eval()
    answerer, labelled = Answerer(model, 2), questions(4, 0)
    (batch,) = labelled.text.batches(labelled.hidden)
    assert torch.equal(answerer(batch), torch.zeros(4, 2))
    nn.init.eye_(answerer.weight_CD)
    expected = model.pair_head.pool(model.pooled(batch)).tanh()[:, :2]
    torch.testing.assert_close(model.pooled(batch), model.encode(batch)[:, 0])
    torch.testing.assert_close(answerer(batch), expected)


def test_padding_does_not_matter(small: MakeSmall) -> None:
    """Of examples that all end early: two more columns of [PAD] change no state."""
    model, labelled = small("model/pooling=mean").eval(), endings(6, 0)
    ids_NL = labelled.ids_NL.copy()
    ids_NL[:, 6:] = PAD
    short = Labelled(ids_NL, labelled.segments_NL, np.ones((6, 1), np.int64), np.zeros(6, np.int64))
    cut = Labelled(ids_NL[:, :6], labelled.segments_NL[:, :6], short.answer_NC, short.column_N)
    (one,), (two,) = short.text.batches(short.hidden), cut.text.batches(cut.hidden)
    torch.testing.assert_close(model.pooled(one), model.pooled(two))


def test_what_it_trains_on_is_counted(small: MakeSmall, monkeypatch: pytest.MonkeyPatch) -> None:
    tasks = {"questions": task(questions, 40), "endings": task(endings, 40)}
    seen: list[int] = []
    learn = Bert.forward

    def counting(model: Bert, batch: Batch) -> Output:
        seen.append(batch.ids_BL.numel() * model.training)
        return learn(model, batch)

    monkeypatch.setattr(Bert, "forward", counting)
    finetuned(small(), {"endings": tasks["endings"]}, [8, 40], BERT, CPU)
    assert sum(seen) == tuning_tokens({"endings": tasks["endings"]}, [8, 40], LENGTH)
    assert tuning_tokens(tasks, [8, 40], LENGTH) == 2 * sum(seen)
    assert tuning_tokens(tasks, [8, 40], LENGTH, seeds=3) == 6 * sum(seen)
    assert tuning_tokens(tasks, [], LENGTH) == tuning_tokens({}, [8], LENGTH) == 0
