"""On a generated language, a model with the exact posterior reaches the stored floor, on the same sequences."""

from dataclasses import replace
from itertools import count
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from bertlab.config.errors import InputError
from bertlab.data.batches import Batch
from bertlab.data.oracle import Oracle
from bertlab.data.pairs.none import Packed
from bertlab.data.pairs.nsp import NextSentence
from bertlab.data.pairs.single import Single
from bertlab.data.prepare import prepare
from bertlab.data.store import TokenStore
from bertlab.data.tokenizer import MASK
from bertlab.data.tokenizer.wordpiece import WordPiece
from bertlab.data.tokenizer.words import Words
from bertlab.evaluation.common import Common
from bertlab.evaluation.score import Evaluation
from bertlab.evaluation.sequences import Reading
from bertlab.model.bert import Output
from tests.outputs import of_logits

LENGTH = 19  # 16 words = 4 sentences, and 3 special tokens: no pair is ever cut
SIZES: dict[str, Any] = {
    "states": 5,
    "topics": 2,
    "words": 23,
    "words_per_state": 11,
    "sentence_words": 4,
    "min_sentences": 5,
    "max_sentences": 11,
    "documents": 601,
}


@pytest.fixture(scope="module")
def oracle() -> Oracle:
    return Oracle(**SIZES)


@pytest.fixture(scope="module")
def words(oracle: Oracle) -> TokenStore:
    return prepare(oracle, Words(vocab_size=100))


def common(**change: Any) -> Common:
    settings: dict[str, Any] = {"sequences": 101, "rate": 0.15, "grid": [0.4], "share": 0.05}
    settings |= {"pseudo": 0, "probe": 0, "prune": [], "finetune": [], "longest": None}
    settings |= {"text": Single(shortest=3), "pairs": NextSentence(random=0.5, short=0.1)}
    return Common(**settings | change)


@pytest.fixture(scope="module")
def evaluation(oracle: Oracle, words: TokenStore) -> Evaluation:
    return common().prepare(words, oracle, LENGTH)


class Exact(nn.Module):
    """The ideal reader: its logits are the logarithms of the true probabilities, given what the batch shows."""

    def __init__(self, oracle: Oracle, store: TokenStore) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.oracle = oracle
        ids = store.tokenizer.get_vocab()
        extra = count(len(ids))  # columns of words without a token: they have a share of the probability
        self.id_of = [ids[form] if form in ids else next(extra) for form in oracle.vocabulary()]
        self.size = next(extra)

    def forward(self, batch: Batch) -> Output:
        shape = batch.ids_BL.shape
        words, segments = np.full(shape, -2), np.zeros(shape, int)
        for row, (ids, own) in enumerate(zip(batch.ids_BL.tolist(), batch.segments_BL.tolist(), strict=True)):
            shown = [(id_, segment) for id_, segment in zip(ids, own, strict=True) if id_ >= MASK]
            words[row, : len(shown)] = [-1 if id_ == MASK else self.id_of.index(id_) for id_, _ in shown]
            segments[row, : len(shown)] = [segment for _, segment in shown]
        log_prob_MW, follows_B = self.oracle.posterior(words, segments)
        logit_MV = torch.full((len(log_prob_MW), self.size), -torch.inf, dtype=torch.float64)
        logit_MV[:, self.id_of] = torch.from_numpy(log_prob_MW)
        return of_logits(logit_MV, torch.from_numpy(np.stack([follows_B, 1 - follows_B], 1)).log())


def test_the_exact_posterior_reaches_the_floor(oracle: Oracle, words: TokenStore, evaluation: Evaluation) -> None:
    measures = evaluation.score(Exact(oracle, words))
    assert measures["mlm_loss"] == pytest.approx(measures["bayes_loss"], abs=1e-6)
    assert measures["captured"] == pytest.approx(1, abs=1e-6)
    assert measures["pair_accuracy"] == measures["bayes_pair_accuracy"]
    assert measures["context_gain"] > 0.3, "the claim needs a language whose context says something"
    assert 0.6 < measures["pair_accuracy"] < 1


