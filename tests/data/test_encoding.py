"""Encoding in parts: the same tokens for any length of a text."""

import random

import numpy as np
import pytest

from bertlab.data import encoding
from bertlab.data.documents import Document, one_line
from bertlab.data.encoding import encode, few, parts
from bertlab.data.sentences import sentences
from bertlab.data.tokenizer import SPECIALS
from bertlab.data.tokenizer.wordpiece import WordPiece
from bertlab.data.tokenizer.words import Words

DRAWN = random.Random(7)
WORDS = ["".join(DRAWN.choices("abcdé中,.-[]", k=DRAWN.randint(1, 9))) for _ in range(400)]
TEXTS = [" ".join(DRAWN.choices(WORDS, k=DRAWN.randint(1, 90))) for _ in range(20)]
COMMAS = ",".join(str(number) for number in range(300))


@pytest.mark.parametrize("tokenizer", [WordPiece(vocab_size=200, lowercase=True), Words(vocab_size=200)])
def test_the_same_tokens_come_out_of_short_parts(tokenizer: object, monkeypatch: pytest.MonkeyPatch) -> None:
    text = [*TEXTS, COMMAS] if isinstance(tokenizer, WordPiece) else TEXTS
    documents = [Document(str(number), one) for number, one in enumerate(text)]
    trained = tokenizer.train(iter(text))  # type: ignore[attr-defined]
    whole = list(encode(trained, documents, "<u2"))
    monkeypatch.setattr(encoding, "LONGEST", 25)
    monkeypatch.setattr(encoding, "TOGETHER", 60)
    again = list(encode(trained, documents, "<u2"))
    assert [kept for kept, _ in again] == [kept for kept, _ in whole]
    for (_, ids), (_, expected) in zip(again, whole, strict=True):
        for own, other in zip(ids, expected, strict=True):
            np.testing.assert_array_equal(own, other)


def test_no_part_is_longer_than_the_library_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoding, "LONGEST", 25)
    for text in (*TEXTS, COMMAS, "x" * 99):
        cut = list(parts(text))
        assert "".join(cut) == text
        assert max(map(len, cut)) <= 25
    assert list(parts("x" * 60)) == ["x" * 25, "x" * 25, "x" * 10]


def test_items_are_taken_until_they_are_long_enough() -> None:
    assert list(few(iter([[1] * (encoding.TOGETHER - 1), [2], [3]]), len))[1:] == [[[3]]]
    assert [len(some) for some in few(range(600), lambda _: 1)] == [256, 256, 88]


def test_names_of_special_tokens_are_words_as_others() -> None:
    assert list(parts("a [MASK] b[PAD][pad]")) == ["a [ MASK ] b[ PAD ][pad]"]
    for name in SPECIALS:
        assert name not in next(parts(f"x{name}{name}"))


def test_one_line_is_what_splitting_and_joining_gives() -> None:
    spaces = "".join(chr(code) for code in range(0x110000) if chr(code).isspace())
    for text in ("", "  ", f"a{spaces}b", f"{spaces}a  b \n\n c{spaces}", *TEXTS):
        assert one_line(text) == " ".join(text.split())
    assert list(sentences("One two.\u2028Three four.\x0c\n\nFive")) == ["One two.", "Three four.", "Five"]
