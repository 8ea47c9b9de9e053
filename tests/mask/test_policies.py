"""The contract of every policy of conf/mask, and properties of policies that wrap another."""

from collections.abc import Callable
from dataclasses import replace
from itertools import count, pairwise
from typing import Any

import numpy as np
import pytest

from bertlab.commands.check.mask import CONTRACTS, ROWS, VOCABULARY, apply, moment, same
from bertlab.commands.check.mask import IDS_BL as IDS
from bertlab.commands.check.mask import REAL_BL as REAL
from bertlab.config.compose import CONF
from bertlab.config.errors import InputError
from bertlab.data.tokenizer import CLS, MASK, PAD, SEP, UNK
from bertlab.mask import Masked, MaskPolicy, Moment
from bertlab.mask.all_tokens import AllTokens
from bertlab.mask.apart import Apart
from bertlab.mask.next_token import NextToken
from bertlab.mask.next_token_first import NextTokenFirst
from bertlab.mask.noise import Noise
from bertlab.mask.piecewise import Piecewise
from bertlab.mask.scheduled import Scheduled
from bertlab.mask.static import Static
from bertlab.mask.token import TokenMask
from bertlab.streams import Streams

NAMES = sorted(path.stem for path in (CONF / "mask").glob("*.yaml"))
COUNT = REAL.sum()  # about 54,000
TOKEN = TokenMask(rate=0.3, split=[0.8, 0.1, 0.1])
NO_RANDOM = TokenMask(rate=0.15, split=[0.8, 0, 0.2])


@pytest.fixture(scope="module", params=NAMES)
def policy(request: pytest.FixtureRequest, build_part: Callable[..., MaskPolicy]) -> MaskPolicy:
    return build_part(f"mask={request.param}")


def test_every_policy_keeps_the_contracts(policy: MaskPolicy) -> None:
    for contract in CONTRACTS:
        contract(policy)


BROKEN = {
    "special_tokens_and_padding_are_neither_predicted_nor_changed": lambda made: replace(made, ids_BL=made.ids_BL * 0),
    "the_input_is_not_changed_and_shapes_are_kept": lambda made: replace(made, target_M=made.target_M.astype("int32")),
    "positions_ascend_and_targets_are_the_originals": lambda made: replace(made, target_M=made.target_M + 1),
    "the_same_moment_gives_the_same_masks": lambda made: replace(made, ids_BL=made.ids_BL + next(CALLS)),
    "text_without_a_real_token_has_nothing_to_predict": lambda made: replace(made, position_M=np.arange(1)),
    "the_rate_is_the_share_of_predicted_tokens": lambda made: replace(made, position_M=made.position_M[::2]),
}
CALLS = count()


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda each: each.__name__)
def test_a_policy_that_breaks_a_contract_is_found(contract: Callable[[MaskPolicy], None]) -> None:
    def policy(*given: Any) -> Masked:
        return BROKEN[contract.__name__](TOKEN(*given))

    policy.rate = TOKEN.rate  # type: ignore[attr-defined]
    contract(TOKEN)
    with pytest.raises(AssertionError):
        contract(policy)


@pytest.mark.parametrize("rate", [0.05, 0.15, 0.3])
def test_prediction_changes_while_corruption_stays_the_same(rate: float) -> None:
    """Tolerance: 4 standard errors. Predicted is what a run at that single rate predicts."""
    plain, alone = apply(TOKEN), apply(TokenMask(rate=rate, split=[0.8, 0.1, 0.1]))
    masked = apply(Apart(corruption=TOKEN, prediction_rate=rate))
    np.testing.assert_array_equal(masked.ids_BL, plain.ids_BL)
    np.testing.assert_array_equal(masked.position_M, alone.position_M)
    assert np.isin(masked.position_M, plain.position_M).all()
    assert abs(len(masked.position_M) / COUNT - rate) < 4 * np.sqrt(rate * (1 - rate) / COUNT)


