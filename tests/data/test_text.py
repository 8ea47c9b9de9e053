import gzip
import json
import lzma
import os
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hydra.utils import instantiate
from omegaconf import MissingMandatoryValue, OmegaConf

from bertlab.config.errors import InputError, at
from bertlab.data import text
from bertlab.data.documents import Corpus, Document, lot
from bertlab.data.text import Text

CONF = Path(__file__).parents[2] / "conf" / "data"
COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": gzip.compress,
    ".xz": lzma.compress,
    ".zst": lambda content: pa.Codec("zstd").compress(content, asbytes=True),
}
TWO = b"One line\nand its end.\n\nAnother one.\n"
ROWS = [
    {"text": "One.\n\nStill one.", "split": "train", "id": "a"},
    {"text": "Two.", "split": "valid", "id": 7},
    {"text": "Three.", "split": None, "id": None},
]
DOCUMENTS = [Document("a", "One.\n\nStill one.", "train"), Document("7", "Two.", "valid")]


def read(*files: Path | str) -> list[Document]:
    return list(Text([str(file) for file in files]).documents())


def write(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(COMPRESS[path.suffix if path.suffix in COMPRESS else ""](content))
    return path


def jsonl(*records: Any) -> bytes:
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


def parquet(table: dict[str, Any]) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(table), sink)
    return bytes(sink.getvalue())


@pytest.mark.parametrize("suffix", COMPRESS)
def test_a_text_file_has_a_document_between_blank_lines(tmp_path: Path, suffix: str) -> None:
    path = write(tmp_path / f"a.txt{suffix}", b"\n One line \nand its end.\n\n \t\n\nAnother one.")
    name = path.name
    assert read(path) == [Document(f"{name}:2", "One line and its end."), Document(f"{name}:7", "Another one.")]


@pytest.mark.parametrize("suffix", COMPRESS)
def test_json_lines_may_name_split_and_id(tmp_path: Path, suffix: str) -> None:
    path = write(tmp_path / f"a.jsonl{suffix}", b"\n" + jsonl(*ROWS))
    assert read(path) == [*DOCUMENTS, Document(f"{path.name}:4", "Three.")]


@pytest.mark.parametrize("suffix", COMPRESS)
def test_parquet_columns_are_the_same_fields(tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "BATCH", 2)
    columns = {field: [row[field] for row in ROWS] for field in ("text", "split")} | {
        "id": ["a", "7", None],
        "other": [1, 2, 3],
    }
    path = write(tmp_path / f"a.parquet{suffix}", parquet(columns))
    assert read(path) == [*DOCUMENTS, Document(f"{path.name}:3", "Three.")]
    assert read(write(tmp_path / f"b.parquet{suffix}", parquet({"text": ["One."]}))) == [
        Document(f"b.parquet{suffix}:1", "One.")
    ]


def test_a_mark_of_byte_order_and_windows_line_ends_are_no_text(tmp_path: Path) -> None:
    assert read(write(tmp_path / "a.txt", b"\xef\xbb\xbfOne\r\ntwo.\r\n\r\nThree.\r\n")) == [
        Document("a.txt:1", "One two."),
        Document("a.txt:4", "Three."),
    ]
    assert read(write(tmp_path / "a.jsonl", jsonl({"text": "One.\r\n\r\nTwo."})))[0].text == "One.\n\nTwo."


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_lines_end_as_on_any_system(tmp_path: Path, end: bytes) -> None:
    texts = write(tmp_path / "a.txt", "Öne\ntwo.\n \n\nThr\u2028ee.\n".encode().replace(b"\n", end))
    assert read(texts) == [Document("a.txt:1", "Öne two."), Document("a.txt:5", "Thr\u2028ee.")]
    records = write(tmp_path / "a.jsonl", (b"\n" + jsonl(*ROWS)).replace(b"\n", end))
    assert read(records) == [*DOCUMENTS, Document("a.jsonl:4", "Three.")]
    inside = jsonl({"text": f"One.{end.decode() * 2}Two."})
    assert read(write(tmp_path / "b.jsonl", inside))[0].text == "One.\n\nTwo."


