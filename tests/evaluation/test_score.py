"""Measures at the end of a run, with models whose answers are known, and with small real models."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from bertlab.data.batches import Batch
from bertlab.data.pairs import NO_PAIR
from bertlab.data.pairs.none import Packed
from bertlab.data.pairs.single import Single
from bertlab.data.store import TokenStore
from bertlab.data.tokenizer import CLS, MASK, SEP
from bertlab.evaluation import attention, finetune
from bertlab.evaluation.common import Common
from bertlab.evaluation.held_out import Finetuning, Hidden
from bertlab.evaluation.measured import CURVE, END, final_pairs, final_text, finetuned, pairs, states
from bertlab.evaluation.measures import measure_of
from bertlab.evaluation.score import Evaluation
from bertlab.evaluation.scored import Scored, evaluating
from bertlab.evaluation.sequences import Reading, Sequences
from bertlab.model.bert import Output
from tests.evaluation.conftest import MakeSmall
from tests.hardware import needs_gpu
from tests.outputs import of_logits

V = 10
PARTS = ["mlm_loss.chunk_0", "mlm_loss.chunk_1"]  # of two sequences
MAIN = ["mlm_loss", "mlm_accuracy", "unigram_loss", "context_gain"]
ENDS = ["mlm_loss.split_80_10_10", "visible_accuracy", "pseudo_loss", "pseudo_accuracy"]
BYTES = ["mlm_loss.per_byte", "pseudo_loss.per_byte"]
COSTS = ["shuffling_cost", "shortening_cost"]
AHEAD, NO_CLS = Reading(ahead=1), Reading(cls=False)


class Known(nn.Module):
    """A model whose log-probabilities are a function of the batch."""

    def __init__(self, answer: Callable[[Batch], Tensor]) -> None:
        super().__init__()
        self.weight, self.answer, self.given = nn.Parameter(torch.zeros(1)), answer, list[Batch]()

    def forward(self, batch: Batch) -> Output:
        self.given.append(batch)
        return of_logits(self.answer(batch), torch.zeros(len(batch.ids_BL), 2))


def naming(seen: float, unseen: float) -> Known:
    """Return a model that gives its input token the probability `seen`, and a target under [MASK] `unseen`."""

    def answer(batch: Batch) -> Tensor:
        given_M = batch.ids_BL.view(-1)[batch.position_M]
        guess_M = torch.where(given_M == MASK, batch.target_M, given_M)
        share_M = torch.where(given_M == MASK, unseen, seen)
        rest_MV = ((1 - share_M) / (V - 1))[:, None].expand(-1, V)
        return rest_MV.scatter(1, guess_M[:, None], share_M[:, None]).log()

    return Known(answer)


@pytest.fixture
def hand() -> Evaluation:
    """Two texts of 4 columns, and two of 10; 80-10-10 leaves [MASK], puts 9 for 6, and keeps 8."""
    text = Sequences(
        np.array([[CLS, 5, 6, SEP], [CLS, 7, 8, SEP]]), np.zeros((2, 4), np.int64), np.array([NO_PAIR, NO_PAIR])
    )
    words_NL = np.arange(16).reshape(2, 8) % 5 + 5
    ids_NL = np.hstack([np.full((2, 1), CLS), words_NL, np.full((2, 1), SEP)])
    return Evaluation(
        text=text,
        shuffled=replace(text, ids_NL=np.array([[CLS, 5, 6, SEP], [CLS, 9, 8, SEP]])),  # hidden: all but 9
        pairs=text,
        hidden={0.5: np.array([1, 2, 6])},
        unigram_loss={0.5: 2.0},
        floor={},
        pair_floor=None,
        rate=0.5,
        split_M=np.array([MASK, 9, 8]),
        pseudo_M=np.array([2, 5]),
        prune=(),
        finetuning=Finetuning({}, (), 1),
        features=None,
        long=Hidden(
            Sequences(ids_NL, np.zeros((2, 10), np.int64), np.array([NO_PAIR, NO_PAIR])),
            np.array([1, 3, 5, 8, 14, 18]),  # columns 1, 3, 5, 8, 4, 8
        ),
        final=None,
        tokens_per_byte=0.2,
    )


def test_the_measures_of_the_end_by_hand(hand: Evaluation) -> None:
    """With 80-10-10 the three tokens have 0.25, 0.5 / 9 (it believes the random one) and 0.5."""
    measures = hand.score(naming(seen=0.5, unseen=0.25), last=True)
    assert measures["mlm_loss.rate_0.5"] == pytest.approx(-np.log(0.25))
    assert measures["mlm_loss.split_80_10_10"] == pytest.approx(-np.log([0.25, 0.5 / 9, 0.5]).mean())
    assert measures["visible_accuracy"] == 1
    assert measures["pseudo_loss"] == pytest.approx(-np.log(0.25))
    assert measures["pseudo_loss.per_byte"] == pytest.approx(-np.log(0.25) / 5)
    assert measures["mlm_loss.per_byte"] == pytest.approx(measures["mlm_loss"] / 5)
    assert measures["pseudo_accuracy"] == 1
    assert list(measures) == [
        *MAIN,
        "mlm_loss.rate_0.5",
        *PARTS,
        *ENDS,
        *COSTS,
        "mlm_loss.position_0_3",
        "mlm_loss.position_4_7",
        "mlm_loss.position_8_9",
        *BYTES,
    ]


def test_a_model_that_does_not_name_what_it_sees_has_no_visible_accuracy(hand: Evaluation) -> None:
    assert hand.score(naming(seen=0.05, unseen=0.9), last=True)["visible_accuracy"] == 0
    assert hand.score(naming(seen=0.05, unseen=0.05), last=True)["pseudo_accuracy"] == 0


@pytest.mark.parametrize("reading", [Reading(), AHEAD, NO_CLS])
def test_the_loss_by_position_is_the_mean_over_a_buckets_tokens(hand: Evaluation, reading: Reading) -> None:
    """The model's loss is the target's id, in a softmax that is far from saturated; ids by column of the text."""

    def minus_id(batch: Batch) -> Tensor:
        share_M = torch.exp(-batch.target_M.double())
        rest_MV = ((1 - share_M) / (V - 1))[:, None].expand(-1, V)
        return rest_MV.scatter(1, batch.target_M[:, None], share_M[:, None]).log()

    measures = replace(hand, reading=reading).score(Known(minus_id), last=True)
    assert measures["mlm_loss.position_0_3"] == pytest.approx((5 + 7) / 2, rel=1e-5)
    assert measures["mlm_loss.position_4_7"] == pytest.approx((9 + 6) / 2, rel=1e-5)
    assert measures["mlm_loss.position_8_9"] == pytest.approx((7 + 5) / 2, rel=1e-5)


def test_an_arm_that_predicts_ahead_scores_the_same_tokens_and_is_given_nothing_but_text(hand: Evaluation) -> None:
    gaps, ahead = naming(0.5, 0.25), naming(0.5, 0.25)
    hand.score(gaps, last=True)
    measures = replace(hand, reading=AHEAD).score(ahead, last=True)
    assert not {"mlm_loss.split_80_10_10", "visible_accuracy"} & set(measures)
    assert {"mlm_loss.rate_0.5", "pseudo_loss", "mlm_loss.position_4_7"} <= set(measures)
    assert all((batch.ids_BL != MASK).all() for batch in ahead.given)
    targets = [[batch.target_M.tolist() for batch in model.given] for model in (gaps, ahead)]
    assert targets[1] == [targets[0][0], *targets[0][3:]], "all but 80-10-10 and what is visible"


def test_the_cost_of_the_end_is_counted_in_passes_over_the_text(hand: Evaluation) -> None:
    """Rate, 80-10-10, visible, shuffled, half as long, 2 of 2 texts one token at a time, and 20 longer tokens for 8.

    One more is kept for batch statistics, which this model does not have.
    """
    model = naming(0.5, 0.25)
    hand.score(model, last=True)
    positions = sum(batch.ids_BL.numel() for batch in model.given)
    assert hand.last_passes == 1 + positions / 8 == 1 + 1 + 2 + 1 + 0.5 + 1 + 2.5
    assert replace(hand, reading=AHEAD).last_passes == hand.last_passes
    assert replace(hand, long=None, pseudo_M=np.array([], np.int64)).last_passes == 5.5


def test_what_is_turned_off_is_not_measured(hand: Evaluation) -> None:
    measures = replace(hand, long=None, pseudo_M=np.array([], np.int64)).score(naming(0.5, 0.5), last=True)
    still = {*MAIN, "mlm_loss.rate_0.5", "mlm_loss.per_byte", *PARTS, *COSTS}
    assert set(measures) == still | {"mlm_loss.split_80_10_10", "visible_accuracy"}


@pytest.mark.parametrize("reading", [Reading(), AHEAD, NO_CLS])
def test_what_a_disturbed_context_costs_by_hand(hand: Evaluation, reading: Reading) -> None:
    """The loss is the number of columns, four, and 3 more in a row that reads 9."""

    def answer(batch: Batch) -> Tensor:
        row_M = batch.position_M // batch.ids_BL.shape[1]
        loss_M = batch.ids_BL.shape[1] + 3 * (batch.ids_BL == 9).any(1)[row_M].double()
        share_M = torch.exp(-loss_M)
        rest_MV = ((1 - share_M) / (V - 1))[:, None].expand(-1, V)
        return rest_MV.scatter(1, batch.target_M[:, None], share_M[:, None]).log()

    measures = replace(hand, reading=reading).score(Known(answer), last=True)
    assert measures["shuffling_cost"] == pytest.approx(3 / 3, rel=1e-5), "one of three tokens stands in the second row"
    assert measures["shortening_cost"] == pytest.approx(2 - 4, rel=1e-5), "of the one token in the first half"


def test_a_text_with_nothing_hidden_in_its_first_half_is_not_shortened(hand: Evaluation) -> None:
    late = replace(hand, hidden={0.5: np.array([2, 6])}, split_M=hand.split_M[1:])
    assert "shortening_cost" not in late.score(naming(0.5, 0.5), last=True)


def test_a_bag_of_words_loses_nothing_by_their_order(small: MakeSmall, evaluation: Evaluation) -> None:
    bag, ordered = (evaluation.score(small(f"model/position={name}"), last=True) for name in ("none", "rotary"))
    assert bag["shuffling_cost"] == pytest.approx(0, abs=1e-6)
    assert abs(ordered["shuffling_cost"]) > 1e-4
    assert bag["shortening_cost"] != 0 != ordered["shortening_cost"]


def test_attention_is_looked_into_all_along_a_run(small: MakeSmall, evaluation: Evaluation) -> None:
    """One sequence in 16, nothing masked; a model without attention has no such measures."""
    names = {"attention_entropy", "softmax_gradient"}
    assert names <= set(evaluation.score(small()))
    assert not names & set(evaluation.score(small("model/attention=fourier", "model/position=none")))
    told = evaluation.score(small())
    of_all = evaluation.score(small("model/pooling=mean"))  # all of whose states are read
    assert told["attention_entropy"] == pytest.approx(of_all["attention_entropy"])
    other = replace(evaluation.text, ids_NL=evaluation.text.ids_NL.copy())
    other.ids_NL[1:16] = 7
    assert replace(evaluation, text=other).score(small())["attention_entropy"] == told["attention_entropy"]
    other.ids_NL[16, 1:5] = 7
    assert replace(evaluation, text=other).score(small())["attention_entropy"] != told["attention_entropy"]


def test_one_half_of_the_text_ranks_the_heads_and_the_other_judges(
    small: MakeSmall, evaluation: Evaluation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sequence by sequence in turn; a text of one sequence has no second half."""
    given: list[Any] = []
    monkeypatch.setattr(attention, "pruning_cost", lambda _, shares, losses: given.append((shares, losses())) or {})
    model, losses, hidden_M = small().eval(), [], evaluation.hidden[0.3]
    evaluation.score(model, last=True)
    assert given == [], "no share is asked for"
    replace(evaluation, prune=(0.5,)).score(model, last=True)
    for batch in evaluation.text.batches(hidden_M):
        with torch.no_grad():
            losses.append(nn.functional.cross_entropy(model(batch).mlm_MV, batch.target_M, reduction="none"))
    second_M = torch.from_numpy(hidden_M // LENGTH % 2 == 1)
    means = (float(torch.cat(losses)[half_M].mean()) for half_M in (~second_M, second_M))
    assert given == [((0.5,), pytest.approx(tuple(means), abs=1e-6))]
    first = hidden_M[hidden_M < LENGTH]
    single = replace(evaluation, prune=(0.5,), hidden={0.3: first}, split_M=evaluation.split_M[: len(first)])
    single.score(model, last=True)
    assert len(given) == 1


LENGTH = 13
SIZES = ("model.width=12", "model.inner=11", "model.heads=2", "model.dropout=0.5", "model.dense_std=0.3")


@pytest.fixture(scope="module")
def evaluation(store: TokenStore, tiny_corpus: Any) -> Evaluation:
    settings: dict[str, Any] = {"text": Single(shortest=5), "pairs": Packed(), "rate": 0.3, "grid": [], "share": 1}
    return Common(**settings, sequences=70, pseudo=9, probe=0, prune=[], finetune=[], longest=2 * LENGTH).prepare(
        store, tiny_corpus, LENGTH
    )


@pytest.fixture
def small(store: TokenStore, make_small: MakeSmall) -> MakeSmall:
    """Make a small model for sequences of twice the length."""
    return partial(make_small, store.vocabulary.size, 2 * LENGTH, *SIZES)


def test_batch_statistics_are_those_of_the_evaluated_chunks_without_dropout(
    small: MakeSmall, evaluation: Evaluation
) -> None:
    """Expected values: a model in training mode without dropout, on the two chunks of 64 and 6 sequences."""
    model = small("model/norm=batch")
    state = {name: value.clone() for name, value in model.state_dict().items()}
    measured = evaluation.score(model, last=True)
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items()), "nothing has moved"
    twin = small("model/norm=batch", "model.dropout=0").train()
    losses = []
    for batch in evaluation.text.batches(evaluation.hidden[0.3]):
        with torch.no_grad():
            losses.append(nn.functional.cross_entropy(twin(batch).mlm_MV, batch.target_M, reduction="none"))
    assert len(losses) == 2
    assert measured["mlm_loss.batch_statistics"] == pytest.approx(float(torch.cat(losses).mean()), abs=1e-5)
    assert abs(measured["mlm_loss.batch_statistics"] - measured["mlm_loss.rate_0.3"]) > 1e-3, "running ones are fresh"
    assert evaluation.score(model, last=True) == measured, "the next evaluation has the running statistics again"


