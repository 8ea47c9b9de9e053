"""Byte-level byte-pair encoding, trained on the corpus itself (Sennrich et al. 2016, arXiv:1508.07909).

It merges bytes, like Radford et al. 2019 and RoBERTa (Liu et al. 2019, arXiv:1907.11692): nothing becomes [UNK].
"""

from collections.abc import Iterator

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from bertlab.config.cache import digest
from bertlab.config.errors import true_or_false, whole_number
from bertlab.data.tokenizer.vocabulary import SPECIALS, spelt_apart

BYTES = 256


class ByteBpe:
    """Merge the most frequent pairs of bytes until there are `vocab_size` tokens, or nothing is left to merge.

    Every sentence gets a leading space, so a word has the same tokens at the start of a sentence and inside it.
    """

    def __init__(self, *, vocab_size: int, lowercase: bool) -> None:
        self.vocab_size = whole_number("vocab_size", vocab_size, len(SPECIALS) + BYTES)
        self.lowercase = true_or_false("lowercase", lowercase)

    def key(self) -> str:
        """Hash of the settings that decide the result of training."""
        return digest("byte-bpe-1", self.vocab_size, self.lowercase)

    def train(self, sentences: Iterator[str]) -> Tokenizer:
        """Return the tokenizer trained on `sentences`; equal sentences give an equal tokenizer."""
        tokenizer = Tokenizer(models.BPE())
        if self.lowercase:
            tokenizer.normalizer = normalizers.Lowercase()
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
        tokenizer.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=self.vocab_size,
            special_tokens=list(SPECIALS),
            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
            show_progress=False,
        )
        tokenizer.train_from_iterator(map(spelt_apart, sentences), trainer)
        return tokenizer
