"""WordPiece, trained on the corpus itself (Wu et al. 2016, arXiv:1609.08144, as used by Devlin et al. 2018).

Text is normalised as in BERT: the uncased form is lower case without accents; both forms are split at white space, at
punctuation and around every Chinese character.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import chain
from zlib import crc32

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from bertlab.config.cache import digest
from bertlab.config.errors import InputError, true_or_false, whole_number
from bertlab.data.tokenizer.vocabulary import SPECIALS

LONGEST_WORD = 100  # letters; longer words become [UNK], as in the library, and are not trained on (quadratic time)
ALPHABET = 1000  # most letters; rarer ones become [UNK]
TAUGHT = 1 << 22  # letters of all different words; the library needs a hundred bytes for each
MOST_CHUNKS, MOST_LETTERS = 1 << 17, 1 << 25  # amount of text whose chunks are counted before it is split into words
REPEATED = 100  # repetitions of a word given to the library at once; each takes several hundred bytes


class WordPiece:
    """Train WordPiece on sentences. The vocabulary is smaller than `vocab_size` if the corpus has too few words."""

    def __init__(self, *, vocab_size: int, lowercase: bool, strip_accents: bool | None = None) -> None:
        self.vocab_size = whole_number("vocab_size", vocab_size, 100)
        self.lowercase = true_or_false("lowercase", lowercase)
        self.strip_accents = None if strip_accents is None else true_or_false("strip_accents", strip_accents)

    def key(self) -> str:
        """Hash of the settings that decide the result of training."""
        return digest("wordpiece-4", self.vocab_size, self.lowercase, self.strip_accents)

    def train(self, sentences: Iterator[str]) -> Tokenizer:
        """Return the tokenizer trained on `sentences`; equal sentences give an equal tokenizer.

        The library numbers letters inside words ("##a") in the order of a hash map. This differs between runs and
        decides ties between merges (huggingface/tokenizers issue 1794). It does not renumber tokens that it is given.
        Raises InputError if there is no word to train on.
        """
        learner = self._around(models.WordPiece(unk_token="[UNK]"))
        words = count_words(learner, sentences)
        if not words:
            raise InputError(
                f"tokenizer=wordpiece must find words of at most {LONGEST_WORD} letters in the training text, got "
                "none; put spaces between the words of the text, or choose another tokenizer"
            )
        letters = most_frequent_letters(words, min(ALPHABET, (self.vocab_size - len(SPECIALS)) // 2))
        inside = sorted(set(chain.from_iterable(word[1:] for word in words)) & set(letters))
        trainer = trainers.WordPieceTrainer(
            vocab_size=self.vocab_size,
            special_tokens=[*SPECIALS, *(f"##{letter}" for letter in inside)],
            initial_alphabet=letters,
            limit_alphabet=len(letters),
            show_progress=False,
        )
        learner.train_from_iterator(repeated(words), trainer)
        tokenizer = self._around(
            models.WordPiece(learner.get_vocab(), unk_token="[UNK]", max_input_chars_per_word=LONGEST_WORD)
        )
        tokenizer.add_special_tokens(list(SPECIALS))
        return tokenizer

    def _around(self, model: models.WordPiece) -> Tokenizer:
        tokenizer = Tokenizer(model)
        tokenizer.normalizer = normalizers.BertNormalizer(lowercase=self.lowercase, strip_accents=self.strip_accents)
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        tokenizer.decoder = decoders.WordPiece()
        return tokenizer


def count_words(tokenizer: Tokenizer, sentences: Iterator[str]) -> Counter[str]:
    """Count the words into which `tokenizer` splits sentences, before it makes pieces; without the longest words.

    If there are very many different words, the rarest are left out.
    """
    words: Counter[str] = Counter()
    for chunks in count_chunks(sentences):
        for chunk, count in chunks.items():
            for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str(tokenizer.normalizer.normalize_str(chunk)):
                if len(word) <= LONGEST_WORD:
                    words[word] += count
    return most_frequent(words, TAUGHT)


def count_chunks(sentences: Iterator[str]) -> Iterator[Counter[str]]:
    """Yield counts of the strings between spaces, for limited amounts of text, to save memory."""
    chunks: Counter[str] = Counter()
    letters = 0
    for sentence in sentences:
        chunks.update(sentence.split())
        letters += len(sentence)
        if len(chunks) > MOST_CHUNKS or letters > MOST_LETTERS:
            yield chunks
            chunks, letters = Counter(), 0
    yield chunks


def most_frequent(words: Counter[str], limit: int) -> Counter[str]:
    """Return the most frequent words, about `limit` letters in total; a checksum decides between equally frequent ones.

    So the choice is always the same, and uses no more memory than necessary.
    """
    if sum(map(len, words)) <= limit:
        return words
    letters: Counter[int] = Counter()
    for word, count in words.items():
        letters[count] += len(word)
    left = limit
    for rarest in sorted(letters, reverse=True):
        if letters[rarest] > left:
            break
        left -= letters[rarest]
    below = left / letters[rarest] * 2**32
    return Counter(
        {
            word: count
            for word, count in words.items()
            if count > rarest or (count == rarest and crc32(word.encode()) < below)
        }
    )


def repeated(words: Mapping[str, int]) -> Iterator[str]:
    """Yield each word as often as it occurs, a few at a time."""
    for word, count in words.items():
        for start in range(0, count, REPEATED):
            yield " ".join([word] * min(count - start, REPEATED))


def most_frequent_letters(words: Mapping[str, int], limit: int) -> list[str]:
    """Return the `limit` most frequent letters; alphabetical order decides between equally frequent ones."""
    letters: Counter[str] = Counter()
    for word, count in words.items():
        for letter in word:
            letters[letter] += count
    return sorted(letters, key=lambda letter: (-letters[letter], letter))[:limit]
