"""The contract of every pair maker of conf/pairs; a new YAML is tested without an edit."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bertlab.config.compose import CONF
from bertlab.config.errors import InputError
from bertlab.data.pairs import FOLLOWS, NO_PAIR, RANDOM, Examples, PairMaker
from bertlab.data.pairs.joined import Joined
from bertlab.data.pairs.parallel import Parallel
from bertlab.data.store import Tokens, TokenStore

NAMES = sorted(path.stem for path in (CONF / "pairs").glob("*.yaml"))
FIELDS = ("a_start", "a_end", "b_start", "b_end", "label")
LENGTHS = (8, 13, 64)


@pytest.fixture(scope="module", params=NAMES)
def maker(
    request: pytest.FixtureRequest, build_part: Callable[..., PairMaker], tmp_path_factory: pytest.TempPathFactory
) -> PairMaker:
    words = []
    if request.param == "mixed":  # of the store's documents the last 12 are general text
        general = tmp_path_factory.mktemp("general") / "general.jsonl"
        general.write_text('{"text": "a", "split": "train"}\n' * 12)
        words = ["data=mixed", "data.files=own.txt", f"data.general={general}"]
    return build_part(f"pairs={request.param}", *words)


@pytest.fixture(scope="module")
def tokens(store: TokenStore) -> Tokens:
    return store.splits["train"]


def make(maker: PairMaker, tokens: Tokens, length: int, seed: int = 0) -> Examples:
    return maker(tokens, length, np.random.default_rng(seed))


def same(one: Examples, other: Examples) -> bool:
    return all(np.array_equal(getattr(one, field), getattr(other, field)) for field in FIELDS)


@pytest.mark.parametrize("length", LENGTHS)
def test_no_example_is_longer_than_the_length(maker: PairMaker, tokens: Tokens, length: int) -> None:
    examples = make(maker, tokens, length)
    length_b = examples.b_end - examples.b_start
    taken = 2 + examples.a_end - examples.a_start + np.where(length_b > 0, length_b + 1, 0)
    assert taken.max() <= length
    if not isinstance(maker, Parallel) or length < 64:  # whole sentences, however short, are never joined
        assert taken.max() == length, "the longest example fills the length"


@pytest.mark.parametrize("length", LENGTHS)
def test_segments_are_runs_of_the_split(maker: PairMaker, tokens: Tokens, length: int) -> None:
    examples = make(maker, tokens, length)
    assert (examples.a_start >= 0).all()
    assert (examples.a_start < examples.a_end).all(), "A is never empty"
    assert (examples.b_start <= examples.b_end).all()
    assert max(examples.a_end.max(), examples.b_end.max()) <= len(tokens.ids)


def test_examples_with_a_second_segment_have_a_label(maker: PairMaker, tokens: Tokens) -> None:
    examples = make(maker, tokens, 64)
    has_b = examples.b_end > examples.b_start
    if not isinstance(maker, Parallel | Joined):
        assert set(examples.label[has_b].tolist()) <= {FOLLOWS, RANDOM}
    assert set(examples.label[~has_b].tolist()) <= {NO_PAIR}


def test_all_fields_are_whole_numbers_and_equally_long(maker: PairMaker, tokens: Tokens) -> None:
    examples = make(maker, tokens, 13)
    for field in FIELDS:
        array = getattr(examples, field)
        assert (array.dtype, array.shape) == (np.int64, (len(examples),))
        assert not isinstance(array, np.memmap)


def test_the_same_draws_give_the_same_examples(maker: PairMaker, tokens: Tokens) -> None:
    first = make(maker, tokens, 64, seed=5)
    assert same(first, make(maker, tokens, 64, seed=5))
    assert len(first) > 50


def test_most_of_the_text_is_used(maker: PairMaker, tokens: Tokens) -> None:
    examples = make(maker, tokens, 64)
    used = np.zeros(len(tokens.ids) + 1)
    for start, end in ((examples.a_start, examples.a_end), (examples.b_start, examples.b_end)):
        np.add.at(used, start, 1)
        np.add.at(used, end, -1)
    assert (used.cumsum()[:-1] > 0).mean() > 0.9


def test_the_split_is_not_changed(maker: PairMaker, make_tokens: Callable[..., Tokens]) -> None:
    tokens = make_tokens([[[7] * 5] * 6] * 20)
    before = [array.copy() for array in (tokens.ids, tokens.sentences, tokens.documents)]
    make(maker, tokens, 13)
    for array, copy in zip((tokens.ids, tokens.sentences, tokens.documents), before, strict=True):
        np.testing.assert_array_equal(array, copy)


def test_too_little_text_is_an_input_error_of_one_line(maker: PairMaker, make_tokens: Callable[..., Any]) -> None:
    with pytest.raises(InputError) as caught:
        make(maker, make_tokens([[[7]]]), 64)
    assert "\n" not in str(caught.value)
    assert ", got " in str(caught.value)
