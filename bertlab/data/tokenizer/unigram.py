"""Unigram language model over pieces, trained on the corpus itself (Kudo 2018, arXiv:1804.10959), as in SentencePiece.

A text is split into its most likely pieces. Text is normalised to NFKC first.
"""

import json
from collections import Counter
from collections.abc import Iterator

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from bertlab.config.cache import digest
from bertlab.config.errors import InputError, true_or_false, whole_number
from bertlab.data.tokenizer.vocabulary import SPECIALS, UNK, spelt_apart
from bertlab.data.tokenizer.wordpiece import ALPHABET, count_words, most_frequent_letters, repeated

SPACE = "▁"  # first character of every word
DIGITS = 4  # decimals of a log-probability; the library sums in another order each time


class Unigram:
    """Keep the pieces that make the text likely. The vocabulary is smaller than `vocab_size` if there are no more.

    Words with one of the rarest letters are not used for training, and these letters become [UNK].
    """

    def __init__(self, *, vocab_size: int, lowercase: bool) -> None:
        self.vocab_size = whole_number("vocab_size", vocab_size, 100)
        self.lowercase = true_or_false("lowercase", lowercase)

    def key(self) -> str:
        """Hash of the settings that decide the result of training."""
        return digest("unigram-2", self.vocab_size, self.lowercase)

    def train(self, sentences: Iterator[str]) -> Tokenizer:
        """Return the tokenizer trained on `sentences`; equal sentences give an equal tokenizer.

        Raises InputError if there is no word to train on.
        """
        learner = self._around(models.Unigram())
        words = self._learnable(count_words(learner, map(spelt_apart, sentences)))
        if not words:
            raise InputError(
                "tokenizer=unigram must find words of frequent letters in the training text, got none; add text or "
                "raise tokenizer.vocab_size"
            )
        trainer = trainers.UnigramTrainer(
            vocab_size=self.vocab_size, special_tokens=list(SPECIALS), unk_token="[UNK]", show_progress=False
        )
        learner.train_from_iterator(repeated(words), trainer)
        learnt = json.loads(learner.to_str())["model"]["vocab"]
        tokenizer = self._around(models.Unigram(in_order(learnt[len(SPECIALS) :]), UNK))
        tokenizer.add_special_tokens(list(SPECIALS))
        return tokenizer

    def _learnable(self, words: Counter[str]) -> dict[str, int]:
        """Return the words with frequent letters only, without the mark of the space."""
        plain = Counter({word.removeprefix(SPACE): count for word, count in words.items() if word != SPACE})
        limit = min(ALPHABET, (self.vocab_size - len(SPECIALS)) // 2)
        letters = set(most_frequent_letters(plain, limit))
        return {word: plain[word] for word in sorted(plain) if letters.issuperset(word)}

    def _around(self, model: models.Unigram) -> Tokenizer:
        tokenizer = Tokenizer(model)
        forms = [normalizers.NFKC(), *([normalizers.Lowercase()] if self.lowercase else [])]
        tokenizer.normalizer = normalizers.Sequence(forms)
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement=SPACE)
        tokenizer.decoder = decoders.Metaspace(replacement=SPACE)
        return tokenizer


def in_order(pieces: list[tuple[str, float]]) -> list[tuple[str, float]]:
    """Return the vocabulary: the special tokens, then the pieces from the most to the least likely.

    The library gives rare letters scores slightly above the lowest one, in the order of a hash map: here all of them
    get the lowest.
    """
    lowest = min(score for _, score in pieces)
    added = lowest + 1e-4 * (len(pieces) + 1)
    scores = {piece: lowest if len(piece) == 1 and score < added else score for piece, score in pieces}
    ordered = sorted((-round(score, DIGITS), piece) for piece, score in scores.items())
    return [*((name, 0.0) for name in SPECIALS), *((piece, -cost) for cost, piece in ordered)]
