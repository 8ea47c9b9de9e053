"""What is drawn from visible text, and probes of models with known states."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from bertlab.data.batches import Batch
from bertlab.data.oracle import Oracle
from bertlab.data.pairs.none import Packed
from bertlab.data.pairs.single import Single
from bertlab.data.prepare import prepare
from bertlab.data.store import TokenStore
from bertlab.data.tokenizer import SPECIALS
from bertlab.data.tokenizer.words import Words
from bertlab.evaluation.common import Common
from bertlab.evaluation.features import FEWEST, Features
from bertlab.evaluation.score import Evaluation
from bertlab.evaluation.sequences import BERT, Reading
from bertlab.model.init import initialise
from bertlab.streams import Streams

LENGTH, CPU = 35, torch.device("cpu")


class Shown(nn.Module):
    """A model whose layers are functions of the batch."""

    def __init__(self, *layers: Callable[[Batch], Tensor]) -> None:
        super().__init__()
        self._layers, self.given = layers, list[Batch]()

    def layers(self, batch: Batch) -> list[Tensor]:
        self.given.append(batch)
        return [layer(batch).double() for layer in self._layers]


def common(**change: Any) -> Common:
    settings: dict[str, Any] = {
        "text": Single(shortest=3),
        "pairs": Packed(),
        "sequences": 150,
        "rate": 0.15,
        "grid": [],
    }
    settings |= {"pseudo": 0, "probe": 101, "prune": [], "finetune": [], "longest": None, "share": 1}
    return Common(**settings | change)


@pytest.fixture(scope="module")
def words() -> TokenStore:
    return prepare(Oracle(documents=1000), Words(vocab_size=200))


@pytest.fixture(scope="module")
def evaluation(words: TokenStore) -> Evaluation:
    return common().prepare(words, Oracle(documents=1000), LENGTH)


@pytest.fixture
def features(evaluation: Evaluation) -> Features:
    assert evaluation.features is not None
    return evaluation.features


def static(words: TokenStore) -> Callable[[Batch], Tensor]:
    return lambda batch: one_hot(batch.ids_BL, words.vocabulary.size)


def test_the_probed_words_are_all_words_of_the_first_sequences(features: Features, evaluation: Evaluation) -> None:
    assert np.array_equal(features.text.ids_NL, evaluation.text.ids_NL[:101])
    assert np.array_equal(features.word_M, np.flatnonzero(features.text.ids_NL >= len(SPECIALS)))


def test_words_change_places_among_each_other(features: Features) -> None:
    """So the words that were moved are as frequent as those that stayed."""
    before_R = features.text.ids_NL.reshape(-1)[features.judged_R]
    assert len(before_R) == round(0.3 * len(features.word_M))
    assert sorted(before_R) == sorted(features.given_R)
    assert 0.4 < np.mean(before_R != features.given_R) <= 0.5
    assert (np.diff(features.judged_R) > 0).all()
    assert np.isin(features.judged_R, features.word_M).all()


def test_static_states_show_words_but_not_which_were_moved(features: Features, words: TokenStore) -> None:
    measures = features.score(Shown(static(words)), BERT, CPU)
    assert measures["token_share"] == pytest.approx(1)
    assert 0.42 < measures["moved_accuracy"] < 0.58
    assert 0.5 < measures["sense_accuracy"] < 0.85, "the likelier of two senses"


def test_states_that_know_are_found_out(features: Features, words: TokenStore) -> None:
    """The first layer is static; the second has the original text and the sense: an upper limit for both probes."""
    written = torch.from_numpy(features.text.ids_NL)
    sense_NL = torch.zeros(written.shape, dtype=torch.long)
    assert features.sense_M is not None
    sense_NL.view(-1)[features.word_M] = torch.from_numpy(features.sense_M)
    row = {tuple(ids.tolist()): number for number, ids in enumerate(written)}
    rows: list[list[int]] = []

    def knowing(batch: Batch) -> Tensor:
        back = batch.ids_BL.clone()
        back.view(-1)[batch.position_M] = batch.target_M
        rows.append([row[tuple(ids.tolist())] for ids in back])
        moved_BL = (batch.ids_BL != written[rows[-1]])[..., None]
        return torch.cat((moved_BL, one_hot(sense_NL[rows[-1]], 12)), dim=2)

    measures = features.score(Shown(static(words), knowing), BERT, CPU)
    assert measures["moved_accuracy"] == measures["sense_accuracy"] == 1
    names = ["effective_rank", "token_share", "moved_accuracy", "sense_accuracy"]
    assert list(measures) == [full for name in names for full in (name, f"{name}.layer_0")]


@pytest.mark.parametrize("reading", [Reading(ahead=1), Reading(cls=False)])
def test_every_arm_is_asked_about_the_same_words(features: Features, words: TokenStore, reading: Reading) -> None:
    bert, other = Shown(static(words)), Shown(static(words))
    assert features.score(bert, BERT, CPU) == features.score(other, reading, CPU)
    for one, two in zip(bert.given, other.given, strict=True):
        assert torch.equal(one.target_M, two.target_M)
        assert torch.equal(one.ids_BL.view(-1)[one.position_M], two.ids_BL.view(-1)[two.position_M])


def test_what_is_probed_is_drawn_once_and_too_few_sequences_are_not_probed(words: TokenStore) -> None:
    evaluation = common(probe=FEWEST - 1).prepare(words, Oracle(documents=1000), LENGTH)
    assert evaluation.features is None
    assert evaluation.last_passes == 5.5, "nothing of it is paid for"


def test_probes_are_part_of_what_the_end_costs(evaluation: Evaluation) -> None:
    assert evaluation.last_passes == pytest.approx(5.5 + 2 * 101 / 150), "of 150 sequences"


def test_a_text_that_knows_no_senses_is_asked_for_none(
    store: TokenStore, tiny_corpus: Any, build_part: Callable[..., Any]
) -> None:
    made = common(text=Single(shortest=5), sequences=40, probe=40)
    evaluation = made.prepare(store, tiny_corpus, 13)
    model = build_part("model=nano", "model.layers=3", "model.dropout=0.5")(store.vocabulary.size, 13)
    initialise(model, Streams(0))
    model.train()
    measures = evaluation.score(model, last=True)
    assert measures == evaluation.score(model, last=True), "dropout is off"
    assert model.training
    assert "sense_accuracy" not in measures
    assert {"token_share", *(f"token_share.layer_{layer}" for layer in range(3))} <= set(measures)
    assert measures["token_share.layer_0"] == pytest.approx(1), "position is rotary: the embedding is the token's own"


def test_measures_that_are_not_defined_are_left_out(features: Features, words: TokenStore) -> None:
    """A first layer of constant states has no rank and no share; without moved words there is no value."""
    same = replace(features, given_R=features.text.ids_NL.reshape(-1)[features.judged_R])
    measures = same.score(Shown(lambda batch: torch.ones(*batch.ids_BL.shape, 3), static(words)), BERT, CPU)
    assert set(measures) == {"effective_rank", "token_share", "sense_accuracy", "sense_accuracy.layer_0"}
