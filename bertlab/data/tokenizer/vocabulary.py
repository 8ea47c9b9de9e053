"""The vocabulary: the token of each id. The five special tokens of BERT always come first."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokenizers import Tokenizer

SPECIALS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
PAD, UNK, CLS, SEP, MASK = range(len(SPECIALS))
CONTINUES = "##"  # WordPiece's mark of a piece that continues a word


def spelt_apart(text: str, names: Iterable[str] = SPECIALS) -> str:
    """Return the text with "[ MASK ]" for "[MASK]", and so on: text never becomes a special token.

    WordPiece splits at punctuation, so it gives the same words for both. `names` have at least three letters.
    """
    for name in names:
        if name in text:
            text = text.replace(name, f"{name[0]} {name[1:-1]} {name[-1]}")
    return text


def space_mark(tokenizer: "Tokenizer") -> str | None:
    """Return the mark of the space before a word's first token; None if words are marked otherwise."""
    part = json.loads(tokenizer.to_str())["pre_tokenizer"] or {}
    parts = part.get("pretokenizers", [part])
    marks = (
        "Ġ" if one.get("type") == "ByteLevel" else one.get("replacement") if one.get("type") == "Metaspace" else None
        for one in parts
    )
    return next(filter(None, marks), None)


@dataclass(frozen=True)
class Vocabulary:
    """The tokens in the order of their ids; `tokens[:5]` are the special tokens.

    If `space` is given, it starts every token that starts a word, as in byte-level BPE. If not, ## starts tokens that
    continue a word, as in WordPiece.
    """

    tokens: Sequence[str]
    space: str | None = None

    @property
    def size(self) -> int:
        """Number of tokens V, special tokens included."""
        return len(self.tokens)

    @property
    def first_real(self) -> int:
        """Id of the first token that is not special; the real vocabulary is [first_real, size)."""
        return len(SPECIALS)

    def continues(self, id_: int) -> bool:
        """Return whether a token continues a word. With `space`, punctuation after a word is a part of it."""
        token = self.tokens[id_]
        return token.startswith(CONTINUES) if self.space is None else not token.startswith(self.space)
