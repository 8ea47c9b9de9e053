from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from omegaconf import OmegaConf

from bertlab.config.errors import InputError
from bertlab.data.documents import Corpus, Document
from bertlab.data.hmm import HIDDEN, Floats, Ints, Language, hidden_log_prob, infer
from bertlab.data.oracle import Oracle
from bertlab.data.sentences import sentences


def some(count: int, **settings: Any) -> list[Document]:
    return list(islice(Oracle(**settings).documents(), count))


def test_the_corpus_satisfies_the_protocol() -> None:
    corpus: Corpus = Oracle(documents=7)
    assert corpus.name == "oracle"
    assert len({document.id for document in corpus.documents()}) == 7
    assert all(isinstance(value, str) for value in corpus.facts().values())


def test_same_seed_same_text_other_seed_other_text() -> None:
    assert some(31, documents=41) == some(31, documents=41)
    assert some(31)[0].text != some(31, language_seed=1)[0].text
    assert Oracle().key() == Oracle(states=12).key()
    assert Oracle().key() != Oracle(language_seed=1).key()
    assert Oracle().key() != Oracle(max_sentences=17).key()


def test_the_key_does_not_change_with_use() -> None:
    oracle = Oracle(documents=5)
    before = oracle.key()
    next(oracle.documents())
    oracle.unigram()
    assert oracle.key() == before == Oracle(documents=5).key()


def test_the_text_of_the_default_language_is_pinned() -> None:
    """Fails if the same settings give another text, also because of numpy: then change VERSION and this line."""
    assert some(1)[0].text.startswith(
        "dale goba raha tite mefi hono suke gumu\n\nmefi lefa goba hema dale goba pure beki"
    )


def test_more_documents_keep_the_first_ones() -> None:
    few, many = some(1031, documents=1031), some(1031, documents=3001)
    assert [document.text for document in few] == [document.text for document in many]


def test_the_last_twentieth_is_held_out_and_two_at_least() -> None:
    splits = [document.split for document in Oracle(documents=200).documents()]
    assert splits == ["train"] * 190 + ["valid"] * 10
    assert [document.split for document in Oracle(documents=4).documents()] == ["train", "train", "valid", "valid"]


def test_sentences_have_the_stated_length_and_survive_the_splitter() -> None:
    counts = set()
    for document in some(200, sentence_words=5, min_sentences=3, max_sentences=6, documents=200):
        split = list(sentences(document.text))
        assert split == document.text.split("\n\n")
        assert {len(sentence.split(" ")) for sentence in split} == {5}
        counts.add(len(split))
    assert counts == {3, 4, 5, 6}


def test_every_word_of_the_vocabulary_occurs_and_no_other() -> None:
    oracle = Oracle(documents=300)
    text = " ".join(document.text for document in oracle.documents())
    assert set(text.split()) == set(oracle.vocabulary())
    assert len(oracle.vocabulary()) == 120


def test_vocabularies_of_any_size_are_distinct_words() -> None:
    forms = Oracle(words=5003, words_per_state=2503, states=2).vocabulary()
    assert len(set(forms)) == 5003
    assert all(form.isalpha() and form.islower() for form in forms)


def test_the_text_is_the_truth_spelled_out() -> None:
    oracle = Oracle(documents=50)
    forms = oracle.vocabulary()
    for document, (topic, state_L, word_L) in zip(oracle.documents(), oracle.truth(), strict=True):
        assert document.text.split() == [forms[word] for word in word_L]
        assert (oracle.language.emit_SW[state_L, word_L] > 0).all()
        assert (oracle.language.step_TSS[topic, state_L[:-1], state_L[1:]] > 0).all()


def test_the_default_holds_four_million_training_words() -> None:
    oracle = Oracle()
    mean = (oracle.min_sentences + oracle.max_sentences) / 2 * oracle.sentence_words
    assert 0.95 * oracle.size * mean == pytest.approx(4e6, rel=0.01)


