"""The vocabulary: which id is which token. The five special tokens of BERT always come first."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

SPECIALS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
PAD, UNK, CLS, SEP, MASK = range(len(SPECIALS))
_NAMED = re.compile("|".join(map(re.escape, SPECIALS)))


def spelt_apart(text: str) -> str:
    """Return the text with "[ MASK ]" for "[MASK]", and so on: what stands in a text is never a special token.

    WordPiece, which cuts at punctuation, makes the same words of both.
    """
    return _NAMED.sub(lambda found: f"[ {found[0][1:-1]} ]", text) if "[" in text else text


@dataclass(frozen=True)
class Vocabulary:
    """The tokens in the order of their ids; `tokens[:5]` are the special tokens."""

    tokens: Sequence[str]

    @property
    def size(self) -> int:
        """Number of tokens V, special tokens included."""
        return len(self.tokens)

    @property
    def first_real(self) -> int:
        """Id of the first token that is not special; the real vocabulary is [first_real, size)."""
        return len(SPECIALS)