def test_predicting_more_than_is_corrupted_is_refused() -> None:
    with pytest.raises(InputError) as caught:
        Apart(corruption=TOKEN, prediction_rate=0.4)
    assert str(caught.value) == (
        "prediction_rate must be at most corruption.rate, 0.3, got 0.4; lower it, "
        "or use mask=all_tokens to predict what is not corrupted"
    )


def test_all_tokens_corrupts_as_ever_and_predicts_every_real_token() -> None:
    masked = apply(AllTokens(corruption=TOKEN))
    np.testing.assert_array_equal(masked.ids_BL, apply(TOKEN).ids_BL)
    np.testing.assert_array_equal(masked.position_M, np.flatnonzero(REAL))


DOSES = (0, 0.0075, 0.015, 0.03, 0.06, 0.12)


@pytest.mark.parametrize("dose", DOSES)
def test_noise_is_a_share_of_all_tokens_and_changes_nothing_else(dose: float) -> None:
    """Tolerance: 4 standard errors; one random token in 98 equals the original."""
    plain, masked = apply(NO_RANDOM), apply(Noise(corruption=NO_RANDOM, noise=dose))
    np.testing.assert_array_equal(masked.position_M, plain.position_M)
    np.testing.assert_array_equal(masked.target_M, plain.target_M)
    np.testing.assert_array_equal(masked.ids_BL == MASK, plain.ids_BL == MASK)
    changed = np.flatnonzero(masked.ids_BL != plain.ids_BL)
    assert not np.isin(changed, plain.position_M).any()
    assert abs(len(changed) / COUNT - dose * 97 / 98) <= 4 * np.sqrt(dose / COUNT)


def test_noise_is_nested_across_doses() -> None:
    noisy = [np.flatnonzero(apply(Noise(corruption=NO_RANDOM, noise=dose)).ids_BL != IDS) for dose in DOSES]
    for less, more in pairwise(noisy):
        assert len(less) < len(more)
        assert np.isin(less, more).all()


def test_more_noise_than_there_are_other_tokens_is_refused() -> None:
    with pytest.raises(InputError) as caught:
        Noise(corruption=NO_RANDOM, noise=0.9)
    assert str(caught.value) == ("noise must be at most the share that is not predicted, 0.85, got 0.9; lower it")


@pytest.mark.parametrize(("progress", "rate"), [(0, 0.3), (0.5, 0.225), (1, 0.15)])
def test_a_scheduled_rate_is_a_plain_one_at_every_moment(progress: float, rate: float) -> None:
    scheduled = apply(Scheduled(policy=TOKEN, end_rate=0.15), progress=progress)
    assert same(scheduled, apply(TokenMask(rate=rate, split=[0.8, 0.1, 0.1])))


@pytest.mark.parametrize(("progress", "rate"), [(0, 0.3), (0.25, 0.2), (0.5, 0.1), (0.8, 0.1), (1, 0.1)])
def test_a_rate_of_points_is_a_plain_one_on_the_line_between_them(progress: float, rate: float) -> None:
    falling = Piecewise(policy=TOKEN, points=[[0, 0.3], [0.5, 0.1], [1, 0.1]])
    assert same(apply(falling, progress=progress), apply(TokenMask(rate=rate, split=[0.8, 0.1, 0.1])))


def test_static_masks_depend_on_seed_copy_and_example_alone() -> None:
    static = Static(policy=TOKEN, copies=3)
    first = apply(static)
    assert same(first, apply(static, step=7, progress=1, epoch=3)), "epoch 3 reads copy 0 again"
    for other in (apply(static, epoch=1), apply(static, seed=1), apply(static, first=1)):
        overlap = np.isin(first.position_M, other.position_M).mean()
        assert overlap == pytest.approx(0.3, abs=0.03), "chance alone"


def test_a_static_mask_moves_with_its_example() -> None:
    static, order = Static(policy=TOKEN, copies=3), np.random.default_rng(0).permutation(ROWS)
    straight = apply(static).ids_BL
    shuffled = static(IDS[order], VOCABULARY, Moment(Streams(0), 5, 0.2, 0, order))
    np.testing.assert_array_equal(shuffled.ids_BL, straight[order])


