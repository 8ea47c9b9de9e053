"""Overlap of held-out and training text: in whole sentences, and in whole documents.

Sentences are compared by their `likeness`. A document is a copy if most of its tokens are in one training document. If
several training documents contain a sentence, the first one counts; so one sort of the corpus is enough.

Shapes: S sentences and D documents that are held out, T different sentences of the training text.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

COPY = 2 / 3  # share of a document's tokens
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Text:
    """Sentence data of a split."""

    likeness_S: npt.NDArray[np.uint64]
    tokens_S: Ints
    document_S: Ints  # number of the sentence's document


def known_tokens(held_out: Text, training: Text) -> tuple[Ints, Ints]:
    """Return, for each held-out document, its tokens in training sentences, and the most of them in one document."""
    documents = int(held_out.document_S[-1]) + 1
    like_T, first_T = np.unique(training.likeness_S, return_index=True)
    place_S = np.searchsorted(like_T, held_out.likeness_S).clip(max=len(like_T) - 1)
    known_S = like_T[place_S] == held_out.likeness_S
    own_S, tokens_S = held_out.document_S[known_S], held_out.tokens_S[known_S]
    source_S = training.document_S[first_T[place_S[known_S]]]
    pairs, pair_S = np.unique(np.stack((own_S, source_S)), axis=1, return_inverse=True)
    shared = np.bincount(pair_S.reshape(-1), tokens_S, pairs.shape[1]).astype(np.int64)
    most_D = np.zeros(documents, np.int64)
    np.maximum.at(most_D, pairs[0], shared)
    return np.bincount(own_S, tokens_S, documents).astype(np.int64), most_D


def shares(held_out: Text, training: Text, same_D: npt.NDArray[np.bool_]) -> tuple[float, float]:
    """Return the shares of held-out tokens in known sentences and in copies; `same_D`: exact copies."""
    known_D, most_D = known_tokens(held_out, training)
    tokens_D = np.bincount(held_out.document_S, held_out.tokens_S)
    copies_D = same_D | (most_D >= COPY * tokens_D)
    return float(known_D.sum() / tokens_D.sum()), float(tokens_D[copies_D].sum() / tokens_D.sum())
