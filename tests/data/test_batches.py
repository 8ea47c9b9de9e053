from collections.abc import Callable
from dataclasses import fields, replace
from itertools import islice
from typing import Any

import numpy as np
import pytest
import torch

from bertlab.config.errors import InputError
from bertlab.data.batches import Batch, Batches, Staged, assemble, staged, without_cls
from bertlab.data.form import Form
from bertlab.data.pairs import FOLLOWS, NO_PAIR, RANDOM, Examples, PairMaker
from bertlab.data.pairs.none import Packed
from bertlab.data.pairs.nsp import NextSentence
from bertlab.data.pairs.single import Single
from bertlab.data.store import Tokens, TokenStore
from bertlab.data.tokenizer import CLS, MASK, PAD, SEP, SPECIALS, Vocabulary
from bertlab.mask import MaskPolicy, Moment
from bertlab.mask.static import Static
from bertlab.mask.token import TokenMask
from bertlab.streams import Streams

NSP = NextSentence(random=0.5, short=0.1)
MAKERS: dict[str, PairMaker] = {"nsp": NSP, "none": Packed(), "single": Single(shortest=3)}
STEPS = 301
MASKING = TokenMask(rate=0.15, split=[0.8, 0.1, 0.1])
Ids = list[tuple[int, ...]]


def batches(
    store: TokenStore, pairs: PairMaker = NSP, seed: int = 0, mask: MaskPolicy = MASKING, form: Form | None = None
) -> Batches:
    return Batches(store.splits["train"], store.vocabulary, pairs, mask, form or Form(7, 29), Streams(seed), STEPS)


def equal(one: Batch, other: Batch) -> bool:
    pairs = [(getattr(one, field.name), getattr(other, field.name)) for field in fields(Batch)]
    return all(type(a) is type(b) and (torch.equal(a, b) if torch.is_tensor(a) else a == b) for a, b in pairs)


def original(batch: Batch) -> torch.Tensor:
    """Undo the corruption."""
    ids = batch.ids_BL.clone()
    ids.view(-1)[batch.position_M] = batch.target_M
    return ids


def examples(*rows: tuple[int, int, int, int, int]) -> Examples:
    return Examples(*np.array(rows).T)


@pytest.fixture
def hand(make_tokens: Callable[..., Tokens]) -> Tokens:
    return make_tokens([[[11, 12, 13], [14, 15]], [[16, 17, 18, 19]]])


def test_sequences_are_assembled_as_bert_wants_them(hand: Tokens) -> None:
    rows = examples((0, 3, 3, 5, FOLLOWS), (3, 4, 5, 9, RANDOM), (5, 8, 8, 8, NO_PAIR), (3, 9, 9, 9, NO_PAIR))
    ids, segments = assemble(hand, rows, np.array([0, 1, 2, 3]), 8)
    assert ids.tolist() == [
        [CLS, 11, 12, 13, SEP, 14, 15, SEP],
        [CLS, 14, SEP, 16, 17, 18, 19, SEP],
        [CLS, 16, 17, 18, SEP, PAD, PAD, PAD],
        [CLS, 14, 15, 16, 17, 18, 19, SEP],
    ]
    assert segments.tolist() == [[0, 0, 0, 0, 0, 1, 1, 1], [0, 0, 0, 1, 1, 1, 1, 1], [0] * 8, [0] * 8]
    assert ids.dtype == segments.dtype == np.int64


def test_pairs_are_padded_after_the_last_separator(hand: Tokens) -> None:
    ids, segments = assemble(hand, examples((0, 1, 4, 5, RANDOM)), np.array([0]), 8)
    assert ids.tolist() == [[CLS, 11, SEP, 15, SEP, PAD, PAD, PAD]]
    assert segments.tolist() == [[0, 0, 0, 1, 1, 0, 0, 0]]


def test_rows_may_be_taken_in_any_order_and_more_than_once(hand: Tokens) -> None:
    rows = examples((0, 3, 3, 5, FOLLOWS), (3, 4, 5, 9, RANDOM))
    ids, _ = assemble(hand, rows, np.array([1, 0, 1]), 8)
    assert ids[0].tolist() == ids[2].tolist() == [CLS, 14, SEP, 16, 17, 18, 19, SEP]
    assert ids[1].tolist() == [CLS, 11, 12, 13, SEP, 14, 15, SEP]


