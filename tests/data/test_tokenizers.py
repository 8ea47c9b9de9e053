"""Properties of every tokenizer of conf/tokenizer, and of single ones."""

import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tokenizers import Tokenizer

from bertlab.config.compose import CONF
from bertlab.config.errors import InputError
from bertlab.data.documents import Corpus
from bertlab.data.sentences import sentences
from bertlab.data.tokenizer import CLS, MASK, PAD, SEP, SPECIALS, UNK, Vocabulary
from bertlab.data.tokenizer.wordpiece import WordPiece, count_chunks, most_frequent, repeated
from bertlab.data.tokenizer.words import Words

NAMES = sorted(path.stem for path in (CONF / "tokenizer").glob("*.yaml"))
TRAINED = [name for name in NAMES if name != "file"]
FEWEST = {"byte_bpe": 261}  # tokens; the bytes are among them

# 1,400 letters, each as frequent as any other, which is more than an alphabet may hold, and many pieces that tie
TIES = ["".join(chr(0xAC00 + start + place) for place in (0, 1, 2, 1)) for start in range(0, 1400, 2)]


def wordpiece(*texts: str, vocab_size: int = 200, lowercase: bool = True) -> Tokenizer:
    return WordPiece(vocab_size=vocab_size, lowercase=lowercase).train(iter(texts))


@pytest.fixture(scope="session")
def texts(tiny_corpus: Corpus) -> list[str]:
    return [sentence for document in tiny_corpus.documents() for sentence in sentences(document.text)]


@pytest.fixture(scope="session", params=NAMES)
def part(
    request: pytest.FixtureRequest, build_part: Callable[..., Any], texts: list[str], tmp_path_factory: Any
) -> Any:
    """Every option; the file of `file` contains the training text of the tests."""
    if request.param != "file":
        return build_part(f"tokenizer={request.param}")
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    wordpiece(*texts, *TIES).save(str(path))
    return build_part("tokenizer=file", f"tokenizer.path={path}")


@pytest.fixture(scope="session", params=TRAINED)
def trainable(request: pytest.FixtureRequest, build_part: Callable[..., Any]) -> Any:
    return build_part(f"tokenizer={request.param}")


def test_the_special_tokens_are_those_of_bert_in_a_fixed_order() -> None:
    assert SPECIALS == ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
    assert [SPECIALS[id_] for id_ in (PAD, UNK, CLS, SEP, MASK)] == list(SPECIALS)
    vocabulary = Vocabulary([*SPECIALS, "a", "b"])
    assert (vocabulary.size, vocabulary.first_real) == (7, 5)


def test_every_tokenizer_has_the_special_tokens_first_and_no_gap(part: Any, texts: list[str]) -> None:
    trained = part.train(iter(texts))
    ids = trained.get_vocab()
    assert [ids[token] for token in SPECIALS] == [0, 1, 2, 3, 4]
    assert sorted(ids.values()) == list(range(len(ids)))
    assert len(ids) == trained.get_vocab_size() > len(SPECIALS) + 20


def test_every_tokenizer_knows_its_own_training_text(part: Any, texts: list[str]) -> None:
    trained = part.train(iter(texts))
    for text in texts[:50]:
        ids = trained.encode(text, add_special_tokens=False).ids
        assert ids
        assert min(ids) >= len(SPECIALS)


def test_every_tokenizer_reads_its_sentences_once_as_a_stream(trainable: Any, texts: list[str]) -> None:
    def stream() -> Iterator[str]:
        yield from texts

    once = stream()
    assert trainable.train(once).to_str() == trainable.train(iter(texts)).to_str()
    assert next(once, None) is None


def test_every_tokenizer_is_the_same_each_time_it_is_trained(part: Any, texts: list[str]) -> None:
    for given in (texts, TIES):
        first = part.train(iter(given)).to_str()
        assert all(part.train(iter(given)).to_str() == first for _ in range(3))


def test_every_vocabulary_keeps_its_bound(trainable: Any, texts: list[str]) -> None:
    size = FEWEST.get(type(trainable).__module__.rpartition(".")[2], 101)
    small = type(trainable)(**(vars(trainable) | {"vocab_size": size}))
    many_letters = [chr(letter) + chr(letter + 1) for letter in range(0x3B1, 0x3C9)] * 3
    for given in (texts, TIES, texts + many_letters):
        assert small.train(iter(given)).get_vocab_size() <= size
    assert small.train(iter(TIES + texts)).get_vocab_size() == size