def test_next_token_predicts_by_hand() -> None:
    ids = np.array([[CLS, 7, 8, UNK, SEP, 9, SEP, PAD], [CLS, 5, 6, SEP, PAD, PAD, PAD, PAD]])
    masked = NextToken()(ids, VOCABULARY, moment())
    assert masked.ids_BL.tolist() == ids.tolist()
    assert masked.position_M.tolist() == [0, 1, 4, 8, 9]
    assert masked.target_M.tolist() == [7, 8, 9, 5, 6]


@pytest.mark.parametrize(("progress", "first"), [(0.0, True), (0.24, True), (0.25, False), (1.0, False)])
def test_next_tokens_are_predicted_one_way_for_a_share_of_the_run_and_masked_ones_after_it(
    progress: float, first: bool
) -> None:
    masked = apply(NextTokenFirst(policy=TOKEN, share=0.25), progress=progress)
    plain = apply(NextToken() if first else TOKEN, progress=progress)
    assert masked.one_way == first
    assert same(masked, replace(plain, one_way=first))


def test_next_token_never_reaches_into_another_row() -> None:
    masked = NextToken()(np.full((3, 5), 9), VOCABULARY, moment())
    assert masked.position_M.tolist() == [0, 1, 2, 3, 5, 6, 7, 8, 10, 11, 12, 13]


@pytest.mark.parametrize(
    ("combine", "line"),
    [
        (
            lambda: Apart(corruption=NextToken(), prediction_rate=0.1),
            "corruption must choose tokens at a rate, got NextToken; choose mask@corruption=token, whole_word or span",
        ),
        (
            lambda: AllTokens(corruption=Static(policy=TOKEN, copies=2)),
            "corruption must choose tokens at a rate, got Static; choose mask@corruption=token, whole_word or span",
        ),
        (
            lambda: Scheduled(policy=AllTokens(corruption=TOKEN), end_rate=0.1),
            "policy must choose tokens at a rate, got AllTokens; choose mask@policy=token, whole_word or span",
        ),
        (
            lambda: Static(policy=Scheduled(policy=TOKEN, end_rate=0.1), copies=2),
            "policy must depend on draws alone to be fixed, got Scheduled; choose for example mask@policy=token",
        ),
        (
            lambda: Static(policy=NextToken(), copies=2),
            "policy must depend on draws alone to be fixed, got NextToken; choose for example mask@policy=token",
        ),
        (
            lambda: NextTokenFirst(policy=NextToken(), share=0.1),
            "policy must choose tokens at a rate, got NextToken; choose mask@policy=token, whole_word or span",
        ),
        (
            lambda: NextTokenFirst(policy=TOKEN, share=1),
            "share must lie in (0, 1), got 1; choose a number inside",
        ),
        (
            lambda: Static(policy=TOKEN, copies=0),
            "copies must be a whole number of at least 1, got 0; choose for example 1",
        ),
        (
            lambda: Piecewise(policy=TOKEN, points=[[0, 0.3]]),
            "points must be two or more pairs (share of the run, rate), got [[0, 0.3]]; write for example "
            "[[0, 0.3], [0.5, 0.15], [1, 0.15]]",
        ),
        (
            lambda: Piecewise(policy=TOKEN, points=[[0, 0.3], [0.5, 1.5], [1, 0.1]]),
            "points (rate) must lie in (0, 1), got 1.5; choose a number inside",
        ),
        (
            lambda: Piecewise(policy=TOKEN, points=[[0, 0.3], [0.5, 0.2], [0.5, 0.1], [1, 0.1]]),
            "points must have shares that rise from 0 to 1, got 0, 0.5, 0.5, 1; write for example "
            "[[0, 0.3], [0.5, 0.15], [1, 0.15]]",
        ),
        (
            lambda: Scheduled(policy=TOKEN, end_rate=0),
            "end_rate must lie in (0, 1), got 0; choose a number inside",
        ),
    ],
)
def test_combinations_without_meaning_are_refused(combine: Callable[[], object], line: str) -> None:
    with pytest.raises(InputError) as caught:
        combine()
    assert str(caught.value) == line
