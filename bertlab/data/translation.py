"""The generated translation task: a sentence and its translation, which depends only on the source.

Enters: the size of two languages and a seed. Leaves: documents of two sentences, the source and its translation. Source
words are uniform and independent, so without the source all target words are equally likely: loss ln(words), accuracy
1/words. With the source the translation is certain: each word has one translation in a dictionary, and neighbours are
swapped (the first with the second, the third with the fourth, ...), like adjectives and nouns.
"""

from collections.abc import Iterator
from itertools import islice, product
from math import log

import numpy as np

from bertlab.config.cache import digest
from bertlab.config.errors import whole_number
from bertlab.data.documents import Document
from bertlab.data.oracle import DOCUMENTS, LARGEST, SYLLABLES
from bertlab.data.store import Ints

VERSION = "translation-1"  # change it if the same settings would give another text
HELD_OUT = 0.05  # share of documents in `valid`, at least two
TOGETHER = 1024  # sentences drawn in one step; changing it changes VERSION
DICTIONARY, TEXT = 0, 1  # purposes of the random streams
FORMS = ["".join(syllables) for syllables in product(SYLLABLES, repeat=2)]


class Translation:
    """Documents of a source sentence of `sentence_words` words and its translation, each its own paragraph.

    Raises InputError for sizes that make no language.
    """

    name = "translation"

    def __init__(self, *, words: int, sentence_words: int, documents: int, language_seed: int) -> None:
        self.words = whole_number("words", words, 2, len(FORMS))
        self.sentence_words = whole_number("sentence_words", sentence_words, 1, LARGEST)
        self.size = whole_number("documents", documents, 4, DOCUMENTS)
        self.language_seed = whole_number("language_seed", language_seed, 0)
        self._key = digest(VERSION, vars(self))

    def key(self) -> str:
        """Hash of the settings and of the version of this generator."""
        return self._key

    def dictionary(self) -> dict[str, str]:
        """Return the translation of each source word; target words end in n."""
        other_W = self._generator(DICTIONARY).permutation(self.words)
        return {FORMS[word]: f"{FORMS[other]}n" for word, other in enumerate(other_W.tolist())}

    def documents(self) -> Iterator[Document]:
        """Yield the documents; their ids count from translation-0."""
        dictionary = self.dictionary()
        train = self.size - max(2, round(HELD_OUT * self.size))
        for number, word_L in enumerate(islice(self._sources(), self.size)):
            source = [FORMS[word] for word in word_L.tolist()]
            target = [dictionary[word] for word in reordered(source)]
            text = f"{' '.join(source)}\n\n{' '.join(target)}"
            yield Document(f"translation-{number}", text, "train" if number < train else "valid")

    def facts(self) -> dict[str, str]:
        """Describe how the languages are made."""
        return {
            "source": f"generated: translation by a dictionary, language seed {self.language_seed}, {VERSION}",
            "licence": "none needed: the text is generated",
            "language": (
                f"{self.words} words, equally likely; a target word is worth {log(self.words):.3f} nats without its "
                "source and nothing with it; neighbours change places"
            ),
            "text": f"{self.size:,} documents of a source sentence of {self.sentence_words} words and its translation",
        }

    def _sources(self) -> Iterator[Ints]:
        for first in range(0, self.size, TOGETHER):
            yield from self._generator(TEXT, first).integers(self.words, size=(TOGETHER, self.sentence_words))

    def _generator(self, *purpose: int) -> np.random.Generator:
        return np.random.Generator(np.random.Philox(np.random.SeedSequence(self.language_seed, spawn_key=purpose)))


def reordered(words: list[str]) -> list[str]:
    """Swap neighbours; a last word without a neighbour stays."""
    swapped = [word for left, right in zip(words[::2], words[1::2], strict=False) for word in (right, left)]
    return swapped + words[len(swapped) :]
