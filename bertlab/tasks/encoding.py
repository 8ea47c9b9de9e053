"""Texts -> token ids of one example, cut to a length: [CLS] A [SEP], or [CLS] A [SEP] B [SEP].

Text that looks like a special token is split into ordinary tokens, as in training text. If two texts are too long, the
longer one is cut, as in BERT (Devlin et al. 2018, appendix A.2).
"""

from bisect import bisect
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from tokenizers import Tokenizer

from bertlab.data.encoding import named
from bertlab.data.store import Ints
from bertlab.data.tokenizer import CLS, SEP, SPECIALS, UNK, spelt_apart

Span = tuple[int, int]


@dataclass(frozen=True)
class Example:
    """Input of a model, the positions that a head reads, and the targets."""

    ids: Ints  # (L,)
    segments: Ints  # (L,)
    spots: Ints  # positions that are read: first token of each word; start and end of a marked word; none
    target: "np.ndarray"  # a target for each state that is read
    item: int  # row of the file
    cut: bool = False  # whether text was cut off


class Encoder:
    """A tokenizer and the maximum length of an example in tokens."""

    def __init__(self, tokenizer: Tokenizer, length: int) -> None:
        self._tokenizer, self.length = tokenizer, length
        tokenizer.encode_special_tokens = True
        self._names = named(tokenizer)

    def ids(self, text: str) -> Ints:
        """Return the tokens of a text."""
        return _words_only(self._tokenizer.encode(self._spelt(text), add_special_tokens=False).ids)

    def joined(self, *texts: Ints) -> tuple[Ints, Ints, bool]:
        """Return the ids and segments of one or two texts, and whether any was cut."""
        kept = [text[:room] for text, room in zip(texts, _rooms(self.length, *map(len, texts)), strict=True)]
        return *assembled(*kept), sum(map(len, kept)) < sum(map(len, texts))

    def words(self, words: Sequence[str]) -> list[tuple[int, list[Ints]]]:
        """Return words in pieces that fit: the index of each piece's first word, and the tokens of its words."""
        of_words, room = self._by_word(words), self.length - 2
        pieces: list[tuple[int, list[Ints]]] = []
        used = room
        for place, ids in enumerate(of_words):
            if used + len(ids) > room:
                pieces.append((place, []))
                used = 0
            pieces[-1][1].append(ids[:room])
            used += len(ids)
        return pieces

    def marked(self, text: str, start: int, end: int) -> tuple[Ints, Span] | None:
        """Return the tokens of a text and the span of those between two characters; None if there are none."""
        before, word, after = (self._spelt(part) for part in (text[:start], text[start:end], text[end:]))
        encoding = self._tokenizer.encode(before + word + after, add_special_tokens=False)
        low, high = len(before), len(before) + len(word)
        inside = [place for place, (one, two) in enumerate(encoding.offsets) if one < high and two > low]
        return (_words_only(encoding.ids), (inside[0], inside[-1] + 1)) if inside else None

    def windows(self, *marked: tuple[Ints, Span]) -> tuple[Ints, Ints, Ints, bool]:
        """Return ids, segments, positions of the marked words and whether cut, of one or two texts cut around these."""
        rooms = _rooms(self.length, *(len(ids) for ids, _ in marked))
        kept, columns, column = [], list[int](), 1
        for (ids, (start, end)), room in zip(marked, rooms, strict=True):
            first = min(max((start + end - room) // 2, 0), max(len(ids) - room, 0))
            kept.append(ids[first : first + room])
            columns += [column + max(start - first, 0), column + min(end - first, room)]
            column += len(kept[-1]) + 1
        return *assembled(*kept), np.array(columns), sum(map(len, kept)) < sum(len(ids) for ids, _ in marked)

    def _by_word(self, words: Sequence[str]) -> list[Ints]:
        """Return the tokens of each word of a text; [UNK] for a word for which the tokenizer gives no token."""
        spelt = [self._spelt(word) for word in words]
        text, ends = " ".join(spelt), list(accumulate(len(word) + 1 for word in spelt))
        encoding = self._tokenizer.encode(text, add_special_tokens=False)
        found: list[list[int]] = [[] for _ in words]
        for id_, (start, end) in zip(encoding.ids, encoding.offsets, strict=True):
            first = start + (text[start:end].startswith(" ") and end - start > 1)  # a token may begin with the space
            found[min(bisect(ends, first), len(words) - 1)].append(id_)
        return [_words_only(ids or [UNK]) for ids in found]

    def _spelt(self, text: str) -> str:
        return spelt_apart(text, self._names)


def assembled(*texts: Ints) -> tuple[Ints, Ints]:
    """Return [CLS] A [SEP] or [CLS] A [SEP] B [SEP], and its segments."""
    parts = [np.append(ids, SEP) for ids in texts]
    ids = np.concatenate([[CLS], *parts]).astype(np.int64)
    segments = (np.arange(len(ids)) > len(parts[0])).astype(np.int64)
    return ids, segments


def _rooms(length: int, *wanted: int) -> list[int]:
    """Return how many tokens each text may keep, as `longest_first` of transformers."""
    room = length - 1 - len(wanted)
    if len(wanted) == 1:
        return [room]
    one, two = wanted
    if one + two <= room:
        return [one, two]
    small = min(one, two, room // 2)
    return [small, room - small] if one <= two else [room - small, small]


def _words_only(ids: Sequence[int]) -> Ints:
    found = np.array(ids, np.int64)
    found[found < len(SPECIALS)] = UNK
    return found
