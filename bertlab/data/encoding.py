"""Documents -> token ids, in memory that does not grow with their length.

During encoding the library needs several hundred bytes per token. So it gets the text in parts of `LONGEST` letters,
`TOGETHER` letters a call. Both are cut where the tokens do not change.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TypeVar

import numpy as np
from tokenizers import Tokenizer

from bertlab.data.documents import Document
from bertlab.data.sentences import sentences
from bertlab.data.tokenizer import SPECIALS, UNK, spelt_apart

LONGEST = 10_000  # letters per part
LONGEST_WORD = 100  # letters; longer strings are no words of a language
TOGETHER = 1 << 18  # letters per call
MOST = 256  # documents per call
PUNCTUATION = re.compile(r"[!-/:-@\[-`{-~]")  # ASCII punctuation, which is always a separate token
Item = TypeVar("Item")
Encoded = tuple[list[str], list[np.ndarray]]  # the sentences of a document that have tokens, and their ids


def encode(tokenizer: Tokenizer, documents: Iterable[Document], dtype: str) -> Iterator[Encoded]:
    """Yield the sentences and their token ids of each document; sentences without tokens are dropped.

    Text never becomes a special token: names of special tokens are written with spaces. If a normaliser still makes a
    special token, it becomes [UNK].
    """
    tokenizer.encode_special_tokens = True
    names = named(tokenizer)
    for together in few(documents, lambda document: len(document.text)):
        split = [[(sentence, list(parts(sentence, names))) for sentence in sentences(one.text)] for one in together]
        cut = (part for own in split for _, some in own for part in some)
        encoded = (
            _without_specials(np.array(encoding.ids, dtype))
            for some in few(cut, len)
            for encoding in tokenizer.encode_batch_fast(some, add_special_tokens=False)
        )
        for own in split:
            ids = [np.concatenate(list(islice(encoded, len(some)))) for _, some in own]
            yield [sentence for (sentence, _), some in zip(own, ids, strict=True) if len(some)], list(filter(len, ids))


def _without_specials(ids: np.ndarray) -> np.ndarray:
    ids[ids < len(SPECIALS)] = UNK
    return ids


def unread_letters(tokenizer: Tokenizer, sentence: str) -> int:
    """Count the letters in [UNK] tokens that each replace more than `LONGEST_WORD` letters."""
    if len(sentence) <= LONGEST_WORD:
        return 0
    encodings = (tokenizer.encode(part, add_special_tokens=False) for part in parts(sentence))
    return sum(
        end - start
        for encoding in encodings
        for id_, (start, end) in zip(encoding.ids, encoding.offsets, strict=True)
        if id_ < len(SPECIALS) and end - start > LONGEST_WORD
    )


def named(tokenizer: Tokenizer) -> list[str]:
    """Return the names that the tokenizer turns into special tokens if they occur in text."""
    names = [str(tokenizer.id_to_token(number)) for number in range(len(SPECIALS))]
    return [
        name
        for name in names
        if len(name) > 2
        and any(
            min(tokenizer.encode(text, add_special_tokens=False).ids, default=UNK) < len(SPECIALS)
            for text in (name, f"a {name} a", f"a{name}a")
        )
    ]


def parts(sentence: str, names: Iterable[str] = SPECIALS) -> Iterator[str]:
    """Yield a sentence in parts that a tokenizer can process; `names` of special tokens in it become ordinary words.

    A part ends at a space, else after punctuation, else inside a word, which is then too long for any vocabulary.
    """
    text, start = spelt_apart(sentence, names), 0
    while len(text) - start > LONGEST:
        end = start + LONGEST
        cut = text.rfind(" ", start + 1, end)
        if cut < 0:
            cut = max((found.end() for found in PUNCTUATION.finditer(text, start, end)), default=end)
        yield text[start:cut]
        start = cut
    yield text[start:]


def few(items: Iterable[Item], letters: Callable[[Item], int]) -> Iterator[list[Item]]:
    """Yield the items in lists of limited total length."""
    together: list[Item] = []
    total = 0
    for item in items:
        together.append(item)
        total += letters(item)
        if len(together) == MOST or total >= TOGETHER:
            yield together
            together, total = [], 0
    if together:
        yield together
