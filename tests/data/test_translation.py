"""The translation task: only the source determines the target, and it determines all of it."""

from collections import Counter
from itertools import islice
from math import sqrt
from typing import Any

import pytest
from hydra.utils import instantiate

from bertlab.config.compose import load
from bertlab.config.errors import InputError
from bertlab.data.documents import Corpus, Document
from bertlab.data.sentences import sentences
from bertlab.data.translation import Translation, reordered


def make(**settings: Any) -> Translation:
    return instantiate(load(["data=translation", *(f"data.{key}={value}" for key, value in settings.items())]).data)


def some(count: int, **settings: Any) -> list[Document]:
    return list(islice(make(**settings).documents(), count))


def test_the_corpus_satisfies_the_protocol() -> None:
    corpus: Corpus = make(documents=60)
    assert corpus.name == "translation"
    documents = list(corpus.documents())
    assert len({document.id for document in documents}) == 60
    assert [document.split for document in documents] == ["train"] * 57 + ["valid"] * 3
    assert all(isinstance(value, str) for value in corpus.facts().values())


def test_neighbours_change_places() -> None:
    assert reordered(["1", "2", "3", "4"]) == ["2", "1", "4", "3"]
    assert reordered(["1", "2", "3"]) == ["2", "1", "3"]
    assert reordered(["1"]) == ["1"]


def test_a_document_is_a_source_and_its_translation() -> None:
    dictionary = make().dictionary()
    assert len(set(dictionary.values())) == len(dictionary) == 64
    assert dictionary.keys().isdisjoint(dictionary.values())
    for document in some(31):
        source, target = (sentence.split() for sentence in sentences(document.text))
        assert len(source) == len(target) == 8
        assert target == [dictionary[word] for word in reordered(source)]


def test_source_words_are_equally_likely() -> None:
    """Of 32,000 words each of 64 comes 500 times; tolerance 4.5 standard deviations."""
    counts = Counter(word for document in some(4000) for word in document.text.partition("\n\n")[0].split())
    assert len(counts) == 64
    assert all(abs(count - 500) < 4.5 * sqrt(500) for count in counts.values())


def test_same_seed_same_text_other_seed_other_text_and_dictionary() -> None:
    assert some(31) == some(31, documents=41)
    assert some(1)[0].text != some(1, language_seed=1)[0].text
    assert make().dictionary() != make(language_seed=1).dictionary()
    assert make().key() == make().key() != make(language_seed=1).key()
    assert make().key() != make(words=65).key()


def test_the_text_is_pinned() -> None:
    """Fails if the same settings give another text, also because of numpy: then change VERSION and this line."""
    assert some(1)[0].text == (
        "bali base bari bari bahu bana bara baho\n\nbamin bahun badin badin baren bagan bakun basun"
    )


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"words": 1}, "words must be a whole number of at least 2, got 1; choose for example 2"),
        ({"words": 5000}, "words must be at most 4900, got 5000; choose a smaller one"),
        ({"documents": 10**11}, "documents must be at most 10000000, got 100000000000; choose a smaller one"),
        ({"documents": 3}, "documents must be a whole number of at least 4, got 3; choose for example 4"),
    ],
)
def test_impossible_sizes_are_refused(settings: dict[str, int], line: str) -> None:
    sizes = {"words": 64, "sentence_words": 8, "documents": 60, "language_seed": 0}
    with pytest.raises(InputError) as caught:
        Translation(**{**sizes, **settings})
    assert str(caught.value) == line