def test_the_configuration_holds_the_defaults(request: pytest.FixtureRequest) -> None:
    config: Any = OmegaConf.load(Path(request.config.rootpath) / "conf" / "data" / "oracle.yaml")
    settings = {name: value for name, value in config.data.items() if name != "_target_"}
    assert config.data._target_ == f"{Oracle.__module__}.{Oracle.__qualname__}"
    assert Oracle(**settings).key() == Oracle().key()
    assert (config.batch.length - 3) % settings["sentence_words"] == 0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"words_per_state": 121}, "words_per_state must be a whole number from 10 to 120, got 121"),
        ({"words_per_state": 9}, "words_per_state must be a whole number from 10 to 120, got 9"),
        ({"successors": 13}, "successors must be a whole number from 2 to 12, got 13"),
        ({"successors": 1}, "successors must be a whole number from 2 to 12, got 1"),
        ({"states": 0}, "states must be a whole number of at least 2, got 0"),
        ({"topics": -1}, "topics must be a whole number of at least 1, got -1"),
        ({"words": 0}, "words must be a whole number of at least 1, got 0"),
        ({"sentence_words": 0}, "sentence_words must be a whole number of at least 1, got 0"),
        ({"min_sentences": 0}, "min_sentences must be a whole number of at least 1, got 0"),
        ({"max_sentences": 7}, "max_sentences must be a whole number of at least 8, got 7"),
        ({"documents": 3}, "documents must be a whole number of at least 4, got 3"),
        ({"language_seed": -1}, "language_seed must be a whole number of at least 0, got -1"),
        ({"states": 2.5}, "states must be a whole number of at least 2, got 2.5"),
        ({"states": "many"}, "states must be a whole number of at least 2, got many"),
    ],
)
def test_impossible_sizes_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        Oracle(**settings)
    assert str(caught.value).startswith(message + "; choose for example ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("key", ["states", "topics", "words", "sentence_words", "max_sentences", "documents"])
def test_sizes_that_would_fill_the_memory_or_a_day_are_refused(key: str) -> None:
    with pytest.raises(InputError, match=rf"^{key} must be at most [0-9]+, got 100000000000; choose a smaller one$"):
        Oracle(**{key: 10**11})


class Sampled:
    """3,001 pairs of 16 + 16 words of the default corpus, half of them from one document, 15 % hidden."""

    def __init__(self) -> None:
        self.oracle = Oracle()
        generator = np.random.default_rng(11)
        drawn = list(islice(self.oracle.truth(), 6002))
        self.follows_B = generator.random(3001) < 0.5
        first, other = drawn[:3001], drawn[3001:]
        pick = [a if joined else b for a, b, joined in zip(first, other, self.follows_B, strict=True)]
        self.word_BL = np.stack([np.append(a[2][:16], b[2][16:32]) for a, b in zip(first, pick, strict=True)])
        self.state_BL = np.stack([np.append(a[1][:16], b[1][16:32]) for a, b in zip(first, pick, strict=True)])
        self.segment_BL = np.tile(np.repeat([0, 1], 16), (3001, 1))
        self.hidden_BL = generator.random(self.word_BL.shape) < 0.15
        self.shown_BL: Ints = np.where(self.hidden_BL, HIDDEN, self.word_BL)
        self.target_M: Ints = self.word_BL[self.hidden_BL]
        self.log_prob_MW, self.belief_B = self.oracle.posterior(self.shown_BL, self.segment_BL)

    def loss(self, log_prob_MW: Floats) -> Floats:
        result: Floats = -log_prob_MW[np.arange(len(self.target_M)), self.target_M]
        return result

    def surplus(self, log_prob_MW: Floats) -> tuple[float, float]:
        """Mean extra loss (nats) over the exact posterior, and its standard error over rows."""
        extra = self.loss(log_prob_MW) - self.loss(self.log_prob_MW)
        row_B = np.bincount(np.nonzero(self.hidden_BL)[0], weights=extra, minlength=len(self.word_BL))
        return float(extra.mean()), float(row_B.std() * len(row_B) ** 0.5 / len(extra))


@pytest.fixture(scope="module")
def sampled() -> Sampled:
    return Sampled()


def test_context_is_worth_more_than_a_nat(sampled: Sampled) -> None:
    unigram = -np.log(sampled.oracle.unigram())[sampled.target_M].mean()
    assert unigram - sampled.loss(sampled.log_prob_MW).mean() > 1.5


def test_loss_is_the_entropy_the_posterior_claims(sampled: Sampled) -> None:
    """E[-log p(word)] = E[H(p)] for the posterior, not for a sharper or flatter one. Tolerance: 4 standard errors."""
    claimed_M = -(np.exp(sampled.log_prob_MW) * np.where(np.isinf(sampled.log_prob_MW), 0, sampled.log_prob_MW)).sum(1)
    gap_M = sampled.loss(sampled.log_prob_MW) - claimed_M
    assert abs(gap_M.mean()) < 4 * gap_M.std() / len(gap_M) ** 0.5


def other_predictors(sampled: Sampled) -> dict[str, Floats]:
    language, shown_BL, segment_BL = sampled.oracle.language, sampled.shown_BL, sampled.segment_BL

    def under(other: Language, segments: Ints = segment_BL) -> Floats:
        return hidden_log_prob(other, shown_BL, infer(other, shown_BL, segments))

    mixed_TSS = np.repeat(language.step_TSS.mean(axis=0, keepdims=True), 2, axis=0)
    loose_TSS = 0.95 * language.step_TSS + 0.05 / 12
    flat_SW = 0.9 * language.emit_SW + 0.1 / 120
    tempered = {power: power * np.maximum(sampled.log_prob_MW, -50) for power in (0.9, 1.1)}
    return {
        "no topics": under(Language(language.start_TS, mixed_TSS, language.emit_SW)),
        "loose transitions": under(Language(language.start_TS, loose_TSS, language.emit_SW)),
        "flatter emissions": under(Language(language.start_TS, language.step_TSS, flat_SW)),
        **{f"tempered {p}": x - np.log(np.exp(x).sum(axis=1, keepdims=True)) for p, x in tempered.items()},
        "no pairs": under(Language(language.start_TS, loose_TSS, language.emit_SW), np.zeros_like(segment_BL)),
        "unigram": np.tile(np.log(sampled.oracle.unigram()), (len(sampled.target_M), 1)),
    }


def test_no_other_predictor_beats_the_exact_posterior(sampled: Sampled) -> None:
    for name, log_prob_MW in other_predictors(sampled).items():
        mean, error = sampled.surplus(log_prob_MW)
        assert mean > 2 * error > 0, f"{name}: {mean:.4f} +- {error:.4f} nats"


def test_pair_accuracy_is_what_the_belief_claims_and_about_nine_tenths(sampled: Sampled) -> None:
    right_B = (sampled.belief_B > 0.5) == sampled.follows_B
    claimed = np.maximum(sampled.belief_B, 1 - sampled.belief_B).mean()
    assert right_B.mean() > 0.88
    assert abs(right_B.mean() - claimed) < 4 * right_B.std() / len(right_B) ** 0.5
    assert abs(sampled.belief_B.mean() - sampled.follows_B.mean()) < 0.04


def test_senses_are_calibrated_and_need_context(sampled: Sampled) -> None:
    """The mean belief in the true state equals the mean of sum p^2; the word alone gives less."""
    state_BLS = sampled.oracle.senses(sampled.word_BL, sampled.segment_BL)
    in_truth_BL = np.take_along_axis(state_BLS, sampled.state_BL[..., None], axis=2)[..., 0]
    assert abs(in_truth_BL.mean() - (state_BLS**2).sum(axis=2).mean()) < 0.01
    joint_SW = sampled.oracle.language.start_TS.mean(axis=0)[:, None] * sampled.oracle.language.emit_SW
    alone_BL = joint_SW.argmax(axis=0)[sampled.word_BL]
    assert (alone_BL == sampled.state_BL).mean() + 0.05 < (state_BLS.argmax(axis=2) == sampled.state_BL).mean()
