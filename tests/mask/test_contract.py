"""The contract of every policy of conf/mask with a `rate` and a `split`; a new YAML is tested without an edit.

The rate is the share of real tokens to predict; the split divides these into mask, random and keep. Rates are measured
on 112,649 positions like those of real text: two segments, some padding, words of one or more pieces.
"""

from collections.abc import Callable

import numpy as np
import pytest
import yaml
from scipy.stats import chisquare

from bertlab.config.compose import CONF
from bertlab.config.errors import InputError
from bertlab.data.tokenizer import CLS, MASK, PAD, SEP, SPECIALS, UNK, Vocabulary
from bertlab.mask import Masked, MaskPolicy, Moment
from bertlab.mask.corrupt import Ints
from bertlab.streams import Streams

NAMES = sorted(
    path.stem
    for path in (CONF / "mask").glob("*.yaml")
    if {"rate", "split"} <= yaml.safe_load(path.read_text("utf-8")).keys()
)
PIECES, WORDS = 101, 197  # pieces that continue a word, words
VOCABULARY = Vocabulary([*SPECIALS, *(f"##{n}" for n in range(PIECES)), *(f"w{n}" for n in range(WORDS))])
REAL = PIECES + WORDS
ROWS, LENGTH = 887, 127
RATES = (0.05, 0.15, 0.4)
Build = Callable[..., MaskPolicy]


@pytest.fixture(params=NAMES)
def build(request: pytest.FixtureRequest, build_part: Build) -> Build:
    """Build the policy with given settings: `build(rate=0.3)`."""

    def with_settings(**settings: object) -> MaskPolicy:
        return build_part(f"mask={request.param}", *(f"mask.{name}={value}" for name, value in settings.items()))

    return with_settings


def sequences() -> Ints:
    rng = np.random.default_rng(2)
    first = 5 + PIECES
    words = rng.integers(first, first + WORDS, (ROWS, LENGTH))
    ids = np.where(rng.random((ROWS, LENGTH)) < 0.3, rng.integers(5, first, (ROWS, LENGTH)), words)
    ids[:, 1] = words[:, 1]  # a sequence starts with a word
    ids[rng.random((ROWS, LENGTH)) < 0.01] = UNK
    ids[:, 0], ids[:, 60], ids[:, -1] = CLS, SEP, SEP
    ids[::5, 100:] = PAD
    ids[::7, 90] = MASK
    return ids


IDS = sequences()
CAN_BE_CHOSEN = len(SPECIALS) <= IDS


def apply(policy: MaskPolicy, ids: Ints = IDS, seed: int = 0, counter: int = 0) -> Masked:
    return policy(ids, VOCABULARY, Moment(Streams(seed), counter, 0.5, 0, np.arange(len(ids))))


def kinds(masked: Masked) -> Ints:
    """Return the new content of each predicted position: 0 [MASK], 1 another token, 2 the same token."""
    now = masked.ids_BL.reshape(-1)[masked.position_M]
    return np.select([now == MASK, now != masked.target_M], [0, 1], 2)


@pytest.mark.parametrize("rate", RATES)
def test_the_share_of_predicted_tokens_is_the_rate(build: Build, rate: float) -> None:
    """Of 4 x 96,000 tokens that may be chosen; tolerance .006, 4 standard errors where 4 are chosen together."""
    taken = [len(apply(build(rate=rate), counter=counter).position_M) for counter in range(4)]
    share = np.mean(taken) / CAN_BE_CHOSEN.sum()
    assert share == pytest.approx(rate, abs=0.006)


def test_the_rate_holds_on_average_over_small_batches(build: Build) -> None:
    """200 batches of 4 sequences of 16 tokens; tolerance .02."""
    ids, policy = IDS[1:5, 1:17], build(rate=0.15)
    taken = sum(len(apply(policy, ids, counter=counter).position_M) for counter in range(200))
    assert taken / (200 * (ids >= 5).sum()) == pytest.approx(0.15, abs=0.02)


def test_special_tokens_and_padding_are_never_chosen(build: Build) -> None:
    for rate in (0.15, 0.9):
        chosen = IDS.reshape(-1)[apply(build(rate=rate)).position_M]
        assert chosen.min() >= len(SPECIALS)


def test_the_input_is_not_changed(build: Build) -> None:
    before = IDS.copy()
    masked = apply(build())
    np.testing.assert_array_equal(IDS, before)
    assert not np.shares_memory(masked.ids_BL, IDS)
    assert masked.ids_BL.shape == IDS.shape
    assert masked.ids_BL.dtype == masked.position_M.dtype == masked.target_M.dtype == np.int64


def test_positions_ascend_and_targets_are_the_originals(build: Build) -> None:
    masked = apply(build())
    assert (np.diff(masked.position_M) > 0).all()
    np.testing.assert_array_equal(masked.target_M, IDS.reshape(-1)[masked.position_M])


def test_nothing_changes_but_at_predicted_positions(build: Build) -> None:
    masked = apply(build())
    changed = np.flatnonzero(masked.ids_BL != IDS)
    assert np.isin(changed, masked.position_M).all()


def test_predicted_tokens_are_masked_replaced_and_kept_in_the_shares_of_the_split(build: Build) -> None:
    """Tolerance: 4 standard errors. A random token equals the original one time in 298, and then counts as kept."""
    masked = apply(build(rate=0.4, split="[0.8,0.1,0.1]"))
    assert len(masked.position_M) > 37_000
    expected = np.array([0.8, 0.1 * (1 - 1 / REAL), 0.1 + 0.1 / REAL])
    shares = np.bincount(kinds(masked), minlength=3) / len(masked.position_M)
    assert (np.abs(shares - expected) < 4 * np.sqrt(expected * (1 - expected) / len(masked.position_M))).all()


