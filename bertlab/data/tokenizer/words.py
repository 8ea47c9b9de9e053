"""Whole words, split at white space: one token per word, for generated languages whose words have no parts."""

from collections.abc import Iterator

from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from bertlab.config.cache import digest
from bertlab.config.errors import whole_number
from bertlab.data.tokenizer.vocabulary import SPECIALS, spelt_apart

LONGEST_WORD = 100  # letters, as in WordPiece; longer strings are no words


class Words:
    """Take the most frequent `vocab_size` words, special tokens included; others, and too long ones, become [UNK]."""

    def __init__(self, *, vocab_size: int) -> None:
        self.vocab_size = whole_number("vocab_size", vocab_size, len(SPECIALS) + 1)

    def key(self) -> str:
        """Hash of the settings that decide the result of training."""
        return digest("words-2", self.vocab_size)

    def train(self, sentences: Iterator[str]) -> Tokenizer:
        """Return the tokenizer trained on `sentences`."""
        tokenizer = Tokenizer(models.WordLevel(unk_token="[UNK]"))
        tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
        trainer = trainers.WordLevelTrainer(
            vocab_size=self.vocab_size, special_tokens=list(SPECIALS), show_progress=False
        )
        tokenizer.train_from_iterator(map(_without_longest, map(spelt_apart, sentences)), trainer)
        return tokenizer


def _without_longest(sentence: str) -> str:
    return " ".join(word for word in sentence.split() if len(word) <= LONGEST_WORD)
