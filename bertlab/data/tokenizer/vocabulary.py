"""The vocabulary: which id is which token. The five special tokens of BERT always come first."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokenizers import Tokenizer

SPECIALS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
PAD, UNK, CLS, SEP, MASK = range(len(SPECIALS))
CONTINUES = "##"  # how WordPiece marks a piece that continues a word


def spelt_apart(text: str, names: Iterable[str] = SPECIALS) -> str:
    """Return the text with "[ MASK ]" for "[MASK]", and so on: what stands in a text is never a special token.

    WordPiece, which cuts at punctuation, makes the same words of both. `names` have three letters at least.
    """
    for name in names:
        if name in text:
            text = text.replace(name, f"{name[0]} {name[1:-1]} {name[-1]}")
    return text


def space_mark(tokenizer: "Tokenizer") -> str | None:
    """Return what stands for the space in front of a word's first token, None where words are marked otherwise."""
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

    Where `space` is given, it is in front of tokens that start a word, as in byte-level BPE; where not, ## is in front
    of those that continue one, as in WordPiece.
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
        """Return whether a token continues a word. With `space`, punctuation behind a word is a part of it."""
        token = self.tokens[id_]
        return token.startswith(CONTINUES) if self.space is None else not token.startswith(self.space)
