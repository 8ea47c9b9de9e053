"""Chooses the held-out documents. Documents with equal text get the same split, else held-out text would be trained on.

Shapes: N documents, T different texts.
"""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from zlib import crc32

import numpy as np
import numpy.typing as npt

from bertlab.config.errors import InputError
from bertlab.data.documents import SPLITS, Corpus, likeness, lot

HELD_OUT = 0.05  # share of held-out documents if the source names no split
FEWEST = 2  # least documents of a split: a next-sentence pair may need two documents
TRAIN, VALID, FREE = SPLITS.index("train"), SPLITS.index("valid"), len(SPLITS)
Places = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Splits:
    """The split of each document, in the order of the corpus."""

    names: Sequence[str]
    repeats: int  # documents with the text of an earlier one
    known_N: npt.NDArray[np.bool_]  # whether a document's text is in a training document


def choose_splits(corpus: Corpus) -> Splits:
    """Choose each document's split: the source's own, else hold out the lowest lots, 5 % and at least two documents.

    Documents with equal text share the lot of the one whose id has the lowest checksum. If the source gives one of them
    a split, the others get it too. Raises InputError if training and held-out text cannot both have two documents.
    """
    named, likenesses, lots, checksums = array("q"), array("Q"), array("d"), array("Q")
    for document in corpus.documents():
        named.append(FREE if document.split is None else SPLITS.index(document.split))
        likenesses.append(likeness(document.text))
        lots.append(lot(document))
        checksums.append(crc32(document.id.encode(errors="surrogatepass")))
    text_T, text_N, count_T = np.unique(np.asarray(likenesses, np.uint64), return_inverse=True, return_counts=True)
    named_N = np.asarray(named, np.int64)
    split_T = np.full(len(text_T), FREE)
    for place in reversed(range(len(SPLITS))):  # training last: it wins over held-out splits
        split_T[text_N[named_N == place]] = place
    order_N = np.lexsort((np.asarray(checksums, np.uint64), text_N))
    lot_T = np.asarray(lots)[order_N][np.cumsum(count_T) - count_T]
    free_T = split_T == FREE
    below = _threshold(lot_T[free_T], count_T[free_T], FEWEST - int((named_N == VALID).sum()))
    split_T[free_T] = np.where(lot_T[free_T] <= below, VALID, TRAIN)
    split_N = np.where(named_N == FREE, split_T[text_N], named_N)
    together = int(((named_N == FREE) & (count_T[text_N] > 1)).sum())
    check_size(corpus, int((split_N == TRAIN).sum()), int((split_N == VALID).sum()), together)
    known_N = np.isin(text_N, text_N[split_N == TRAIN])
    return Splits([SPLITS[place] for place in split_N], len(text_N) - len(text_T), known_N)


def _threshold(lot_T: npt.NDArray[np.float64], count_T: Places, wanted: int) -> float:
    """Return the lot up to which texts are held out, so that at least `wanted` documents are, if there are enough."""
    order_T = np.argsort(lot_T, kind="stable")
    documents_T = np.cumsum(count_T[order_T])
    enough_T = np.flatnonzero(documents_T >= wanted)
    return max(HELD_OUT, float(lot_T[order_T][enough_T[0]])) if wanted > 0 and len(enough_T) else HELD_OUT


def check_size(corpus: Corpus, train: int, valid: int, together: int = 0) -> None:
    """Raise InputError unless training and held-out text have at least two documents each.

    `together`: documents whose text another one has, without a split from the source.
    """
    if train >= FEWEST and valid >= FEWEST:
        return
    alike = f" ({together} of them have the text of another one and stay in its split)" if together else ""
    raise InputError(
        f"data={corpus.name} must hold at least {FEWEST} documents for training and {FEWEST} held out, "
        f"got {train} and {valid}{alike}; add text, or check that documents are separated as the corpus asks"
    )