@pytest.mark.parametrize("maker", MAKERS)
def test_a_batch_depends_on_seed_and_step_alone(store: TokenStore, maker: str) -> None:
    pairs = MAKERS[maker]
    forwards = [*map(batches(store, pairs), range(300))]
    epochs = batches(store, pairs)
    for step in (299, 0, 77, 298, 1, 150):
        assert equal(epochs(step), forwards[step])
    assert equal(batches(store, pairs)(299), forwards[299]), "as in a run that was resumed"
    for other in (batches(store, pairs, seed=1)(0), forwards[1]):
        assert not equal(forwards[0], other)


def test_the_order_of_examples_changes_with_seed_and_epoch(store: TokenStore) -> None:
    single = MAKERS["single"]
    starts = [original(batches(store, single, seed)(step)) for seed, step in ((0, 0), (1, 0), (0, 300))]
    assert not torch.equal(starts[0], starts[1])
    assert not torch.equal(starts[0], starts[2])


@pytest.fixture
def distinct(make_tokens: Callable[..., Tokens]) -> tuple[Tokens, Vocabulary]:
    """101 documents of 11 tokens, no token twice: a sequence's tokens identify its example."""
    ids = np.arange(5, 5 + 101 * 11).reshape(101, 1, 11).tolist()
    return make_tokens(ids), Vocabulary([*SPECIALS, *(f"w{n}" for n in range(101 * 11))])


def rows_of(batch: Batch) -> Ids:
    return [tuple(row) for row in original(batch).tolist()]


@pytest.mark.parametrize("size", [1, 7, 13, 101])
def test_no_example_occurs_twice_in_an_epoch(distinct: tuple[Tokens, Vocabulary], size: int) -> None:
    make = Batches(*distinct, Single(shortest=1), MASKING, Form(size, 13), Streams(0), STEPS)
    steps = 101 // size
    seen: list[Ids] = []
    for epoch in range(3):
        rows = [row for step in range(epoch * steps, (epoch + 1) * steps) for row in rows_of(make(step))]
        assert len(set(rows)) == len(rows) == steps * size
        seen.append(rows)
    assert seen[0] != seen[1] != seen[2]
    if size == 1:
        assert set(seen[0]) == set(seen[1]) == set(seen[2]), "every example occurs"


def test_epochs_with_fewer_examples_than_the_first_fill_up_from_their_start(
    distinct: tuple[Tokens, Vocabulary],
) -> None:
    class Shrinking:
        """101 examples in the first epoch, 50 in each later one."""

        def __init__(self) -> None:
            self.epochs = 0

        def __call__(self, tokens: Tokens, length: int, rng: np.random.Generator) -> Examples:
            everything = Single(shortest=1)(tokens, length, rng)
            self.epochs += 1
            if self.epochs == 1:
                return everything
            return Examples(*(getattr(everything, field.name)[:50] for field in fields(Examples)))

    make = Batches(*distinct, Shrinking(), MASKING, Form(20, 13), Streams(0), STEPS)
    rows = [row for step in range(5, 10) for row in rows_of(make(step))]
    assert len(rows) == 100
    assert rows[:50] == rows[50:]
    assert len(set(rows)) == 50


def test_every_epoch_has_new_cuts_and_new_masks(distinct: tuple[Tokens, Vocabulary]) -> None:
    packed = Batches(*distinct, Packed(), MASKING, Form(1, 13), Streams(0), STEPS)
    cuts = [{rows_of(packed(step))[0] for step in range(first, first + 80)} for first in (0, 110)]
    assert not cuts[0] & cuts[1]
    whole = Batches(*distinct, Single(shortest=1), MASKING, Form(101, 13), Streams(0), STEPS)
    hidden = [set(batch.target_M.tolist()) for batch in map(whole, range(2))]
    assert rows_of(whole(0)) != rows_of(whole(1))
    assert len(hidden[0] & hidden[1]) < 0.3 * len(hidden[0]), "a token is hidden again with the rate of 0.15"
    positions = [set(batch.position_M.tolist()) for batch in map(whole, range(2))]
    assert len(positions[0] & positions[1]) < 0.3 * len(positions[0])


