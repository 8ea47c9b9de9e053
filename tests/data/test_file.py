"""A tokenizer from a file gives the tokens of transformers' fast tokenizer, and never a special token for text."""

import json
import random
import shutil
import unicodedata
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from bertlab.config.errors import InputError
from bertlab.data.documents import Document
from bertlab.data.encoding import encode, named
from bertlab.data.prepare import prepare
from bertlab.data.tokenizer import SPECIALS, UNK, Vocabulary, space_mark
from bertlab.data.tokenizer.file import FromFile
from bertlab.mask.whole_word import word_starts
from tests.command import exit_code

transformers = import_module("transformers")

LINES = 10_000
ROLES = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]", "mask_token": "[MASK]"}
ROBERTA = {"pad_token": "<pad>", "unk_token": "<unk>", "cls_token": "<s>", "sep_token": "</s>", "mask_token": "<mask>"}
LETTERS = [
    *("abcdefghijklmnopqrstuvwxyz" * 8 + "ABCDEFGHIJ" * 2 + "0123456789" * 2 + "éèüñçøßİıﬁ" + "e\u0301a\u0308"),
    *("中文字語言模型日本カナひら한국어" + "абвгд" + "αβγδς" + "ابتث" + "กขฃ" + "अआइ"),
    *(".,;:!?-()[]{}<>#@'\"/\\_|~`$%^&*+=" * 2),
    *(
        "😀",
        "👩‍👩‍👧",
        "🏳️‍🌈",
        "🇫🇷",
        "\u200b",
        "\u00ad",
        "\u0000",
        "\ufffd",
        "\u3000",
        "\u00a0",
        "．",
        "［",
        "］",
        "𝒜",
        "\U0010ffff",
    ),
]
NAMES = [
    *SPECIALS,
    *ROBERTA.values(),
    "[mask]",
    "<MASK>",
    "[ MASK ]",
    "<|endoftext|>",
    "[unused1]",
    "［MASK］",
    "▁",
    "Ġ",
    "##a",
]


def lines(number: int) -> list[str]:
    """Make lines of words of many scripts, some very long, with names of special tokens in and between them."""
    drawn = random.Random(11)

    def word() -> str:
        kind = drawn.random()
        if kind < 0.12:
            inside = "".join(drawn.choices(LETTERS, k=drawn.randint(0, 3)))
            return drawn.choice([inside, ""]) + drawn.choice(NAMES) + drawn.choice([inside, ""])
        if kind < 0.125:
            return "".join(drawn.choices(LETTERS[:200], k=drawn.randint(95, 3000)))
        return "".join(drawn.choices(LETTERS, k=drawn.randint(1, 12)))

    return [
        drawn.choice([" ", " ", "  ", "\t"]).join(word() for _ in range(drawn.randint(1, 8))) for _ in range(number)
    ]


TEXT = lines(LINES)
TAUGHT = [
    " ".join(word[:20] for word in line.split() if not any(name in word for name in NAMES[:-3])) for line in TEXT[:1200]
]


def bert(folder: Path, *, cased: bool = False) -> Any:
    """Write vocab.txt in the order of BERT's: [PAD], unused ones, [UNK], [CLS], [SEP], [MASK], then the others."""
    maker = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    maker.normalizer, maker.pre_tokenizer = (
        normalizers.BertNormalizer(lowercase=not cased),
        pre_tokenizers.BertPreTokenizer(),
    )
    maker.train_from_iterator(
        TAUGHT, trainers.WordPieceTrainer(vocab_size=900, special_tokens=list(SPECIALS), show_progress=False)
    )
    words = sorted(set(maker.get_vocab()) - set(SPECIALS))
    order = ["[PAD]", *(f"[unused{number}]" for number in range(9)), *SPECIALS[1:], *words]
    folder.mkdir()
    (folder / "vocab.txt").write_text("\n".join(order) + "\n", "utf-8")
    (folder / "tokenizer_config.json").write_text(json.dumps({"do_lower_case": not cased}))
    return transformers.BertTokenizerFast.from_pretrained(folder)


def saved(folder: Path, made: Tokenizer, roles: dict[str, str]) -> Any:
    made.enable_truncation(7)  # as published files have it, which must not cut our text
    made.enable_padding(length=9)
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=made, **roles)
    fast.save_pretrained(folder)
    return fast


def bert_json(folder: Path) -> Any:
    fast = bert(folder)
    fast.save_pretrained(folder)
    (folder / "vocab.txt").unlink(missing_ok=True)
    return fast


