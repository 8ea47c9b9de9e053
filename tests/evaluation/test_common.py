"""The common evaluation: what is drawn, that it is drawn once, and how models are scored on it."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from bertlab.config.compose import CONF
from bertlab.config.errors import InputError
from bertlab.data.batches import Batch
from bertlab.data.pairs import FOLLOWS, NO_PAIR, RANDOM
from bertlab.data.pairs.none import Packed
from bertlab.data.pairs.nsp import NextSentence
from bertlab.data.pairs.single import Single
from bertlab.data.store import TokenStore
from bertlab.data.tokenizer import CLS, MASK, PAD, SEP
from bertlab.evaluation import common, sequences, tasks
from bertlab.evaluation.common import Common, chunks
from bertlab.evaluation.score import Evaluation
from bertlab.evaluation.tasks import TASKS
from bertlab.model.bert import Output
from tests.outputs import of_logits

NAMES = sorted(path.stem for path in (CONF / "evaluation").glob("*.yaml"))
LENGTH = 13
SETTINGS: dict[str, Any] = {
    "text": Single(shortest=5),
    "pairs": NextSentence(random=0.5, short=0.1),
    "sequences": 67,  # more than are scored at once
    "rate": 0.15,
    "grid": [0.05, 0.3],
    "pseudo": 11,
    "probe": 0,
    "prune": [],
    "finetune": [],
    "longest": None,
    "share": 0.05,
}


@pytest.fixture(scope="module")
def evaluation(store: TokenStore, tiny_corpus: Any) -> Evaluation:
    return Common(**SETTINGS).prepare(store, tiny_corpus, LENGTH)


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BERTLAB_CACHE", str(tmp_path))
    return tmp_path


class Stub(nn.Module):
    """A model whose logits are two functions of the batch; it keeps its batches."""

    def __init__(self, mlm: Callable[[Batch], Tensor], pair: Callable[[Batch], Tensor] | None = None) -> None:
        super().__init__()
        self.weight, self.dropout = nn.Parameter(torch.ones(1)), nn.Dropout(0.5)
        self._mlm, self._pair = mlm, pair or (lambda batch: torch.zeros(len(batch.ids_BL), 2))
        self.given: list[Batch] = []

    def forward(self, batch: Batch) -> Output:
        assert self.training is self.dropout.training is False
        assert not torch.is_grad_enabled()
        self.given.append(batch)
        return of_logits(self._mlm(batch) * self.weight, self._pair(batch) * self.weight)


def unigram(store: TokenStore) -> Stub:
    logits = torch.from_numpy(np.nan_to_num(store.unigram, nan=-1e4))
    return Stub(lambda batch: logits.expand(len(batch.target_M), -1))


def perfect(store: TokenStore) -> Stub:
    size = store.vocabulary.size
    return Stub(
        lambda batch: 100.0 * nn.functional.one_hot(batch.target_M, size),
        lambda batch: 100.0 * nn.functional.one_hot(batch.pair_B.clamp(min=0), 2),
    )


def given_sequences(stub: Stub) -> Tensor:
    """Return the ids of all batches with the targets put back."""
    rows = []
    for batch in stub.given:
        ids = batch.ids_BL.clone()
        ids.view(-1)[batch.position_M] = batch.target_M
        rows.append(ids)
    return torch.cat(rows)


@pytest.mark.parametrize("name", NAMES)
def test_every_configured_evaluation_scores_a_model(
    store: TokenStore, tiny_corpus: Any, build_part: Callable[..., Common], name: str
) -> None:
    made = build_part(f"evaluation={name}", "evaluation.sequences=11")
    measures = made.prepare(store, tiny_corpus, LENGTH).score(unigram(store))
    assert measures["mlm_loss"] == pytest.approx(measures["unigram_loss"], abs=1e-6)
    assert made.steps(100, 1024, 64, 7.5)[-1] == 100


def test_the_sequences_are_single_segments_of_held_out_text(store: TokenStore, evaluation: Evaluation) -> None:
    text = evaluation.text
    assert text.ids_NL.shape == text.segments_NL.shape
    assert text.ids_NL.shape[1] == LENGTH
    assert (text.ids_NL[:, 0] == CLS).all()
    assert ((text.ids_NL == SEP).sum(1) == 1).all()
    assert not text.segments_NL.any()
    assert set(text.label_N) == {NO_PAIR}
    valid = " ".join(map(str, store.splits["valid"].ids))
    for row in text.ids_NL:
        assert " ".join(map(str, row[row > MASK])) in valid
    assert len(np.unique(text.ids_NL, axis=0)) > 60, "no sequence is taken twice"


def test_no_more_sequences_are_taken_than_asked_for_or_there_are(store: TokenStore, tiny_corpus: Any) -> None:
    few = Common(**SETTINGS | {"sequences": 5}).prepare(store, tiny_corpus, LENGTH)
    assert len(few.text.ids_NL) == len(few.pairs.ids_NL) == 5
    everything = Common(**SETTINGS | {"sequences": 10**6}).prepare(store, tiny_corpus, LENGTH)
    expected = Single(shortest=5)(store.splits["valid"], LENGTH, np.random.default_rng(0))
    assert len(everything.text.ids_NL) == len(expected)


def test_pairs_of_both_kinds_are_shown_without_a_mask(evaluation: Evaluation) -> None:
    assert set(evaluation.pairs.label_N) == {FOLLOWS, RANDOM}
    assert (evaluation.pairs.ids_NL != MASK).all()
    assert ((evaluation.pairs.ids_NL == SEP).sum(1) == 2).all()


def test_hidden_tokens_are_all_masked_and_no_other_token_changes(evaluation: Evaluation) -> None:
    for hidden in evaluation.hidden.values():
        batches = [*evaluation.text.batches(hidden)]
        assert sum(len(batch.position_M) for batch in batches) == len(hidden) > 0
        for batch in batches:
            flat = batch.ids_BL.view(-1)
            assert (flat[batch.position_M] == MASK).all()
            assert int((flat == MASK).sum()) == len(batch.position_M)
            assert batch.real_BL is None or torch.equal(batch.real_BL, batch.ids_BL != PAD)


def test_positions_and_targets_are_those_of_the_stored_text(store: TokenStore, evaluation: Evaluation) -> None:
    stub = unigram(store)
    measures = evaluation.score(stub)
    texts = [batch for batch in stub.given if not batch.has_pairs]
    stub.given = texts
    assert torch.equal(given_sequences(stub), torch.from_numpy(evaluation.text.ids_NL))
    position = np.concatenate(
        [batch.position_M.numpy() + start * LENGTH * sequences.CHUNK for start, batch in enumerate(texts)]
    )
    np.testing.assert_array_equal(position, evaluation.hidden[0.15])
    target = evaluation.text.ids_NL.reshape(-1)[position]
    assert target.min() > MASK
    assert measures["unigram_loss"] == pytest.approx(-store.unigram[target].mean())


def test_hidden_tokens_are_nested_across_rates_and_as_many_as_the_rate_says(evaluation: Evaluation) -> None:
    assert sorted(evaluation.hidden) == [0.05, 0.15, 0.3]
    few, some, many = (set(evaluation.hidden[rate].tolist()) for rate in (0.05, 0.15, 0.3))
    assert few < some < many
    real = (evaluation.text.ids_NL > MASK).sum()
    for rate, hidden in evaluation.hidden.items():
        assert abs(len(hidden) / real - rate) < 4 * np.sqrt(rate * (1 - rate) / real)
        assert (np.diff(hidden) > 0).all()


def test_the_words_that_are_not_hidden_are_shuffled_within_their_sequence(evaluation: Evaluation) -> None:
    ids_NL, shuffled_NL = evaluation.text.ids_NL, evaluation.shuffled.ids_NL
    stays_NL = ids_NL <= MASK
    stays_NL.reshape(-1)[evaluation.hidden[0.15]] = True
    np.testing.assert_array_equal(shuffled_NL[stays_NL], ids_NL[stays_NL])
    np.testing.assert_array_equal(np.sort(shuffled_NL), np.sort(ids_NL))
    moved = (shuffled_NL != ids_NL)[~stays_NL].mean()
    assert 0.7 < moved < 1, "some words stand where they stood, or change places with their like"


def files(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.glob("evaluations/*/*")}


def test_it_is_drawn_once_and_stored(
    store: TokenStore, tiny_corpus: Any, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Common(**SETTINGS).prepare(store, tiny_corpus, LENGTH)
    stored = files(own_cache)
    assert list(stored) == [".checksums.json", "evaluation.npz"]
    monkeypatch.setattr(common, "hide", None)
    monkeypatch.setattr(common, "assemble", None)
    Common(**SETTINGS).prepare(store, tiny_corpus, LENGTH)
    assert files(own_cache) == stored


def test_it_is_the_same_for_every_seed_and_on_every_machine(
    store: TokenStore, tiny_corpus: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = []
    for seed in (0, 1):
        monkeypatch.setenv("BERTLAB_CACHE", str(tmp_path / str(seed)))
        torch.manual_seed(seed)
        np.random.seed(seed)  # noqa: NPY002 - the global state that must not matter
        Common(**SETTINGS).prepare(store, tiny_corpus, LENGTH)
        stored.append({name: content for name, (content, _) in files(tmp_path / str(seed)).items()})
    assert stored[0] == stored[1]


def test_other_settings_are_another_entry(store: TokenStore, tiny_corpus: Any, own_cache: Path) -> None:
    changes: list[dict[str, Any]] = [
        {},
        {"text": Single(shortest=6)},
        {"pairs": NextSentence(random=0.4, short=0.1)},
        {"pairs": Packed()},
        {"sequences": 66},
        {"grid": [0.05, 0.31]},
        {"rate": 0.3, "grid": [0.05, 0.15]},
        {"pseudo": 12},
        {"longest": 2 * LENGTH},
    ]
    for change in changes:
        Common(**SETTINGS | change).prepare(store, tiny_corpus, LENGTH)
    Common(**SETTINGS).prepare(store, tiny_corpus, LENGTH + 1)
    assert len(list(own_cache.glob("evaluations/*/"))) == len(changes) + 1
    Common(**SETTINGS | {"share": 0.9}).prepare(store, tiny_corpus, LENGTH)
    assert len(list(own_cache.glob("evaluations/*/"))) == len(changes) + 1, "what costs nothing draws nothing"


def test_a_model_that_knows_the_unigram_gains_nothing_from_context(store: TokenStore, evaluation: Evaluation) -> None:
    measures = evaluation.score(unigram(store))
    assert measures["context_gain"] == pytest.approx(0, abs=1e-6)
    assert measures["mlm_loss"] == pytest.approx(measures["unigram_loss"], abs=1e-6)
    hits = evaluation.text.ids_NL.reshape(-1)[evaluation.hidden[0.15]] == np.nanargmax(store.unigram)
    assert measures["mlm_accuracy"] == pytest.approx(hits.mean())
    assert 0 < measures["mlm_accuracy"] < 1


def test_a_perfect_model_loses_nothing(store: TokenStore, evaluation: Evaluation) -> None:
    measures = evaluation.score(perfect(store))
    assert measures["mlm_loss"] == pytest.approx(0, abs=1e-6)
    assert measures["pair_loss"] == pytest.approx(0, abs=1e-6)
    assert measures["mlm_accuracy"] == measures["pair_accuracy"] == 1
    assert measures["context_gain"] == pytest.approx(measures["unigram_loss"], abs=1e-6)


def test_a_model_that_knows_nothing_loses_the_logarithm_of_the_choices(
    store: TokenStore, evaluation: Evaluation
) -> None:
    measures = evaluation.score(Stub(lambda batch: torch.zeros(len(batch.target_M), store.vocabulary.size)))
    assert measures["mlm_loss"] == pytest.approx(np.log(store.vocabulary.size), abs=1e-5)
    assert measures["pair_loss"] == pytest.approx(np.log(2), abs=1e-6)
    assert measures["pair_accuracy"] == pytest.approx((evaluation.pairs.label_N == FOLLOWS).mean())


def test_measures_at_the_end_do_not_change_sequences_and_masked_tokens(
    store: TokenStore, tiny_corpus: Any, evaluation: Evaluation
) -> None:
    other = Common(**SETTINGS | {"longest": 2 * LENGTH, "pseudo": 5}).prepare(store, tiny_corpus, LENGTH)
    np.testing.assert_array_equal(other.text.ids_NL, evaluation.text.ids_NL)
    np.testing.assert_array_equal(other.pairs.ids_NL, evaluation.pairs.ids_NL)
    np.testing.assert_array_equal(other.split_M, evaluation.split_M)
    assert all((other.hidden[rate] == hidden).all() for rate, hidden in evaluation.hidden.items())
    assert set(other.pseudo_M) < set(evaluation.pseudo_M), "samples are nested"


def test_the_80_10_10_corruption_falls_on_the_hidden_tokens(store: TokenStore, tiny_corpus: Any) -> None:
    """Of about 1,500 tokens; tolerance 4 standard errors, and a random token may be the original."""
    made = Common(**SETTINGS | {"rate": 0.9, "sequences": 10**6}).prepare(store, tiny_corpus, LENGTH)
    target_M = made.text.ids_NL.reshape(-1)[made.hidden[0.9]]
    count = len(target_M)
    assert len(made.split_M) == count > 500
    assert (made.split_M == MASK).mean() == pytest.approx(0.8, abs=4 * np.sqrt(0.16 / count))
    assert (made.split_M == target_M).mean() == pytest.approx(0.1, abs=4 * np.sqrt(0.09 / count) + 0.1 / 250)
    assert made.split_M.min() >= MASK


def test_tokens_hidden_one_at_a_time_are_real_and_taken_once(store: TokenStore, evaluation: Evaluation) -> None:
    assert len(np.unique(evaluation.pseudo_M)) == len(evaluation.pseudo_M) == 11
    assert (np.diff(evaluation.pseudo_M) > 0).all()
    assert (evaluation.text.ids_NL.reshape(-1)[evaluation.pseudo_M] > MASK).all()


def test_no_more_tokens_are_hidden_one_at_a_time_than_there_are(store: TokenStore, tiny_corpus: Any) -> None:
    made = Common(**SETTINGS | {"sequences": 7, "pseudo": 10**6}).prepare(store, tiny_corpus, LENGTH)
    assert len(made.pseudo_M) == (made.text.ids_NL > MASK).sum()


def test_longer_texts_are_full_and_of_one_document(store: TokenStore, tiny_corpus: Any) -> None:
    made = Common(**SETTINGS | {"longest": 31, "sequences": 20}).prepare(store, tiny_corpus, LENGTH)
    assert made.long is not None
    assert made.long.text.ids_NL.shape == (20, 31)
    assert (made.long.text.ids_NL[:, [0, -1]] == [CLS, SEP]).all()
    assert (made.long.text.ids_NL[:, 1:-1] > SEP).all()
    hidden = made.long.text.ids_NL.reshape(-1)[made.long.hidden_M]
    assert len(hidden) / (20 * 29) == pytest.approx(0.15, abs=4 * np.sqrt(0.15 * 0.85 / (20 * 29)))


def test_a_corpus_without_enough_long_text_is_refused_and_leaves_no_entry(
    store: TokenStore, tiny_corpus: Any, own_cache: Path
) -> None:
    with pytest.raises(InputError) as caught:
        Common(**SETTINGS | {"longest": 1000}).prepare(store, tiny_corpus, LENGTH)
    assert str(caught.value) == (
        "longest 1000 needs 16 held-out texts that long, got 0; add long documents or choose a smaller longest"
    )
    assert not list(own_cache.glob("evaluations/*/"))


@pytest.mark.parametrize("longest", [LENGTH, 1])
def test_a_longest_text_within_the_trained_length_is_refused(longest: int, store: TokenStore, tiny_corpus: Any) -> None:
    with pytest.raises(InputError) as caught:
        Common(**SETTINGS | {"longest": longest}).prepare(store, tiny_corpus, LENGTH)
    assert str(caught.value) == (
        f"longest must be null or more than batch.length 13, got {longest}; choose for example 26"
    )


def test_measures_are_means_over_all_tokens_however_they_are_scored(
    store: TokenStore, evaluation: Evaluation, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = torch.Generator().manual_seed(0)
    table = torch.randn(store.vocabulary.size, store.vocabulary.size, generator=generator)
    stub = Stub(
        lambda batch: table[batch.ids_BL.roll(1, 1).view(-1)[batch.position_M]],
        lambda batch: table[batch.ids_BL[:, 1]][:, :2],
    )
    at_once = evaluation.score(stub, last=True)
    monkeypatch.setattr(sequences, "CHUNK", 3)
    assert evaluation.score(stub, last=True) == pytest.approx(at_once, abs=1e-5)


def test_the_measures_have_these_names(store: TokenStore, evaluation: Evaluation) -> None:
    text = {"mlm_loss", "mlm_accuracy", "unigram_loss", "context_gain"}
    assert set(evaluation.score(unigram(store))) == text | {"pair_loss", "pair_accuracy"}
    grid = evaluation.score(unigram(store), last=True)
    rates = [name for name in grid if name.startswith("mlm_loss.rate_")]
    assert rates == ["mlm_loss.rate_0.05", "mlm_loss.rate_0.15", "mlm_loss.rate_0.3"]
    for rate, hidden in evaluation.hidden.items():
        targets = evaluation.text.ids_NL.reshape(-1)[hidden]
        assert grid[f"mlm_loss.rate_{rate}"] == pytest.approx(-store.unigram[targets].mean(), abs=1e-6)


def test_the_loss_by_parts_of_the_text_is_that_of_every_fourth_sequence(
    store: TokenStore, evaluation: Evaluation
) -> None:
    measures, hidden_M = evaluation.score(unigram(store), last=True), evaluation.hidden[evaluation.rate]
    row_M = hidden_M // LENGTH
    for part in range(4):
        targets = evaluation.text.ids_NL.reshape(-1)[hidden_M[row_M % 4 == part]]
        assert measures[f"mlm_loss.chunk_{part}"] == pytest.approx(-store.unigram[targets].mean(), abs=1e-6)


@pytest.mark.parametrize("training", [True, False])
def test_scoring_leaves_the_model_as_it_was(store: TokenStore, evaluation: Evaluation, training: bool) -> None:
    stub = unigram(store).train(training)
    for last in (False, True):
        evaluation.score(stub, last=last)
        assert stub.training is stub.dropout.training is training
        assert torch.is_grad_enabled()
        assert stub.weight.grad is None


def test_without_pairs_there_are_no_pair_measures(store: TokenStore, tiny_corpus: Any) -> None:
    made = Common(**SETTINGS | {"pairs": Packed()}).prepare(store, tiny_corpus, LENGTH)
    stub = perfect(store)
    assert not [name for name in made.score(stub) if name.startswith("pair_")]
    assert len(stub.given) == 2, "no forward pass is spent on pairs"


def test_rates_of_many_digits_are_scored(store: TokenStore, tiny_corpus: Any) -> None:
    made = Common(**SETTINGS | {"rate": 0.123456789, "grid": [0.123456788]}).prepare(store, tiny_corpus, LENGTH)
    assert sorted(made.hidden) == [0.123456788, 0.123456789]
    assert made.score(perfect(store))["mlm_accuracy"] == 1


TOTALS, SHARES = (1, 2, 7, 19, 100, 2250, 10**5), (0.0, 1e-4, 0.01, 0.05, 0.5, 1.0)


@pytest.mark.parametrize("total", TOTALS)
@pytest.mark.parametrize("share", SHARES)
def test_evaluation_takes_its_share_and_ends_with_the_last_step(total: int, share: float) -> None:
    """Costs in tokens of training: a forward pass is a third; 2.1 passes a point and 5.25 at the end."""
    made = Common(**SETTINGS | {"share": share})
    steps = made.steps(total, batch_tokens=1024, length=64, last_passes=5.25)
    assert steps[-1] == total
    assert all(before < after for before, after in pairwise(steps))
    assert min(steps) >= 1
    cost = (2.1 * len(steps) + 5.25) * 67 * 64 / 3
    assert cost <= share * total * 1024 or len(steps) == 1


def test_points_are_as_many_as_the_share_pays_for_and_even_in_the_logarithm() -> None:
    made = Common(**SETTINGS | {"sequences": 30, "grid": [], "share": 0.05})  # a pass costs 30 * 64 / 3 = 640 tokens
    steps = made.steps(10_000, batch_tokens=64, length=64, last_passes=1.5)  # 32,000 tokens are 50 passes
    assert len(steps) == 23
    assert steps[0] == pytest.approx(10_000 / 1.15**22, rel=0.01), "as early as a spacing of 15 % reaches"
    np.testing.assert_allclose(np.diff(np.log(steps)), np.log(1.15), rtol=0.02)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"sequences": 0}, "sequences must be a whole number of at least 1, got 0; choose for example 1"),
        ({"rate": 1}, "rate must lie in (0, 1), got 1; choose a number inside"),
        ({"grid": [0.1, 2]}, "grid must lie in (0, 1), got 2; choose a number inside"),
        ({"pseudo": -1}, "pseudo must be a whole number of at least 0, got -1; choose for example 1"),
        ({"longest": 64.0}, "longest must be a whole number of at least 1, got 64.0; choose for example 1"),
        ({"prune": 0.5}, "prune must be a list of numbers in (0, 1), got 0.5; write [] or [0.3,0.5]"),
        (
            {"finetune": 64},
            "finetune must be a list of whole numbers of at least 1, got 64; write [] or [1]",
        ),
        (
            {"finetune": [64, 0]},
            "finetune must be a whole number of at least 1, got 0; choose for example 1",
        ),
        ({"share": -1}, "share must lie in [0, 1], got -1; choose a number inside"),
    ],
)
def test_impossible_settings_are_refused(change: dict[str, Any], line: str) -> None:
    with pytest.raises(InputError) as caught:
        Common(**SETTINGS | change)
    assert str(caught.value) == line


def test_tasks_are_drawn_where_a_model_shall_be_fine_tuned(
    store: TokenStore, tiny_corpus: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert Common(**SETTINGS).prepare(store, tiny_corpus, LENGTH).finetuning.tasks == {}
    for name in ("CHOOSE", "JUDGE"):
        monkeypatch.setattr(tasks, name, 9)
    made = Common(**SETTINGS | {"finetune": [2, 8]}).prepare(store, tiny_corpus, LENGTH)
    assert made.finetuning.examples == (2, 8)
    assert {name: len(task.teach) for name, task in made.finetuning.tasks.items()} == dict.fromkeys(TASKS, 8)
    fewer = Common(**SETTINGS | {"finetune": [8]}).prepare(store, tiny_corpus, LENGTH)
    np.testing.assert_array_equal(
        fewer.finetuning.tasks["similarity"].teach.ids_NL, made.finetuning.tasks["similarity"].teach.ids_NL
    )


@pytest.mark.parametrize(
    ("tokens", "refused"), [([7] * 6, True), ([5, 6, 7, 8, 9, 5], True), ([7] * 99 + [8], True), ([7] * 6 + [8], False)]
)
def test_too_few_tokens_and_tokens_all_alike_are_refused(tokens: list[int], refused: bool) -> None:
    """Six correct full stops would be an accuracy of 100 %."""
    if refused:
        with pytest.raises(InputError, match=rf"must score at least 7 .*, got {len(tokens)} of which \d+ are; add"):
            common.check_scored(np.array(tokens))
    else:
        common.check_scored(np.array(tokens))


def test_a_rate_that_hides_nothing_is_refused_and_leaves_no_entry(
    store: TokenStore, tiny_corpus: Any, own_cache: Path
) -> None:
    with pytest.raises(InputError) as caught:
        Common(**SETTINGS | {"rate": 1e-9}).prepare(store, tiny_corpus, LENGTH)
    real = int((Common(**SETTINGS).prepare(store, tiny_corpus, LENGTH).text.ids_NL > MASK).sum())
    assert str(caught.value) == (
        f"rate and grid must hide held-out tokens, got 1e-09, which hides none of {real}; add text or choose higher "
        "rates"
    )
    assert len(list(own_cache.glob("evaluations/*/"))) == 1


FINAL = 90  # texts; more than the curve's, and twice as many pairs


def test_the_final_text_and_pairs_are_many_more_and_begin_with_those_of_the_curve(
    store: TokenStore, tiny_corpus: Any, evaluation: Evaluation
) -> None:
    found = Common(**SETTINGS | {"final": FINAL}).prepare(store, tiny_corpus, LENGTH)
    assert found.final is not None
    assert found.final.pairs is not None
    there = len(Single(shortest=5)(store.splits["valid"], LENGTH, np.random.default_rng(0)))
    assert len(found.final.text.ids_NL) == min(FINAL, there) > 67
    assert len(found.final.pairs.ids_NL) > len(found.pairs.ids_NL) == 67
    np.testing.assert_array_equal(found.final.text.ids_NL[:67], evaluation.text.ids_NL)
    np.testing.assert_array_equal(found.text.ids_NL, evaluation.text.ids_NL)
    np.testing.assert_array_equal(found.pairs.ids_NL, evaluation.pairs.ids_NL)
    extra = (found.final.text.ids_NL.size + found.final.pairs.ids_NL.size) / found.text.ids_NL.size
    assert found.last_passes == pytest.approx(evaluation.last_passes + extra)


def test_final_measures_by_hand_whole_and_in_parts(store: TokenStore, tiny_corpus: Any) -> None:
    found = Common(**SETTINGS | {"final": FINAL}).prepare(store, tiny_corpus, LENGTH)
    assert found.final is not None
    assert found.final.pairs is not None
    model = Stub(unigram(store)._mlm, lambda batch: torch.tensor([[0.0, 1.0]]).expand(len(batch.ids_BL), -1))
    measures = found.score(model, last=True)
    loss_M = -store.unigram[found.final.text.ids_NL.reshape(-1)[found.final.hidden_M]]
    chunk_M = found.final.part_N[found.final.hidden_M // LENGTH]
    assert measures["final_loss"] == pytest.approx(loss_M.mean(), abs=1e-6)
    assert measures["final_loss.chunk_3"] == pytest.approx(loss_M[chunk_M == 3].mean(), abs=1e-6)
    right_N = found.final.pairs.label_N == 1
    assert measures["final_pair_accuracy"] == pytest.approx(right_N.mean())
    last_N = found.final.pair_part_N == 15
    assert measures["final_pair_accuracy.chunk_15"] == pytest.approx(right_N[last_N].mean())
    curve = found.score(model)
    assert not {name for name in curve if name.startswith("final")}, "at the end alone"


def test_parts_of_the_final_text_follow_its_order_and_are_of_equal_size() -> None:
    rows = np.array([7, 40, 3, 9, 100, 5, 41, 60, *range(200, 224)])
    found = chunks(rows)
    assert np.bincount(found).tolist() == [2] * 16
    assert found[:8].tolist() == [1, 2, 0, 1, 3, 0, 2, 3]


def test_text_without_pairs_has_no_final_pairs(store: TokenStore, tiny_corpus: Any) -> None:
    found = Common(**SETTINGS | {"final": FINAL, "pairs": Single(shortest=5)}).prepare(store, tiny_corpus, LENGTH)
    assert found.final is not None
    assert found.final.pairs is None
    assert "final_pair_accuracy" not in found.score(unigram(store), last=True)