@pytest.mark.parametrize(("split", "kind"), [("[1,0,0]", 0), ("[0,0,1]", 2)])
def test_a_split_of_one_kind_makes_that_kind_alone(build: Build, split: str, kind: int) -> None:
    assert set(kinds(apply(build(split=split)))) == {kind}


def test_replacements_are_uniform_over_the_real_vocabulary(build: Build) -> None:
    """Chi-square, level 1e-4, of about 38,000 replacements, all 298 real tokens, for any original token."""
    masked = apply(build(rate=0.4, split="[0,1,0]"))
    drawn = masked.ids_BL.reshape(-1)[masked.position_M]
    counts = np.bincount(drawn, minlength=VOCABULARY.size)
    assert counts[: len(SPECIALS)].sum() == 0
    assert chisquare(counts[len(SPECIALS) :]).pvalue > 1e-4
    same = (drawn == masked.target_M).mean()
    assert abs(same - 1 / REAL) < 4 * np.sqrt(1 / REAL / len(drawn))


def test_a_random_token_does_not_depend_on_its_original(build: Build) -> None:
    """Correlation of 38,000 pairs: 4 standard errors."""
    masked = apply(build(rate=0.4, split="[0,1,0]"))
    drawn = masked.ids_BL.reshape(-1)[masked.position_M]
    assert abs(np.corrcoef(drawn, masked.target_M)[0, 1]) < 4 / np.sqrt(len(drawn))


def test_predicted_positions_are_nested_across_rates(build: Build) -> None:
    positions = [set(apply(build(rate=rate)).position_M.tolist()) for rate in RATES]
    assert positions[0] < positions[1] < positions[2]


def test_what_two_rates_predict_both_corrupt_alike(build: Build) -> None:
    few, many = (apply(build(rate=rate)) for rate in RATES[:2])
    shared = np.isin(many.position_M, few.position_M)
    np.testing.assert_array_equal(
        few.ids_BL.reshape(-1)[few.position_M], many.ids_BL.reshape(-1)[many.position_M[shared]]
    )


def test_a_change_of_the_split_relabels_only_what_moved(build: Build) -> None:
    """80-10-10 against 80-0-20: the same positions, the same [MASK]; random tokens become kept ones, nothing else."""
    both, no_random = (apply(build(split=split)) for split in ("[0.8,0.1,0.1]", "[0.8,0,0.2]"))
    np.testing.assert_array_equal(both.position_M, no_random.position_M)
    np.testing.assert_array_equal(kinds(both) == 0, kinds(no_random) == 0)
    assert set(kinds(no_random)) == {0, 2}
    moved = np.flatnonzero(both.ids_BL != no_random.ids_BL)
    np.testing.assert_array_equal(moved, both.position_M[kinds(both) == 1])
    np.testing.assert_array_equal(no_random.ids_BL.reshape(-1)[moved], IDS.reshape(-1)[moved])


def test_a_larger_share_of_random_tokens_keeps_the_earlier_ones(build: Build) -> None:
    few, many = (apply(build(split=split)) for split in ("[0.8,0.1,0.1]", "[0.8,0.2,0]"))
    was_random = few.position_M[kinds(few) == 1]
    np.testing.assert_array_equal(few.ids_BL.reshape(-1)[was_random], many.ids_BL.reshape(-1)[was_random])


def test_equal_streams_mask_alike_and_others_do_not(build: Build) -> None:
    policy = build(rate=0.15)
    first = apply(policy)
    for other in (apply(policy), apply(build(rate=0.15))):
        np.testing.assert_array_equal(first.ids_BL, other.ids_BL)
        np.testing.assert_array_equal(first.position_M, other.position_M)
    for other in (apply(policy, seed=1), apply(policy, counter=1)):
        overlap = np.isin(first.position_M, other.position_M).mean()
        assert overlap < 0.25, "a new draw chooses a token again with the rate of 0.15"


def test_text_without_a_real_token_has_nothing_to_predict(build: Build) -> None:
    masked = apply(build(), np.array([[CLS, UNK, SEP, PAD]]))
    assert masked.ids_BL.tolist() == [[CLS, UNK, SEP, PAD]]
    assert len(masked.position_M) == len(masked.target_M) == 0


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"rate": 1.5}, "rate must lie in (0, 1), got 1.5; choose a number inside"),
        ({"rate": 0}, "rate must lie in (0, 1), got 0; choose a number inside"),
        ({"rate": 1}, "rate must lie in (0, 1), got 1; choose a number inside"),
        ({"rate": "much"}, "rate must lie in (0, 1), got much; choose a number inside"),
        (
            {"split": "[0.8,0.1,0.2]"},
            "split (mask, random, keep) must sum to 1, got [0.8, 0.1, 0.2], sum 1.1; correct one share",
        ),
        ({"split": "[1.1,-0.1,0]"}, "split (mask) must lie in [0, 1], got 1.1; choose a number inside"),
        ({"split": "[0.9,0.1]"}, "split must hold 3 shares (mask, random, keep), got [0.9, 0.1]; give one each"),
    ],
)
def test_impossible_settings_are_refused(build: Build, settings: dict[str, object], line: str) -> None:
    with pytest.raises(Exception, match="mask") as caught:
        build(**settings)
    error = caught.value if isinstance(caught.value, InputError) else caught.value.__cause__
    assert isinstance(error, InputError)
    assert str(error) == line
