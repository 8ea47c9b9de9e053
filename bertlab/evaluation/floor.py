"""The Bayes loss: on a generated language, the lowest possible loss on the sequences of the evaluation.

Legend: N sequences, L length, M hidden positions, W words of the language, V vocabulary.
"""

from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from bertlab.config.errors import InputError
from bertlab.data.store import Ints, TokenStore
from bertlab.data.tokenizer import CLS, PAD, SEP, SPECIALS

HIDDEN, OUTSIDE = -1, -2

Floats = npt.NDArray[np.float64]


@runtime_checkable
class Oracle(Protocol):
    """A corpus that knows the true distribution of its text."""

    def vocabulary(self) -> list[str]:
        """Return the words, in the order of their indices."""
        ...

    def posterior(self, words_BL: Ints, segments_BL: Ints) -> tuple[Floats, Floats]:
        """Return log-probabilities (nats) of words at hidden positions (M, W), row by row, and P(B follows A) (B,)."""
        ...

    def senses(self, words_BL: Ints, segments_BL: Ints) -> Floats:
        """Return the probability of each sense at each position (B, L, S)."""
        ...


def hidden_log_prob(oracle: Oracle, store: TokenStore, ids_NL: Ints, segments_NL: Ints, hidden_M: Ints) -> Floats:
    """Return the true log-probability (nats) of each hidden token (M,), given all visible ones."""
    words_NL = _words(oracle, store, ids_NL)
    target_M = words_NL.reshape(-1)[hidden_M]
    words_NL.reshape(-1)[hidden_M] = HIDDEN
    log_prob_MW, _ = oracle.posterior(*_compact(words_NL, segments_NL))
    return log_prob_MW[np.arange(len(hidden_M)), target_M]


def follows(oracle: Oracle, store: TokenStore, ids_NL: Ints, segments_NL: Ints) -> Floats:
    """Return the true probability (N,) that segment B follows A."""
    _, follows_N = oracle.posterior(*_compact(_words(oracle, store, ids_NL), segments_NL))
    return follows_N


def senses(oracle: Oracle, store: TokenStore, ids_NL: Ints, segments_NL: Ints) -> Ints:
    """Return the most likely sense of each visible word (M,), row by row: the answer of an ideal reader."""
    words_NL, segments_NL = _compact(_words(oracle, store, ids_NL), segments_NL)
    sense_NL = oracle.senses(words_NL, segments_NL).argmax(-1)
    sense_M: Ints = sense_NL[words_NL != OUTSIDE]  # _compact keeps their order
    return sense_M


def _words(oracle: Oracle, store: TokenStore, ids_NL: Ints) -> Ints:
    """Return the word index at each position, OUTSIDE at [PAD], [CLS], [SEP]. Raises InputError for other tokens."""
    word_V, id_of = np.full(store.vocabulary.size, OUTSIDE), store.tokenizer.get_vocab()
    for index, word in enumerate(oracle.vocabulary()):
        if word in id_of:
            word_V[id_of[word]] = index
    words_NL = word_V[ids_NL]
    if len(no_word := ids_NL[(words_NL == OUTSIDE) & ~np.isin(ids_NL, (PAD, CLS, SEP))]):
        raise InputError(
            f"a generated language needs each word to be one token, got {store.vocabulary.tokens[no_word[0]]}; "
            f"use tokenizer=words with tokenizer.vocab_size of at least {len(oracle.vocabulary()) + len(SPECIALS)}"
        )
    return words_NL


def _compact(words_NL: Ints, segments_NL: Ints) -> tuple[Ints, Ints]:
    """Move OUTSIDE to the end of each row; the oracle needs that."""
    order_NL = np.argsort(words_NL == OUTSIDE, axis=1, kind="stable")
    return np.take_along_axis(words_NL, order_NL, axis=1), np.take_along_axis(segments_NL, order_NL, axis=1)
