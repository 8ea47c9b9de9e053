"""Pair makers: the sentences of a split -> one epoch of training examples."""

from bertlab.data.pairs.examples import FOLLOWS, NO_PAIR, RANDOM, SWAPPED, Examples, PairMaker

__all__ = ["FOLLOWS", "NO_PAIR", "RANDOM", "SWAPPED", "Examples", "PairMaker"]
