"""WordPiece, trained on the corpus itself (Wu et al. 2016, arXiv:1609.08144, as used by Devlin et al. 2018).

Text is normalised as in BERT uncased: lower case, accents stripped, split at white space and punctuation.
"""

from collections.abc import Iterator

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from bertlab.cache import digest
from bertlab.errors import whole_number
from bertlab.tokenizer.vocabulary import SPECIALS


class WordPiece:
    """Train WordPiece on sentences. The vocabulary is smaller than `vocab_size` where the corpus has no more words."""

    def __init__(self, *, vocab_size: int, lowercase: bool) -> None:
        self.vocab_size = whole_number("tokenizer.vocab_size", vocab_size, 100)
        self.lowercase = bool(lowercase)

    def key(self) -> str:
        """Hash of all that decides the outcome of training, apart from the sentences."""
        return digest("wordpiece-1", self.vocab_size, self.lowercase)

    def train(self, sentences: Iterator[str]) -> Tokenizer:
        """Return the tokenizer learnt from `sentences`."""
        tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
        tokenizer.normalizer = normalizers.BertNormalizer(lowercase=self.lowercase)
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        tokenizer.decoder = decoders.WordPiece()
        trainer = trainers.WordPieceTrainer(
            vocab_size=self.vocab_size, special_tokens=list(SPECIALS), show_progress=False, limit_alphabet=1000
        )
        tokenizer.train_from_iterator(sentences, trainer)
        return tokenizer