def test_the_floor_is_stored_for_every_rate(oracle: Oracle, words: TokenStore, evaluation: Evaluation) -> None:
    assert sorted(evaluation.floor) == sorted(evaluation.hidden) == [0.15, 0.4]
    for rate, floor in evaluation.floor.items():
        measures = replace(evaluation, rate=rate).score(Exact(oracle, words))
        assert measures["mlm_loss"] == pytest.approx(floor, abs=1e-6)
    assert evaluation.floor[0.15] < evaluation.floor[0.4] < evaluation.unigram_loss[0.4]


def test_an_arm_that_predicts_ahead_has_no_floor_of_gaps(words: TokenStore, evaluation: Evaluation) -> None:
    """It gets tokens that are masked for the floor: its loss may be lower."""

    class Uniform(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(words.vocabulary.size))

        def forward(self, batch: Batch) -> Output:
            return of_logits(self.weight.expand(len(batch.target_M), -1), torch.zeros(len(batch.ids_BL), 2))

    arm, uniform = replace(evaluation, reading=Reading(ahead=1)), Uniform()
    assert {"bayes_loss", "captured"} <= set(evaluation.score(uniform))
    assert not {"bayes_loss", "captured"} & set(arm.score(uniform))


def test_the_unigram_captures_nothing(words: TokenStore, evaluation: Evaluation) -> None:
    class Unigram(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.from_numpy(np.nan_to_num(words.unigram, nan=-1e4)))

        def forward(self, batch: Batch) -> Output:
            return of_logits(self.weight.expand(len(batch.target_M), -1), torch.zeros(len(batch.ids_BL), 2))

    assert evaluation.score(Unigram())["captured"] == pytest.approx(0, abs=1e-6)


def test_a_floor_of_pairs_needs_pairs(oracle: Oracle, words: TokenStore) -> None:
    made = common(pairs=Packed()).prepare(words, oracle, LENGTH)
    assert made.pair_floor is None
    measures = made.score(Exact(oracle, words))
    assert "bayes_loss" in measures
    assert not [name for name in measures if "pair" in name]


def test_natural_text_has_no_floor(store: TokenStore, tiny_corpus: Any) -> None:
    made = common().prepare(store, tiny_corpus, LENGTH)
    assert (made.floor, made.pair_floor) == ({}, None)


def test_the_floor_does_not_depend_on_who_had_the_same_text_before(make_corpus: Any) -> None:
    oracle = Oracle(**SIZES | {"documents": 101})
    copy = make_corpus(list(oracle.documents()))
    plain = prepare(copy, Words(vocab_size=100))
    assert not common().prepare(plain, copy, LENGTH).floor
    original = prepare(oracle, Words(vocab_size=100))
    assert original.fingerprint == plain.fingerprint
    assert common().prepare(original, oracle, LENGTH).floor


RICH = SIZES | {"words": 97, "words_per_state": 40}


def test_a_word_that_no_text_uses_does_no_harm() -> None:
    oracle = Oracle(**RICH | {"documents": 11})
    store = prepare(oracle, Words(vocab_size=200))
    assert None in [store.tokenizer.token_to_id(form) for form in oracle.vocabulary()]
    made = common(rate=0.4).prepare(store, oracle, LENGTH)
    assert made.score(Exact(oracle, store))["captured"] == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize(
    ("tokenizer", "got"), [(Words(vocab_size=40), "[UNK]"), (WordPiece(vocab_size=100, lowercase=True), "")]
)
def test_words_without_a_token_of_their_own_are_refused(tokenizer: Any, got: str) -> None:
    oracle = Oracle(**RICH)
    store = prepare(oracle, tokenizer)
    with pytest.raises(InputError) as caught:
        common().prepare(store, oracle, LENGTH)
    start, _, end = str(caught.value).partition("; ")
    assert start.startswith(f"a generated language needs each word to be one token, got {got}")
    assert end == "use tokenizer=words with tokenizer.vocab_size of at least 102"
