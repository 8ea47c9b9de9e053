"""Next-sentence pairs (Devlin et al. 2018, app. A.2): half of the second segments follow, half come from elsewhere.

A document is cut into chunks of whole sentences that fill the length. A chunk is cut in two at a random sentence
boundary. For half of the chunks the second part is replaced by sentences of another document; the replaced sentences
start the next chunk. One chunk in ten aims at a shorter random length. Too long pairs lose tokens of the longer
segment, at its front or back at random.

All documents are processed together, one chunk per round, so that an epoch takes a few array operations per round.
Departures from the original script, which give exactly one half and one half: a chunk always has two sentences; the
original may take a single long one and call its pair random. A last single sentence of a document is not used.

Legend: N chunks of a round, one for each document with text left; offsets count sentences unless they say token.
"""

import numpy as np

from bertlab.config.errors import InputError, closed_interval, own_option
from bertlab.data.pairs.examples import FOLLOWS, RANDOM, Examples
from bertlab.data.store import Ints, Tokens

Range = tuple[Ints, Ints]  # start and end of each segment


class NextSentence:
    """Make pairs of segments; a share `random` does not follow; a share `short` aims at less than the full length."""

    def __init__(self, *, random: float, short: float) -> None:
        self.random = closed_interval("random", random, 0, 1)
        self.short = closed_interval("short", short, 0, 1)

    def __call__(self, tokens: Tokens, length: int, rng: np.random.Generator) -> Examples:
        """Return the pairs of one epoch, in the order of rounds."""
        room = length - 3  # [CLS], [SEP] and [SEP]
        end = tokens.documents[1:]
        if len(end) < 2:
            raise InputError(
                f"pairs of segments need at least 2 documents in a split, got {len(end)}; add text or use "
                f"{own_option('pairs', 'none')}"
            )
        start = tokens.documents[:-1].copy()
        rounds = []
        while (alive := np.flatnonzero(end - start >= 2)).size:
            chunk, following = self._round(tokens, room, alive, start[alive], rng)
            rounds.append(chunk)
            start[alive] = following
        if not rounds:
            raise InputError(
                "pairs of segments need documents of at least 2 sentences, got none; add text or use "
                f"{own_option('pairs', 'none')}"
            )
        return Examples(*(np.concatenate(part) for part in zip(*rounds, strict=True)))

    def _round(
        self, tokens: Tokens, room: int, document: Ints, start: Ints, rng: np.random.Generator
    ) -> tuple[tuple[Ints, Ints, Ints, Ints, Ints], Ints]:
        """Cut the next chunk of each document; return its example fields and where the document continues."""
        offset, last = tokens.sentences, tokens.documents[document + 1]
        target = np.where(rng.random(len(start)) < self.short, rng.integers(2, room + 1, len(start)), room)
        chunk_end = np.minimum(np.maximum(start + 2, _sentence_at(offset, offset[start] + target)), last)
        cut = rng.integers(start + 1, chunk_end)  # A is [start, cut)
        away = rng.random(len(start)) < self.random
        other = _another(document, len(tokens.documents) - 1, rng)
        first = rng.integers(tokens.documents[other], tokens.documents[other + 1])
        wanted = np.maximum(target - (offset[cut] - offset[start]), 1)
        other_end = np.minimum(_sentence_at(offset, offset[first] + wanted), tokens.documents[other + 1])
        b_start, b_end = np.where(away, first, cut), np.where(away, other_end, chunk_end)
        a, b = _fit((offset[start], offset[cut]), (offset[b_start], offset[b_end]), room, rng)
        return (*a, *b, np.where(away, RANDOM, FOLLOWS)), np.where(away, cut, chunk_end)


def _sentence_at(offset: Ints, token: Ints) -> Ints:
    """Return the first sentence boundary at or after each token offset."""
    return np.searchsorted(offset, token)


def _another(document: Ints, count: int, rng: np.random.Generator) -> Ints:
    """Draw another document for each document, uniformly."""
    drawn = rng.integers(0, count - 1, len(document))
    return drawn + (drawn >= document)


def _fit(a: Range, b: Range, room: int, rng: np.random.Generator) -> tuple[Range, Range]:
    """Trim each pair of (start, end) token ranges to `room` tokens: the longer segment loses tokens until it fits."""
    length_a, length_b = a[1] - a[0], b[1] - b[0]
    keep_a = np.minimum(length_a, np.maximum(room - length_b, room - room // 2))
    keep_b = np.minimum(length_b, room - keep_a)
    return _trim(a, length_a - keep_a, rng), _trim(b, length_b - keep_b, rng)


def _trim(segment: Range, excess: Ints, rng: np.random.Generator) -> Range:
    """Remove `excess` tokens, each from the front or the back with equal probability."""
    front = rng.binomial(excess, 0.5)
    return segment[0] + front, segment[1] - (excess - front)
