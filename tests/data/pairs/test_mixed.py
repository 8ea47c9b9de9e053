"""General text mixed into the user's text: which documents are general, their share in an epoch, what is never read."""

import json
from pathlib import Path

import numpy as np
import pytest

from bertlab.config.errors import InputError
from bertlab.data.mixed import Mixed as Corpus
from bertlab.data.pairs.examples import Examples
from bertlab.data.pairs.mixed import Mixed
from bertlab.data.prepare import prepare
from bertlab.data.store import Tokens
from bertlab.data.tokenizer.words import Words
from tests.conftest import prose

LENGTH = 16


def write(path: Path, first: int, splits: list[str | None], letter: str) -> str:
    """Write documents whose every word begins with the same letter."""
    texts = (" ".join(f"{letter}{word}" for word in prose(first + number, 6).split()) for number in range(len(splits)))
    rows = ({"text": text} | ({"split": split} if split else {}) for text, split in zip(texts, splits, strict=True))
    path.write_text("\n".join(map(json.dumps, rows)), "utf-8")
    return str(path)


def maker(share: float, general: str) -> Mixed:
    return Mixed(shortest=4, share=share, general=general, column=None)


def made(share: float, general: str, tokens: Tokens, epoch: int = 0) -> Examples:
    return maker(share, general)(tokens, LENGTH, np.random.default_rng(epoch))


def test_a_share_of_the_segments_is_general_and_held_out_text_is_the_users(tmp_path: Path) -> None:
    own = write(tmp_path / "own.jsonl", 0, [None] * 60, "o")
    general = write(tmp_path / "general.jsonl", 500, [*["train"] * 90, *["test"] * 30], "g")
    corpus = Corpus(own, general)
    store = prepare(corpus, Words(vocab_size=300))
    word = store.tokenizer.id_to_token

    def initials(tokens: Tokens, start_N: np.ndarray) -> list[str]:
        return [word(int(tokens.ids[start]))[0] for start in start_N]

    valid = store.splits["valid"]
    assert set(initials(valid, valid.documents[:-1] * 0 + valid.sentences[valid.documents[:-1]])) == {"o"}
    texts = [document.text for document in corpus.documents()]
    assert len(texts) == 60 + 90, "general documents for testing are not read"

    train = store.splits["train"]
    alone = made(0, general, train)
    assert set(initials(train, alone.a_start)) == {"o"}
    seen: set[int] = set()
    for share in (0.1, 0.25, 0.5):
        examples = made(share, general, train)
        mine = [letter == "o" for letter in initials(train, examples.a_start)]
        assert sum(mine) == len(alone), "all of one's own text is there, whatever the share"
        assert 1 - np.mean(mine) == pytest.approx(share, abs=0.01)
        assert seen <= set(examples.a_start.tolist()), "a larger share has what a smaller one has"
        seen = set(examples.a_start.tolist())
    assert set(made(0.5, general, train, epoch=1).a_start.tolist()) != seen, "another epoch has other general text"

    with pytest.raises(
        InputError, match=r"^share must be at most 0\.\d+, as there are \d+ segments of general text for"
    ):
        made(0.9, general, train)
    few = write(tmp_path / "few.jsonl", 500, ["test"] * 4, "g")
    with pytest.raises(InputError, match=r"^data\.general must hold fewer documents than .*, got 0; name the same fil"):
        made(0.5, few, train)


def test_general_text_that_does_not_say_its_split_is_refused(tmp_path: Path) -> None:
    own, general = (write(tmp_path / f"{name}.jsonl", 0, [None] * 9, "o") for name in ("own", "general"))
    with pytest.raises(InputError, match=r"^data\.general must say the split of every document, got none for general"):
        list(Corpus(own, general).documents())
    with pytest.raises(InputError, match=r"^data\.general must name files that are there, got 'gone\.jsonl'"):
        Corpus(own, "gone.jsonl").check()