def test_every_key_is_of_the_settings_alone(part: Any) -> None:
    assert part.key() == type(part)(**vars(part)).key()


def test_every_key_is_another(build_part: Callable[..., Any]) -> None:
    sizes = ((), ("tokenizer.vocab_size=300",))
    assert len({build_part(f"tokenizer={name}", *size).key() for name in TRAINED for size in sizes}) == 2 * len(TRAINED)


def test_every_vocab_size_is_checked(trainable: Any) -> None:
    for value in (5, -1, 4096.5, "many"):
        with pytest.raises(InputError) as caught:
            type(trainable)(**(vars(trainable) | {"vocab_size": value}))
        start = "vocab_size must be a whole number of at least "
        assert str(caught.value).startswith(start)
        assert f", got {value}; choose for example " in str(caught.value)


def test_wordpiece_is_the_same_in_another_process() -> None:
    """Ties are broken by the order of a hash map, which differs between processes, unless something is done."""
    program = (
        "from bertlab.data.tokenizer.wordpiece import WordPiece\n"
        "texts = ['abcd bcda cdab dabc', 'acbd bdac', 'ab ba cd dc 12 21 1.2']\n"
        "print(WordPiece(vocab_size=100, lowercase=True).train(iter(texts)).to_str())"
    )
    run = [subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) for _ in range(2)]
    first, second = (process.communicate(timeout=60)[0] for process in run)
    assert first == second
    assert b"##cd" in first


def test_wordpiece_is_pinned() -> None:
    """Fails if the same sentences give another tokenizer, also because of the library: then change its key."""
    trained = wordpiece("hug pug pun bun hugs", "hug hugs pug hug", vocab_size=100)
    tokens = sorted(trained.get_vocab(), key=trained.get_vocab().__getitem__)
    assert tokens[5:] == [
        "##g",
        "##n",
        "##s",
        "##u",
        "b",
        "g",
        "h",
        "n",
        "p",
        "s",
        "u",
        "##ug",
        "hug",
        "##un",
        "pug",
        "hugs",
        "bun",
        "pun",
    ]
    assert trained.encode("hugs bug hum").tokens == ["hugs", "b", "##ug", "[UNK]"]


def test_wordpiece_lower_cases_and_strips_accents_where_asked() -> None:
    lower = wordpiece("Élan élan ÉLAN elan")
    assert lower.encode("Élan").tokens == ["elan"]
    assert not [token for token in lower.get_vocab() if token not in SPECIALS and token != token.lower()]
    cased = wordpiece("Élan élan ÉLAN elan", lowercase=False)
    assert cased.encode("Élan").tokens == ["Élan"]
    assert cased.encode("élan").tokens == ["élan"]


def test_accents_are_an_option_apart_from_case() -> None:
    kept = WordPiece(vocab_size=200, lowercase=True, strip_accents=False).train(iter(["Élan élan ÉLAN elan"]))
    assert kept.encode("ÉLAN").tokens == ["élan"]
    dropped = WordPiece(vocab_size=200, lowercase=False, strip_accents=True).train(iter(["Élan Élan elan"]))
    assert dropped.encode("Élan").tokens == ["Elan"]
    assert wordpiece("Élan").to_str() == WordPiece(vocab_size=200, lowercase=True).train(iter(["Élan"])).to_str()
    keys = [WordPiece(vocab_size=200, lowercase=True, strip_accents=value).key() for value in (None, True, False)]
    assert len(set(keys)) == 3


@pytest.mark.parametrize(("key", "values"), [("lowercase", ("yes", None, 1)), ("strip_accents", ("no", 0))])
def test_a_switch_of_wordpiece_must_be_one(key: str, values: tuple[Any, ...]) -> None:
    for value in values:
        with pytest.raises(InputError, match=rf"^{key} must be true or false, got {value}; choose one"):
            WordPiece(**{"vocab_size": 200, "lowercase": True, key: value})