def test_who_is_held_out_depends_on_the_text_and_not_on_the_file(tmp_path: Path) -> None:
    """Not by its name, its format or its place there; a document with an id uses that."""
    texts = [f"Number {number} of many." for number in range(200)]
    files = [
        write(tmp_path / "a.txt", "\n\n".join(texts).encode()),
        write(tmp_path / "b.txt.gz", "\r\n\r\n\r\n".join(texts[::-1]).encode()),
        write(tmp_path / "c.jsonl", jsonl(*({"text": text} for text in texts))),
        write(tmp_path / "d.parquet", parquet({"text": texts})),
    ]
    held_out = [{one.text for one in read(file) if lot(one) <= 0.05} for file in files]
    assert 3 < len(held_out[0]) < 20
    assert all(texts == held_out[0] for texts in held_out)
    named = read(write(tmp_path / "e.jsonl", jsonl(*({"text": text, "id": text[7:10]} for text in texts[100:]))))
    assert [lot(one) for one in named] == [lot(Document(one.id, "")) for one in named]


def test_the_column_of_the_text_may_be_named(tmp_path: Path) -> None:
    rows = {"body": ["One.", "Two."], "text": ["Not one.", "Not two."], "id": ["a", "b"]}
    files = [
        write(tmp_path / "a.parquet", parquet(rows)),
        write(tmp_path / "a.jsonl", jsonl(*({name: rows[name][row] for name in rows} for row in (0, 1)))),
    ]
    keys = set()
    for file in files:
        corpus = Text(str(file), column="body")
        assert list(corpus.documents()) == [Document("a", "One."), Document("b", "Two.")]
        keys |= {corpus.key(), Text(str(file)).key()}
    assert len(keys) == 4
    with pytest.raises(InputError, match=r"`title` must be a string, got None, and the fields 'body, text, id'; add"):
        list(Text(str(files[1]), column="title").documents())
    with pytest.raises(InputError, match=r"must have a column `title`, got body, text, id; .* data\.column"):
        list(Text(str(files[0]), column="title").documents())
    with pytest.raises(InputError, match=r"data\.column must be text where a file has no fields, got 'body'"):
        list(Text(str(write(tmp_path / "a.txt", TWO)), column="body").documents())
    for column in ("", 3, ["text"]):
        with pytest.raises(InputError, match=r"data\.column must be null or the name of the text's field, got"):
            Text("a.jsonl", column=column)  # type: ignore[arg-type]


