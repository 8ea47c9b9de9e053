"""WordPiece, trained on the corpus itself (Wu et al. 2016, arXiv:1609.08144, as used by Devlin et al. 2018).

Text is normalised as in BERT: in the uncased form lower case with accents stripped, in both split at white space, at
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

LONGEST_WORD = 100  # letters; longer ones become [UNK], as in the library, and teach nothing (in quadratic time)
ALPHABET = 1000  # letters at most; the rarer ones become [UNK]
TAUGHT = 1 << 22  # letters of all different words; the library takes a hundred bytes for each of them
MOST_CHUNKS, MOST_LETTERS = 1 << 17, 1 << 25  # of text that is counted together before it is split into words
REPEATED = 100  # times a word is given to the library at once, which takes several hundred bytes for each of them


class WordPiece:
    """Train WordPiece on sentences. The vocabulary is smaller than `vocab_size` where the corpus has no more words."""

    def __init__(self, *, vocab_size: int, lowercase: bool, strip_accents: bool | None = None) -> None:
        self.vocab_size = whole_number("vocab_size", vocab_size, 100)
        self.lowercase = true_or_false("lowercase", lowercase)
        self.strip_accents = None if strip_accents is None else true_or_false("strip_accents", strip_accents)

    def key(self) -> str:
        """Hash of all that decides the outcome of training, apart from the sentences."""
        return digest("wordpiece-4", self.vocab_size, self.lowercase, self.strip_accents)

    def train(self, sentences: Iterator[str]) -> Tokenizer:
        """Return the tokenizer learnt from `sentences`; equal sentences, equal tokenizer.

        The library numbers letters inside words ("##a") in the order of a hash map, which differs from run to run and
        decides ties between merges (huggingface/tokenizers issue 1794). It does not renumber tokens that it is given.
        Raises InputError where there is no word to learn from.
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
    """Count the words that `tokenizer` splits sentences into before it cuts them into pieces, but for the longest.

    Where there are very many different words, the rarest are left out.
    """
    words: Counter[str] = Counter()
    for chunks in count_chunks(sentences):
        for chunk, count in chunks.items():
            for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str(tokenizer.normalizer.normalize_str(chunk)):
                if len(word) <= LONGEST_WORD:
                    words[word] += count
    return most_frequent(words, TAUGHT)


def count_chunks(sentences: Iterator[str]) -> Iterator[Counter[str]]:
    """Yield counts of what stands between spaces, of so much text at a time that they take little memory."""
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
    """Return the most frequent words, about `limit` letters together; of equally frequent ones, those a checksum picks.

    So the choice is the same each time, and takes no more memory than it has to.
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
    """Return the `limit` letters that occur most often; of equally frequent ones, those that sort first."""
    letters: Counter[str] = Counter()
    for word, count in words.items():
        for letter in word:
            letters[letter] += count
    return sorted(letters, key=lambda letter: (-letters[letter], letter))[:limit]
