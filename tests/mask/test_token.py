"""Properties of independently chosen tokens."""

from functools import partial

import numpy as np
from scipy.stats import chisquare

from bertlab.data.tokenizer import SPECIALS, Vocabulary
from bertlab.mask.token import TokenMask
from bertlab.streams import Streams

VOCABULARY = Vocabulary([*SPECIALS, *"abcdefg"])
IDS = np.tile(np.arange(5, 12), (1009, 5))


def test_a_token_is_chosen_when_its_uniform_is_below_the_rate() -> None:
    draw = partial(Streams(3).generator, counter=7)
    masked = TokenMask(rate=0.3, split=[0.8, 0.1, 0.1])(IDS, VOCABULARY, draw)
    uniform = Streams(3).generator("mask.position", 7).random(IDS.shape)
    np.testing.assert_array_equal(masked.position_M, np.flatnonzero(uniform < 0.3))


def test_kind_and_replacement_come_from_their_own_streams() -> None:
    draw = partial(Streams(3).generator, counter=7)
    masked = TokenMask(rate=0.3, split=[0.5, 0.3, 0.2])(IDS, VOCABULARY, draw)
    kind = Streams(3).generator("mask.kind", 7).random(IDS.shape)
    other = Streams(3).generator("mask.replacement", 7).integers(5, 12, IDS.shape)
    expected = np.where(kind < 0.5, 4, np.where(kind < 0.8, other, IDS))
    chosen = np.isin(np.arange(IDS.size), masked.position_M).reshape(IDS.shape)
    np.testing.assert_array_equal(masked.ids_BL, np.where(chosen, expected, IDS))


def test_every_column_and_every_token_is_chosen_alike() -> None:
    """Chi-square, level 1e-4."""
    masked = TokenMask(rate=0.3, split=[1, 0, 0])(IDS, VOCABULARY, Streams(0).generator)
    assert chisquare(np.bincount(masked.position_M % 35)).pvalue > 1e-4
    assert chisquare(np.bincount(masked.target_M)[5:]).pvalue > 1e-4


def test_the_number_of_chosen_tokens_of_a_row_is_binomial() -> None:
    """Variance of 1,009 rows of 35 tokens at rate .3: 7.35, tolerance a fifth."""
    masked = TokenMask(rate=0.3, split=[1, 0, 0])(IDS, VOCABULARY, Streams(0).generator)
    assert 0.8 < np.bincount(masked.position_M // 35, minlength=1009).var() / (35 * 0.3 * 0.7) < 1.2