def test_a_model_is_fine_tuned_where_that_is_asked_for(
    small: MakeSmall, evaluation: Evaluation, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, given = small(), list[Any]()
    monkeypatch.setattr(finetune, "frozen", lambda *_: {})
    monkeypatch.setattr(
        finetune, "finetuned", lambda *arguments: given.append(arguments) or {"finetuned.examples_4": 0.5}
    )
    evaluation.score(model, last=True)
    assert given == []
    assert (
        replace(evaluation, finetuning=Finetuning({}, (4,), 1)).score(model, last=True)["finetuned.examples_4"] == 0.5
    )
    assert given == [(model, {}, (4,), evaluation.reading, torch.device("cpu"), 1)]


@pytest.mark.parametrize("norm", ["layer", "rms", "none"])
def test_only_norms_over_tokens_have_batch_statistics(small: MakeSmall, evaluation: Evaluation, norm: str) -> None:
    assert "mlm_loss.batch_statistics" not in evaluation.score(small(f"model/norm={norm}"), last=True)


@pytest.mark.parametrize("position", ["learned", "rotary", "sinusoidal", "alibi", "none"])
def test_a_model_that_is_built_for_it_reads_beyond_the_trained_length(
    small: MakeSmall, evaluation: Evaluation, position: str
) -> None:
    measures = evaluation.score(small(f"model/position={position}"), last=True)
    buckets = [name for name in measures if ".position_" in name]
    assert buckets == ["mlm_loss.position_0_12", "mlm_loss.position_13_25"]
    assert all(np.isfinite(measures[name]) for name in buckets)


def test_without_cls_every_measure_is_of_the_same_tokens(store: TokenStore, evaluation: Evaluation) -> None:
    """A model that knows a token's place in the batch only from the target cannot distinguish the readings."""
    table = torch.randn(store.vocabulary.size, store.vocabulary.size, generator=torch.Generator().manual_seed(0))
    model = Known(lambda batch: table[batch.target_M])
    bert, headless = (replace(evaluation, reading=reading) for reading in (Reading(), NO_CLS))
    assert headless.score(model) == pytest.approx(bert.score(model))
    assert headless.score(model, last=True) == pytest.approx(bert.score(model, last=True))


@needs_gpu
@pytest.mark.parametrize("norm", ["layer", "batch"])
def test_a_gpu_measures_the_same(store: TokenStore, tiny_corpus: Any, small: MakeSmall, norm: str) -> None:
    settings: dict[str, Any] = {"text": Single(shortest=5), "pairs": Packed(), "rate": 0.3, "grid": [0.5], "share": 1}
    ends: dict[str, Any] = {"pseudo": 9, "probe": 20, "prune": [0.5], "finetune": [], "longest": 2 * LENGTH}
    evaluation = Common(**settings, **ends, sequences=70).prepare(store, tiny_corpus, LENGTH)
    model = small(f"model/norm={norm}")
    here, model = evaluation.score(model, last=True), model.cuda()
    there = evaluation.score(model, last=True)
    assert there == pytest.approx(here, abs=2e-3)


def test_each_measure_is_taken_by_the_function_that_its_row_names(small: MakeSmall, evaluation: Evaluation) -> None:
    data = replace(evaluation, prune=(0.5,))
    with evaluating(model := small("model/norm=batch")):
        scored = Scored(model, data)
        for measure in (*CURVE, *END):
            assert measure(scored) or measure in (pairs, states, finetuned, final_text, final_pairs), measure.__name__
            for name in measure(scored):
                row = measure_of(f"eval/{name}")
                assert row is not None, name
                assert (row.function, row.curve) == (measure.__name__, measure in CURVE), name