def roberta(folder: Path) -> Any:
    made = Tokenizer(models.BPE())
    made.pre_tokenizer, made.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    made.post_processor = processors.ByteLevel()
    first, last = ["<s>", "<pad>", "</s>", "<unk>"], AddedToken("<mask>", lstrip=True, special=True)
    made.train_from_iterator(
        TAUGHT,
        trainers.BpeTrainer(
            vocab_size=1200,
            special_tokens=first,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    made.add_special_tokens([last, "<|endoftext|>"])
    made.add_tokens([AddedToken("  ", normalized=False), AddedToken("   ", normalized=False)])  # not special, as OLMo's
    return saved(folder, made, ROBERTA)


def sentencepiece(folder: Path) -> Any:
    made = Tokenizer(models.Unigram())
    made.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace("  ", " ")])
    made.pre_tokenizer, made.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    made.train_from_iterator(
        TAUGHT,
        trainers.UnigramTrainer(
            vocab_size=1500,
            special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"],
            unk_token="<unk>",
            show_progress=False,
        ),
    )
    return saved(folder, made, ROBERTA)


def fallback(folder: Path) -> Any:
    """A BPE over letters with byte fallback, without [MASK] and [PAD]."""
    made = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    made.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    made.train_from_iterator(
        [line[:60] for line in TAUGHT],
        trainers.BpeTrainer(
            vocab_size=1500,
            special_tokens=["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))],
            limit_alphabet=60,
            show_progress=False,
        ),
    )
    own = json.loads(made.to_str())
    own["added_tokens"] = own["added_tokens"][:3]  # bytes are tokens of the model alone
    return saved(
        folder, Tokenizer.from_str(json.dumps(own)), {"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>"}
    )


def words(folder: Path) -> Any:
    made = Tokenizer(models.WordLevel(unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    made.train_from_iterator(
        TAUGHT, trainers.WordLevelTrainer(vocab_size=500, special_tokens=["[UNK]", "[MASK]"], show_progress=False)
    )
    return saved(folder, made, {"unk_token": "[UNK]", "mask_token": "[MASK]"})


MAKERS: dict[str, Callable[[Path], Any]] = {
    "bert": bert,
    "bert_cased": lambda folder: bert(folder, cased=True),
    "bert_json": bert_json,
    "roberta": roberta,
    "sentencepiece": sentencepiece,
    "fallback": fallback,
    "words": words,
}
MAKES_SPECIALS = {
    "sentencepiece",
    "fallback",
    "words",
}  # of text: transformers too, without split_special_tokens or with it


@pytest.fixture(scope="module", params=MAKERS)
def both(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Any, Path]]:
    """The name of a kind, transformers' tokenizer, and the folder with its files."""
    folder = tmp_path_factory.mktemp("tokenizers") / request.param
    return request.param, MAKERS[request.param](folder), folder


def read(folder: Path) -> Tokenizer:
    return FromFile(path=str(folder), lowercase=None).train(iter(()))


def test_the_special_tokens_come_first_and_the_others_keep_their_order(both: tuple[str, Any, Path]) -> None:
    _, theirs, folder = both
    ours = read(folder)
    order = sorted(ours.get_vocab(), key=ours.get_vocab().__getitem__)
    assert [ours.get_vocab()[token] for token in order] == list(range(len(order)))
    roles = [getattr(theirs, key) for key in ROLES]
    known = {"[CLS]": theirs.bos_token, "[SEP]": theirs.eos_token}
    assert order[:5] == [name or known.get(role) or role for role, name in zip(SPECIALS, roles, strict=True)]
    old = theirs.get_vocab()
    assert set(old) <= set(order)
    assert list(order[5:]) == sorted(set(old) - set(order[:5]), key=old.__getitem__)


@pytest.mark.parametrize("every", [10, pytest.param(1, marks=pytest.mark.slow)])
def test_every_line_has_the_tokens_of_transformers(both: tuple[str, Any, Path], every: int) -> None:
    name, theirs, folder = both
    ours = read(folder)
    tokens = sorted(ours.get_vocab(), key=ours.get_vocab().__getitem__)
    risky = named(ours)
    documents = [Document(str(number), line) for number, line in enumerate(TEXT[::every])]
    encoded = [pair for texts, ids in encode(ours, documents, "<u2") for pair in zip(texts, ids, strict=True)]
    assert len(encoded) > 0.95 * LINES / every
    expected = theirs([text for text, _ in encoded], add_special_tokens=False, split_special_tokens=True)["input_ids"]
    number_of = {number: theirs.convert_tokens_to_ids(token) for number, token in enumerate(tokens)}
    different = 0
    for (text, ids), other in zip(encoded, expected, strict=True):
        assert not (ids[ids != UNK] < len(SPECIALS)).any(), text
        if [number_of[number] for number in ids.tolist()] != other:
            different += 1
            assert name in MAKES_SPECIALS, text
            assert any(each in unicodedata.normalize("NFKC", text) for each in risky), text
    assert different < 0.6 * len(encoded)


def test_text_is_not_truncated_or_padded_by_the_tokenizer(both: tuple[str, Any, Path]) -> None:
    ours = read(both[2])
    assert ours.truncation is None
    assert ours.padding is None
    assert len(ours.encode("a b c d e f g h i j k l m", add_special_tokens=False).ids) > 9


def test_a_normaliser_makes_no_special_token(tmp_path: Path) -> None:
    made = Tokenizer(models.WordLevel({"<unk>": 0, "<mask>": 1, "a": 2}, unk_token="<unk>"))
    made.normalizer, made.pre_tokenizer = normalizers.NFKC(), pre_tokenizers.WhitespaceSplit()
    fast = saved(tmp_path / "made", made, {"unk_token": "<unk>", "mask_token": "<mask>"})
    ours = read(tmp_path / "made")
    text = "＜mask＞ a"  # NFKC makes <mask> of it
    assert fast.mask_token_id in fast(text, split_special_tokens=True)["input_ids"]
    ((_, (ids,)),) = encode(ours, [Document("", text)], "<u2")
    assert ids.tolist() == [UNK, ours.token_to_id("a")]


def test_words_of_a_vocabulary_with_spaces_go_up_to_the_next_space(tmp_path: Path) -> None:
    roberta(tmp_path / "made")
    ours = read(tmp_path / "made")
    tokens = sorted(ours.get_vocab(), key=ours.get_vocab().__getitem__)
    assert space_mark(ours) == "Ġ"
    ids = np.array([ours.encode("abcdefgh ijkl, mnop.", add_special_tokens=False).ids])
    starts = word_starts(ids, Vocabulary(tokens, "Ġ"))[0]
    assert starts.sum() == 3
    assert [tokens[number][0] for number in ids[0][starts][1:]] == ["Ġ", "Ġ"]


def test_the_corpus_is_another_with_another_file_and_the_same_wherever_the_file_is(
    tmp_path: Path, tiny_corpus: Any
) -> None:
    folders = [tmp_path / name for name in ("one", "two", "three")]
    bert(folders[0])
    shutil.copytree(folders[0], folders[1])
    bert(folders[2], cased=True)
    one, two, three = (prepare(tiny_corpus, FromFile(path=str(folder), lowercase=None)) for folder in folders)
    assert one.fingerprint == two.fingerprint != three.fingerprint
    assert one.text_bytes == three.text_bytes
    assert one.text_bytes["valid"] == sum(
        len(sentence.encode())
        for each in tiny_corpus.documents()
        if each.split == "valid"
        for sentence in each.text.replace(". ", ".\n").split("\n")
    )


def test_case_is_an_option_of_vocab_txt(tmp_path: Path) -> None:
    bert(tmp_path / "made")
    for lowercase, token in ((True, "a"), (False, "A")):
        ours = FromFile(path=str(tmp_path / "made" / "vocab.txt"), lowercase=lowercase).train(iter(()))
        assert ours.normalizer.normalize_str("A") == token


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("tokenizer.json", b"{", "EOF while parsing"),
        ("tokenizer.json", b"[]", ""),
        ("tokenizer.json", json.dumps({"model": {"type": "Nothing"}}).encode(), ""),
        ("vocab.txt", b"a\nb\n", "its lines must be different tokens, [UNK] among them"),
        ("vocab.txt", b"[UNK]\na\na\n", "its lines must be different tokens, [UNK] among them"),
        ("vocab.txt", b"\xff\xfe[UNK]", "codec can't decode"),
        ("vocab.txt", b"", "its lines must be different tokens"),
    ],
)
def test_a_file_without_a_tokenizer_is_refused(
    name: str,
    content: bytes,
    reason: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / name).write_bytes(content)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    assert exit_code("data=oracle", "tokenizer=file", "tokenizer.path=..", "tracking.offline=true") == 2
    line = capsys.readouterr().err
    assert line.startswith(
        f"bertlab: tokenizer.path must hold a tokenizer of the tokenizers library or BERT's vocab.txt, got ../{name} ("
    )
    assert reason in line
    assert line.endswith("; save it again with save_pretrained of a fast tokenizer\n")
    assert list((tmp_path / "work").iterdir()) == []


@pytest.mark.parametrize(
    ("path", "reason"), [("gone", "is not there"), (".", "holds neither"), ("README.md", "is of another kind")]
)
def test_a_path_without_a_tokenizer_is_refused_at_once(
    path: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("README.md").touch()
    assert exit_code("tokenizer=file", f"tokenizer.path={path}") == 2
    assert f"got {path}, which {reason}; correct the path" in capsys.readouterr().err
    assert [each.name for each in tmp_path.iterdir()] == ["README.md"]


def test_another_kind_of_setting_is_refused() -> None:
    with pytest.raises(InputError, match=r"^tokenizer\.path must be tokenizer\.json, .*, got None; name it"):
        FromFile(path=None, lowercase=None)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"^lowercase must be true or false, got 1"):
        FromFile(path="a", lowercase=1)  # type: ignore[arg-type]