def test_a_document_of_many_short_lines_takes_little_memory(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", b"1\n" * 50_000)
    tracemalloc.start()
    (document,) = read(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert document.text == " ".join("1" * 50_000)
    assert peak < 20 * len(document.text) + 2**21, "and what is read at once"


def test_globs_are_sorted_and_a_file_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("c.txt", "b/d.txt", "b/[1].txt", "a.txt"):
        write(tmp_path / name, name.encode())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert [document.text for document in read("~/c.txt", "**/*.txt", "./a.txt", "b/[1].txt")] == [
        "c.txt",
        "a.txt",
        "b/[1].txt",
        "b/d.txt",
    ]


def test_files_of_one_name_get_different_ids(tmp_path: Path) -> None:
    paths = [write(tmp_path / folder / "a.txt", b"One.") for folder in "xy"]
    assert [document.id for document in read(*paths)] == ["a.txt:1", "a.txt#2:1"]


def test_the_key_follows_names_and_bytes_but_not_folder_or_time(tmp_path: Path) -> None:
    path = write(tmp_path / "x" / "a.txt", TWO)
    key = Text(str(path)).key()
    assert Text(str(write(tmp_path / "y" / "a.txt", TWO))).key() == key
    os.utime(path, (0, 0))
    assert Text([str(path)]).key() == key
    assert Text(str(write(tmp_path / "b.txt", TWO))).key() != key
    assert Text(str(write(path, TWO + b"!"))).key() != key


def test_facts_name_the_files_without_their_folders(tmp_path: Path) -> None:
    corpus: Corpus = Text([str(write(tmp_path / f"{number}.txt", TWO)) for number in range(7)])
    facts = corpus.facts()
    assert facts["source"] == "the user's files: 0.txt, 1.txt, 2.txt, 3.txt, 4.txt and 2 more"
    assert str(tmp_path) not in str(facts)


def test_facts_count_the_sources_and_licences_that_documents_name(tmp_path: Path) -> None:
    about = [{"source": "wiki", "license": "CC BY-SA 3.0"}, {"source": "books", "license": "CC0"}, {"license": "CC0"}]
    lines = "\n".join(json.dumps({"text": "One.", "license": 7, **one}) for one in [*about, {}])
    facts = Text(str(write(tmp_path / "a.jsonl", lines.encode()))).facts()
    assert facts["source"] == "the user's files: a.jsonl, documents of wiki (1), books (1)"
    assert facts["licence"] == "CC0 (2), CC BY-SA 3.0 (1)"


BAD_CONTENT = {
    "nothing": ("a.txt", b"", "must hold at least one document, got none"),
    "blank lines": ("a.txt", b"\n \n", "must hold at least one document, got none"),
    "no line": ("a.jsonl", b"", "must hold at least one document, got none"),
    "no row": ("a.parquet", parquet({"text": []}), "must hold at least one document, got none"),
    "NUL": ("a.txt", b"One.\n\nT\0wo.", "line 3: must be UTF-8 text, got a NUL byte"),
    "Latin-1": ("a.txt", "One.\n\nZwölf.".encode("latin-1"), "line 3: must be UTF-8 text, got .*0xf6"),
    "not JSON": (
        "a.jsonl",
        b'{"text": "One."}\n{"text": \n',
        "line 2: must be one JSON object, got an error: Expecting",
    ),
    "deep JSON": ("a.jsonl", b"[" * 100_000, "line 1: must be one JSON object, got an error: "),
    "a list": ("a.jsonl", b'["One."]\n', r'line 1: must be a JSON object like .*, got \["One."\]'),
    "no text": ("a.jsonl", jsonl({"title": "One."}), "line 1: `text` must be a string, got None"),
    "a number": ("a.jsonl", jsonl({"text": 1}), "line 1: `text` must be a string, got 1"),
    "half a character": ("a.jsonl", b'{"text": "\\ud800"}', "line 1: `text` must be whole characters"),
    "split": (
        "a.jsonl",
        jsonl({"text": "One.", "split": "dev"}),
        "line 1: `split` must be train, valid, test or absent, got 'dev'",
    ),
    "id": ("a.jsonl", jsonl({"text": "One.", "id": [1]}), r"line 1: `id` must be a string or an integer, got \[1\]"),
    "a truth for an id": ("a.jsonl", jsonl({"text": "One.", "id": True}), "line 1: `id` must be .*, got True"),
    "a field twice": (
        "a.jsonl",
        b'{"text": "One.", "text": "Two."}',
        "line 1: must be one JSON object, got an error: the field 'text' is there more than once",
    ),
    "many digits": ("a.jsonl", b'{"text": "One.", "id": ' + b"9" * 5000 + b"}", "got an error: Exceeds the limit"),
    "a long value": ("a.jsonl", jsonl({"text": ["x" * 999]}), r"`text` must be a string, got \['x{38}\.\.\.; add"),
    "same id": ("a.jsonl", jsonl(ROWS[0], ROWS[0]), "an id must occur once, got 'a' again"),
    "column": ("a.parquet", parquet({"body": ["One."], "n": [1]}), "must have a column `text`, got body, n"),
    "row": ("a.parquet", parquet({"text": ["One.", None]}), "row 2: `text` must be a string, got None"),
    "binary": ("a.parquet", parquet({"text": [b"One."]}), "row 1: `text` must be a string, got b'One.'"),
    "not Parquet": ("a.parquet", TWO, "must be readable and complete, got .*magic bytes"),
    "no Parquet": ("a.parquet", b"", "must be readable and complete, got .*0 bytes"),
}


@pytest.mark.parametrize(("name", "content", "message"), BAD_CONTENT.values(), ids=BAD_CONTENT.keys())
@pytest.mark.parametrize("suffix", COMPRESS)
def test_bad_content_is_one_line_that_names_file_and_place(
    tmp_path: Path, name: str, content: bytes, message: str, suffix: str
) -> None:
    path = write(tmp_path / f"{name}{suffix}", content)
    with pytest.raises(InputError, match=message) as caught:
        read(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("suffix", [".gz", ".xz", ".zst"])
def test_a_compressed_file_without_its_suffix_is_known(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(COMPRESS[suffix](TWO))
    with pytest.raises(
        InputError, match=r"a\.txt must end as it is compressed \(\.gz, \.xz, \.zst\), got none; rename it"
    ):
        read(path)


@pytest.mark.parametrize("suffix", [".gz", ".xz", ".zst"])
@pytest.mark.parametrize("name", ["a.txt", "a.parquet"])
def test_a_damaged_compressed_file_is_refused(tmp_path: Path, suffix: str, name: str) -> None:
    whole = COMPRESS[suffix](TWO * 9_000 if name == "a.txt" else parquet({"text": ["One."] * 1_000}))
    path = tmp_path / f"{name}{suffix}"
    flipped = whole[:-6] + bytes([whole[-6] ^ 1]) + whole[-5:]  # in a checksum, which .zst need not have
    trailing = whole + b"something else"  # which .gz and .xz may have
    for content in (TWO, whole[: len(whole) // 2], trailing if suffix == ".zst" else flipped):
        path.write_bytes(content)
        with pytest.raises(InputError, match=rf"must be readable and complete, got .*{name}\{suffix} \(.+\); check"):
            read(path)


def test_files_that_are_not_there_or_not_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "folder.txt").mkdir()
    (tmp_path / "loop.txt").symlink_to("loop.txt")
    write(tmp_path / "a.docx", TWO)
    for name in ("", "/", ".", "~", "loop.txt", "l*.txt", "x" * 5000, "a\0b", "\ud800"):
        with pytest.raises(InputError, match=r"^data\.files must "):
            read(tmp_path / name if name.endswith(".txt") else name)
    for name, message in {
        "none.txt": r"got '.*none\.txt', which matches none",
        "*.jsonl": r"got '.*\*\.jsonl', which matches none",
        "folder.txt": "must name files, got the folder .*folder.txt",
        "a.docx": r"must end in \.txt, \.jsonl, \.parquet, each plain or with \.gz, \.xz, \.zst; got .*a\.docx",
    }.items():
        for use in (Text.key, lambda corpus: list(corpus.documents())):
            with pytest.raises(InputError, match=message):
                use(Text(str(tmp_path / name)))
    with pytest.raises(InputError, match=r"got '~nobody-of-this-name/a\.txt', which matches none"):
        read("~nobody-of-this-name/a.txt")


@pytest.mark.parametrize("files", [[], 3, [3], None])
def test_files_must_be_paths(files: Any) -> None:
    with pytest.raises(InputError, match=r"data\.files must be a path or a list of paths, got "):
        Text(files)


def test_a_file_that_may_not_be_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.txt", TWO)

    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)  # file modes do not stop an administrator, who may run the tests
    for use in (Text.key, lambda corpus: list(corpus.documents())):
        with pytest.raises(InputError, match=r"a\.txt \(Permission denied\); check its permissions"):
            use(Text(str(path)))


def test_a_long_file_is_read_as_a_stream(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl.gz", jsonl(*({"text": "One."} for _ in range(20_000))) + b"not JSON")
    documents = Text(str(path)).documents()
    assert next(documents) == Document("a.jsonl.gz:1", "One.")  # long before the error in the last line


def test_the_yaml_makes_a_corpus_of_one_file_or_several(tmp_path: Path) -> None:
    config = OmegaConf.load(CONF / "text.yaml")
    paths = [str(write(tmp_path / name, name.encode())) for name in ("a.txt", "b.txt")]
    assert [document.text for document in instantiate(config, files=paths).documents()] == ["a.txt", "b.txt"]
    assert [document.text for document in instantiate(config, files=paths[0]).documents()] == ["a.txt"]
    with pytest.raises(MissingMandatoryValue, match="files"):
        instantiate(config)


def test_an_error_names_the_key_of_the_place_where_the_corpus_is_used(tmp_path: Path) -> None:
    text = Text(str(write(tmp_path / "a.txt", TWO)), column="body")
    with pytest.raises(InputError, match=r"^data\.column must be text where a file has no fields, got 'body' for "):
        list(text.documents())
    with (
        pytest.raises(InputError, match=r"^other\.place\.column must be text where a file has no fields, "),
        at("other.place"),
    ):
        list(text.documents())