def test_padding_is_marked_and_only_where_there_is_some(store: TokenStore) -> None:
    assert batches(store, Packed())(0).real_BL is None
    some = [*map(batches(store, MAKERS["single"]), range(50))]
    assert 0 < sum(batch.real_BL is None for batch in some) < 50
    for batch in some:
        real = batch.ids_BL != PAD
        assert (batch.real_BL is None) == bool(real.all())
        assert batch.real_BL is None or torch.equal(batch.real_BL, real)


def test_pair_labels_come_with_their_rows(store: TokenStore) -> None:
    with_pairs, without = batches(store, NSP)(0), batches(store, Packed())(0)
    assert with_pairs.has_pairs is True
    assert set(with_pairs.pair_B.tolist()) == {FOLLOWS, RANDOM}
    assert without.has_pairs is False
    assert without.pair_B.tolist() == [NO_PAIR] * 7
    assert not without.segments_BL.any()


def test_a_label_says_whether_the_second_segment_follows(make_tokens: Callable[..., Tokens]) -> None:
    """Token n of the corpus is n + 5, so B follows exactly where its first token is A's last plus one."""
    ids = iter(range(5, 10_000))
    tokens = make_tokens([[list(islice(ids, 4)) for _ in range(24)] for _ in range(31)])
    vocabulary = Vocabulary([*SPECIALS, *(f"w{n}" for n in range(31 * 24 * 4))])
    make = Batches(
        tokens, vocabulary, NSP, MASKING, Form(17, 27), Streams(0), STEPS
    )  # room for 6 sentences: none is cut
    for step in range(4):
        batch = make(step)
        for row, segments, label in zip(
            original(batch).tolist(), batch.segments_BL.tolist(), batch.pair_B.tolist(), strict=True
        ):
            first_of_b = segments.index(1)
            assert row[first_of_b - 1] == SEP
            assert (row[first_of_b] == row[first_of_b - 2] + 1) == (label == FOLLOWS)


def test_every_batch_has_the_form_and_predicts_within_it(store: TokenStore) -> None:
    form = Form(5, 31)
    for step in range(20):
        batch = batches(store, form=form)(step)
        assert batch.ids_BL.shape == batch.segments_BL.shape == (5, 31)
        assert batch.position_M.shape == batch.target_M.shape
        assert batch.pair_B.shape == (5,)
        assert batch.position_M.numel() == 0 or int(batch.position_M.max()) < form.tokens == 155
        assert {t.dtype for t in (batch.ids_BL, batch.segments_BL, batch.position_M, batch.pair_B)} == {torch.int64}


def test_arms_that_differ_in_the_mask_rate_share_their_text_and_nest_their_positions(store: TokenStore) -> None:
    few, many = (batches(store, mask=TokenMask(rate=rate, split=[0.8, 0.1, 0.1])) for rate in (0.15, 0.4))
    for step in (0, 3, 250):
        one, other = few(step), many(step)
        assert torch.equal(original(one), original(other))
        assert torch.equal(one.segments_BL, other.segments_BL)
        assert torch.equal(one.pair_B, other.pair_B)
        assert set(one.position_M.tolist()) < set(other.position_M.tolist())
        shared = one.position_M
        assert torch.equal(one.ids_BL.view(-1)[shared], other.ids_BL.view(-1)[shared])


def test_arms_that_differ_in_the_pairs_share_their_mask_draws(store: TokenStore) -> None:
    everything = TokenMask(rate=0.3, split=[1, 0, 0])
    one, other = (batches(store, maker, mask=everything)(0) for maker in (NSP, Packed()))
    both_real = ((original(one) > MASK) & (original(other) > MASK)).view(-1)
    hidden = [(batch.ids_BL == MASK).view(-1)[both_real] for batch in (one, other)]
    assert torch.equal(*hidden)


