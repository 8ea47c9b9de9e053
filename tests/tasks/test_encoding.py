"""Texts have the tokens and cuts of transformers."""

import numpy as np
import pytest
from transformers import PreTrainedTokenizerFast

from bertlab.data.store import TokenStore
from bertlab.data.tokenizer import SPECIALS, UNK
from bertlab.tasks.encoding import Encoder


@pytest.fixture(scope="module")
def encoder(store: TokenStore) -> Encoder:
    return Encoder(store.tokenizer, 17)


@pytest.mark.parametrize("lengths", [(3, 4), (3, 40), (40, 3), (40, 40), (40, 41), (41, 40), (7, 7), (7, 8), (8, 7)])
def test_pairs_are_cut_as_transformers_cuts_them(lengths: tuple[int, int], store: TokenStore) -> None:
    names = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token", "mask_token"), SPECIALS, strict=True))
    theirs = PreTrainedTokenizerFast(tokenizer_object=store.tokenizer, **names)
    texts = ["ship barn " * 30, "farmer tower " * 30]
    pair = [" ".join(text.split()[:length]) for text, length in zip(texts, lengths, strict=True)]
    for room in (16, 17):
        ours = Encoder(store.tokenizer, room)
        ids, segments, cut = ours.joined(*map(ours.ids, pair))
        both = theirs(*pair, truncation="longest_first", max_length=room - 3, add_special_tokens=False)
        kept = [sum(1 for sequence in both.sequence_ids() if sequence == number) for number in (0, 1)]
        assert [int((segments == 0).sum()) - 2, int((segments == 1).sum()) - 1] == kept
        assert cut == (sum(lengths) > room - 3)
        assert len(ids) == sum(kept) + 3


def test_what_is_written_like_a_special_token_is_made_of_words(encoder: Encoder) -> None:
    ids = encoder.ids("a [MASK] ship [SEP]")
    assert all(id_ >= len(SPECIALS) or id_ == UNK for id_ in ids.tolist())


def test_words_get_the_tokens_that_they_have_in_the_text(encoder: Encoder, store: TokenStore) -> None:
    words = ["Ship", "barns,", "10 000", "\u200b", "lamp"]
    ((first, tokens),) = encoder.words(words)
    assert first == 0
    assert len(tokens) == len(words)
    assert tokens[3].tolist() == [UNK], "nothing is left of it"
    whole = [id_ for place, ids in enumerate(tokens) for id_ in ids.tolist() if place != 3]
    text = encoder.ids("Ship barns, 10 000 lamp").tolist()
    assert whole == text
    assert tokens[0].tolist() == [store.tokenizer.token_to_id("ship")]


def test_a_marked_word_has_all_of_its_tokens(encoder: Encoder) -> None:
    ids, (start, end) = encoder.marked("the unknownword here", 4, 15) or (np.empty(0), (0, 0))
    assert ids[start:end].tolist() == encoder.ids("unknownword").tolist()
    assert encoder.marked("a \u200b b", 2, 3) is None
