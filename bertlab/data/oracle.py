"""The generated corpus: text with exactly known best loss, pair accuracy and senses.

Enters: the size of a language and a seed. Leaves: documents, and `Oracle.posterior`, the limit that no model can beat
on average. The mathematics is in `bertlab.data.hmm`.
"""

from collections.abc import Iterator
from functools import cached_property
from itertools import islice, product
from math import ceil, log

import numpy as np

from bertlab.config.cache import digest
from bertlab.config.errors import InputError, own, whole_number
from bertlab.data import hmm
from bertlab.data.documents import Document
from bertlab.data.hmm import Floats, Ints

VERSION = "oracle-1"  # change it if the same settings would give another text
HELD_OUT = 0.05  # share of documents in `valid`, at least two
TOGETHER = 1024  # documents drawn in one step; changing it changes VERSION
LARGEST, WORDS, DOCUMENTS = 1000, 100_000, 10_000_000  # largest sizes that are drawn in minutes and fit in memory
LANGUAGE, TEXT = 0, 1  # purposes of the random streams
SYLLABLES = ["".join(pair) for pair in product("bdfghklmnprstv", "aeiou")]


class Oracle:
    """Documents of one hidden Markov language with topics; a sentence is `sentence_words` words and its own paragraph.

    The first `documents` documents do not depend on the total, except that the last 5 % are `valid`.
    Raises InputError for sizes that make no language.
    """

    name = "oracle"

    def __init__(
        self,
        *,
        states: int = 12,
        topics: int = 2,
        words: int = 120,
        words_per_state: int = 20,
        successors: int = 2,
        sentence_words: int = 8,
        min_sentences: int = 8,
        max_sentences: int = 16,
        documents: int = 44_000,
        language_seed: int = 0,
    ) -> None:
        self.states = whole_number("states", states, 2, LARGEST)
        self.topics = whole_number("topics", topics, 1, LARGEST)
        self.words = whole_number("words", words, 1, WORDS)
        fewest = ceil(self.words / self.states)  # with fewer, some word has no state
        self.words_per_state = _between("words_per_state", words_per_state, fewest, self.words)
        self.successors = _between("successors", successors, 2, self.states)  # with one the chain is periodic
        self.sentence_words = whole_number("sentence_words", sentence_words, 1, LARGEST)
        self.min_sentences = whole_number("min_sentences", min_sentences, 1, LARGEST)
        self.max_sentences = whole_number("max_sentences", max_sentences, self.min_sentences, LARGEST)
        self.size = whole_number("documents", documents, 4, DOCUMENTS)
        self.language_seed = whole_number("language_seed", language_seed, 0)
        self._key = digest(VERSION, vars(self))

    def key(self) -> str:
        """Hash of the settings and of the version of this generator."""
        return self._key

    @cached_property
    def language(self) -> hmm.Language:
        """The hidden Markov model; `emit_SW` is the true probability of each word in each sense."""
        return hmm.make_language(
            self.states, self.topics, self.words, self.words_per_state, self.successors, self._generator(LANGUAGE)
        )

    def vocabulary(self) -> list[str]:
        """Return the word forms in the order of their index: distinct pseudo-words of consonant-vowel syllables."""
        length = 2
        while (forms := len(SYLLABLES) ** length) < self.words:
            length += 1
        base = len(SYLLABLES)
        # 1009 and `forms` are coprime, so no form occurs twice
        codes = [index * 1009 % forms for index in range(self.words)]
        return ["".join(SYLLABLES[code // base**place % base] for place in range(length)) for code in codes]

    def truth(self) -> Iterator[tuple[int, Ints, Ints]]:
        """Yield topic, states (L,) and words (L,) of every document, in the order of `documents`."""
        return islice(self._drawn(), self.size)

    def documents(self) -> Iterator[Document]:
        """Yield the documents; their ids count from oracle-0."""
        forms = self.vocabulary()
        train = self.size - max(2, round(HELD_OUT * self.size))
        for number, (_, _, word_L) in enumerate(self.truth()):
            sentences = word_L.reshape(-1, self.sentence_words).tolist()
            text = "\n\n".join(" ".join([forms[word] for word in sentence]) for sentence in sentences)
            yield Document(f"oracle-{number}", text, "train" if number < train else "valid")

    def facts(self) -> dict[str, str]:
        """Describe how the language is made."""
        return {
            "source": f"generated: hidden Markov model, language seed {self.language_seed}, {VERSION}",
            "licence": "none needed: the text is generated",
            "language": (
                f"{self.states} states, {self.topics} topics (one a document), {self.words} words, "
                f"{self.words_per_state} words a state (Zipf), {self.successors} equally likely successors a state "
                f"and topic (entropy rate of the states {log(self.successors):.3f} nats)"
            ),
            "text": (
                f"{self.size:,} documents of {self.min_sentences} to {self.max_sentences} sentences "
                f"of {self.sentence_words} words"
            ),
        }

    def unigram(self) -> Floats:
        """Return the exact share of each word, (W,)."""
        return hmm.unigram(self.language)

    def posterior(self, words_BL: Ints, segments_BL: Ints) -> tuple[Floats, Floats]:
        """Return the log-probability (nats) of each word at each hidden position (M, W), and P(B follows A) (B,).

        A row has the words of segment A (0), then of segment B (1), as indices into `vocabulary()`; -1 hides a word, -2
        fills the end of the row. Positions are ordered by rows. The limit is exact if segments are contiguous words of
        the language, and B follows A with probability 1/2 and comes from an independent document otherwise.
        """
        inferred = hmm.infer(self.language, words_BL, segments_BL)
        return hmm.hidden_log_prob(self.language, words_BL, inferred), inferred.follows_B

    def senses(self, words_BL: Ints, segments_BL: Ints) -> Floats:
        """Return P(state | visible words) (B, L, S), for rows as in `posterior`; meaningless after the end of a row."""
        return hmm.infer(self.language, words_BL, segments_BL).state_BLS

    def _drawn(self) -> Iterator[tuple[int, Ints, Ints]]:
        for first in range(0, self.size, TOGETHER):
            generator = self._generator(TEXT, first)
            sentences_N = generator.integers(self.min_sentences, self.max_sentences + 1, size=TOGETHER)
            length = self.max_sentences * self.sentence_words
            topic_N, state_NL, word_NL = hmm.sample(self.language, TOGETHER, length, generator)
            for topic, end, state_L, word_L in zip(
                topic_N.tolist(), sentences_N * self.sentence_words, state_NL, word_NL, strict=True
            ):
                yield topic, state_L[:end], word_L[:end]

    def _generator(self, *purpose: int) -> np.random.Generator:
        return np.random.Generator(np.random.Philox(np.random.SeedSequence(self.language_seed, spawn_key=purpose)))


def _between(key: str, value: int, low: int, high: int) -> int:
    if isinstance(value, int) and low <= value <= high:
        return value
    raise InputError(f"{own(key)} must be a whole number from {low} to {high}, got {value}; choose for example {low}")