@pytest.mark.parametrize("maker", MAKERS)
def test_without_cls_a_batch_is_the_same_but_for_that_token(store: TokenStore, maker: str) -> None:
    for step in (0, 5, 299):
        one = batches(store, MAKERS[maker], form=Form(7, 29))(step)
        other = batches(store, MAKERS[maker], form=Form(7, 29, cls=False))(step)
        assert other.ids_BL.shape == (7, 29)
        assert torch.equal(other.ids_BL[:, :-1], one.ids_BL[:, 1:])
        assert (other.ids_BL[:, -1] == PAD).all()
        assert torch.equal(other.segments_BL[:, :-1], one.segments_BL[:, 1:])
        assert other.real_BL is not None
        assert torch.equal(other.real_BL, other.ids_BL != PAD)
        assert torch.equal(other.target_M, one.target_M)
        assert torch.equal(original(other)[:, :-1], original(one)[:, 1:]), "positions moved with the tokens"
        assert torch.equal(other.pair_B, one.pair_B)


@pytest.mark.parametrize("cls", [True, False])
def test_the_original_of_a_batch_is_the_text_before_it_is_masked(store: TokenStore, cls: bool) -> None:
    made = batches(store, form=Form(7, 29, cls=cls))
    for step in (0, 5, 299):
        assert torch.equal(made.original(step), original(made(step)))


def test_without_cls_by_hand() -> None:
    batch = Batch(
        ids_BL=torch.tensor([[CLS, MASK, 12, SEP], [CLS, 21, MASK, SEP]]),
        segments_BL=torch.tensor([[0, 0, 0, 0], [0, 0, 1, 1]]),
        real_BL=None,
        position_M=torch.tensor([1, 6]),
        target_M=torch.tensor([11, 22]),
        pair_B=torch.tensor([0, 1]),
        has_pairs=True,
    )
    headless = without_cls(batch)
    assert headless.ids_BL.tolist() == [[MASK, 12, SEP, PAD], [21, MASK, SEP, PAD]]
    assert headless.segments_BL.tolist() == [[0, 0, 0, 0], [0, 1, 1, 0]]
    assert headless.real_BL is not None
    assert headless.real_BL.tolist() == [[True, True, True, False]] * 2
    assert headless.position_M.tolist() == [0, 5]
    assert headless.target_M.tolist() == [11, 22]


def test_moving_a_batch_keeps_its_values(store: TokenStore) -> None:
    for maker in MAKERS.values():
        batch = batches(store, maker)(0)
        assert equal(batch.to("cpu"), batch)
    assert batches(store)(0).to("meta").ids_BL.is_meta


def test_room_for_predictions_is_filled_with_the_last_one_and_without_a_target(store: TokenStore) -> None:
    batch = batches(store)(0)
    count = len(batch.target_M)
    wide = batch.with_room(count + 2)
    assert wide.position_M.tolist() == [*batch.position_M.tolist(), *[int(batch.position_M[-1])] * 2]
    assert wide.target_M.tolist() == [*batch.target_M.tolist(), -100, -100]
    assert wide.ids_BL is batch.ids_BL
    assert batch.with_room(count) is batch
    empty = replace(batch, position_M=batch.position_M[:0], target_M=batch.target_M[:0])
    assert empty.with_room(5) is empty, "no place may be taken for one to predict"


def test_a_batch_larger_than_the_corpus_is_refused(distinct: tuple[Tokens, Vocabulary]) -> None:
    with pytest.raises(InputError) as caught:
        Batches(*distinct, Single(shortest=1), MASKING, Form(102, 13), Streams(0), STEPS)
    assert str(caught.value) == (
        "batch.size must be at most the 101 examples of the corpus, got 102; add text or choose a smaller batch.size"
    )


@pytest.mark.parametrize(
    ("size", "length", "line"),
    [
        (0, 64, "batch.size must be a whole number of at least 1, got 0; choose for example 1"),
        (16.0, 64, "batch.size must be a whole number of at least 1, got 16.0; choose for example 1"),
        (16, 7, "batch.length must be a whole number of at least 8, got 7; choose for example 8"),
        (16, "long", "batch.length must be a whole number of at least 8, got long; choose for example 8"),
    ],
)
def test_impossible_forms_are_refused(size: Any, length: Any, line: str) -> None:
    with pytest.raises(InputError) as caught:
        Form(size, length)
    assert str(caught.value) == line