def test_wordpiece_refuses_text_of_words_that_are_too_long() -> None:
    with pytest.raises(InputError, match=r"must find words of at most 100 letters in the training text, got none; put"):
        wordpiece("x" * 101, "")


def test_a_frequent_word_counts_as_often_as_it_occurs() -> None:
    assert list(repeated({"a": 1, "b": 230})) == ["a", *(" ".join("b" * count) for count in (100, 100, 30))]


def test_wordpiece_takes_each_chinese_character_for_a_word() -> None:
    assert wordpiece("中文字 中", "文").encode("中文字").tokens == ["中", "文", "字"]


def test_names_of_special_tokens_shift_no_id(part: Any, texts: list[str]) -> None:
    named = [f"{text} {' '.join(SPECIALS)} {' '.join(SPECIALS).lower()}" for text in texts]
    trained = part.train(iter(named))
    ids = trained.get_vocab()
    assert [ids[token] for token in SPECIALS] == [0, 1, 2, 3, 4]
    assert sorted(ids.values()) == list(range(len(ids)))


def test_wordpiece_splits_at_punctuation_and_marks_what_continues_a_word() -> None:
    trained = wordpiece(*["low lower newer new"] * 3, vocab_size=100)
    assert trained.encode("low, new.").tokens == ["low", "[UNK]", "new", "[UNK]"]
    pieces = trained.encode("lowewer").tokens
    assert pieces[0] == "low"
    assert all(piece.startswith("##") for piece in pieces[1:])
    assert trained.decode(trained.encode("lowewer new").ids) == "lowewer new"


def test_wordpiece_holds_no_piece_that_its_text_does_not() -> None:
    tokens = set(wordpiece("a-b cd", "a-b").get_vocab())
    assert tokens - set(SPECIALS) == {"a", "-", "b", "c", "d", "##d", "cd"}


def test_wordpiece_marks_its_special_tokens_as_special() -> None:
    trained = wordpiece("some text")
    assert trained.decode([CLS, *trained.encode("text").ids, SEP, PAD]) == "text"


def test_words_keeps_the_most_frequent_and_breaks_ties_by_spelling() -> None:
    trained = Words(vocab_size=8).train(iter(["b a c. A d", "d a"]))
    assert sorted(trained.get_vocab(), key=trained.get_vocab().__getitem__)[5:] == ["a", "d", "A"]
    assert trained.encode("d  a\nA b c.").tokens == ["d", "a", "A", "[UNK]", "[UNK]"]


def test_of_very_many_words_the_most_frequent_teach() -> None:
    """The choice among equally frequent ones is the same each time and not alphabetical."""
    words = Counter({"often": 9, "twice": 2, **{f"{number:05d}": 1 for number in range(10_000)}})
    assert most_frequent(words, 50_010) == words
    kept = most_frequent(words, 5_010)
    assert {"often", "twice"} <= kept.keys()
    assert 0.08 < (len(kept) - 2) / 10_000 < 0.12
    assert 0.3 < sum(word >= "05000" for word in kept if word.isdigit()) / len(kept) < 0.7
    assert kept == most_frequent(Counter(dict(reversed(words.items()))), 5_010)
    assert all(words[word] == count for word, count in kept.items())
    assert set(most_frequent(Counter({"a": 3, "b": 2, "c": 2}), 1)) == {"a"}


def test_text_is_counted_a_part_at_a_time_with_the_same_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    sentences = [f"word{number} the end" for number in range(50)]
    whole = list(count_chunks(iter(sentences)))
    assert len(whole) == 1
    for name in ("MOST_CHUNKS", "MOST_LETTERS"):
        monkeypatch.setattr(f"bertlab.data.tokenizer.wordpiece.{name}", 7)
        parts = list(count_chunks(iter(sentences)))
        assert len(parts) > 5
        assert sum(parts, Counter()) == whole[0]
        monkeypatch.undo()


def test_a_very_long_word_is_none_of_the_words() -> None:
    trained = Words(vocab_size=100).train(iter(["a b", "x" * 101, "y" * 100]))
    assert trained.encode(f"a {'x' * 101} {'y' * 100}").tokens == ["a", "[UNK]", "y" * 100]