def test_a_form_has_cls_or_not() -> None:
    with pytest.raises(InputError) as caught:
        Form(7, 29, cls=1)  # type: ignore[arg-type]
    assert str(caught.value) == "batch.cls must be true or false, got 1; choose one"


def test_the_progress_of_a_run_is_0_at_its_first_step_and_1_at_its_last(store: TokenStore) -> None:
    seen: list[Moment] = []

    def watched(ids_BL: Any, vocabulary: Vocabulary, draw: Moment) -> Any:
        seen.append(draw)
        return MASKING(ids_BL, vocabulary, draw)

    make = batches(store, mask=watched)
    for step in (0, 150, 300):
        make(step)
    assert [moment.progress for moment in seen] == [0, 0.5, 1]
    assert [moment.step for moment in seen] == [0, 150, 300]


def test_fixed_copies_repeat_their_pairs_and_masks_in_another_order(distinct: tuple[Tokens, Vocabulary]) -> None:
    """Two copies of 101 examples, one per batch: epochs 0 and 2 have the same examples with the same masks."""
    make = Batches(*distinct, Packed(), Static(policy=MASKING, copies=2), Form(1, 13), Streams(0), STEPS)
    steps = make._per_epoch
    epochs = [[make(step) for step in range(first * steps, (first + 1) * steps)] for first in range(3)]
    given = [[tuple(batch.ids_BL[0].tolist()) for batch in epoch] for epoch in epochs]
    assert given[0] != given[2]
    assert len(set(given[0]) & set(given[2])) >= steps - 1, "the last example of an epoch may be left out"
    assert not set(given[0]) & set(given[1])


STAGED = Form(6, 32, start_length=16, start_share=0.25)


def staged_batches(store: TokenStore, form: Form = STAGED, seed: int = 0) -> Batches | Staged:
    return staged(lambda form: batches(store, seed=seed, form=form), form, STEPS)


def test_short_sequences_come_first_with_as_many_tokens_a_batch(store: TokenStore) -> None:
    """A quarter of 301 steps ends within step 75, counted from 0."""
    made = staged_batches(store)
    assert [made(step).ids_BL.shape for step in (0, 75, 76, 300)] == [(12, 16), (12, 16), (6, 32), (6, 32)]
    assert STAGED.at_start.tokens == STAGED.tokens
    assert all(made.original(step).shape == made(step).ids_BL.shape for step in (0, 300))


def test_after_the_short_ones_batches_are_those_of_a_run_without_them(store: TokenStore) -> None:
    made, usual = staged_batches(store), staged_batches(store, Form(6, 32))
    assert isinstance(usual, Batches)
    assert all(equal(made(step), usual(step)) for step in (76, 150, 300))
    short = batches(store, form=Form(12, 16))
    assert all(equal(made(step), short(step)) for step in (75, 0))


def test_staged_batches_depend_on_nothing_but_seed_and_step(store: TokenStore) -> None:
    one, other, seeded = (staged_batches(store, seed=seed) for seed in (0, 0, 1))
    for step in (300, 3, 76, 75, 3):
        assert equal(one(step), other(step))
        assert not equal(one(step), seeded(step))


@pytest.mark.parametrize(
    ("bad", "line"),
    [
        (
            {"start_length": 15},
            "batch.start_length must divide batch.length 32, so that batches keep their tokens, got",
        ),
        ({"start_length": 64}, "batch.start_length must divide batch.length 32"),
        ({"start_length": 4}, "batch.start_length must be a whole number of at least 8, got 4"),
        ({"start_length": "short"}, "batch.start_length must be a whole number of at least 8, got short"),
        ({"start_length": 16, "start_share": 0}, "batch.start_share must lie in (0, 1), got 0"),
        ({"start_share": 1}, "batch.start_share must lie in (0, 1), got 1"),
    ],
)
def test_an_impossible_start_is_refused(bad: dict[str, Any], line: str) -> None:
    with pytest.raises(InputError) as caught:
        Form(6, 32, **bad)
    assert str(caught.value).startswith(line)
    assert "\n" not in str(caught.value)
