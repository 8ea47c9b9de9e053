"""Corpus + tokenizer -> token store: built once per content, then memory-mapped.

Three passes over the documents, none of which holds the corpus in memory: the first chooses the held-out documents, the
second trains the tokenizer on the training split, the third encodes. The cache key contains the corpus' content, the
tokenizer's settings and the version of this code.
"""

import hashlib
import json
from array import array
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Protocol, TypeVar

import numpy as np
from tokenizers import Tokenizer

from bertlab.config.cache import cached, digest
from bertlab.config.errors import InputError
from bertlab.data.documents import SPLITS, Corpus, likeness
from bertlab.data.encoding import encode, parts, unread_letters
from bertlab.data.overlap import Text, shares
from bertlab.data.sentences import sentences
from bertlab.data.soundness import OF, Soundness
from bertlab.data.splits import Splits, check_size, choose_splits
from bertlab.data.store import TokenStore, read_store
from bertlab.data.tokenizer import UNK

VERSION = "store-5"  # change it if the same corpus would give other arrays or facts
Known = TypeVar("Known")
Read = TypeVar("Read")


class TrainableTokenizer(Protocol):
    """What `prepare` needs from a tokenizer."""

    def key(self) -> str:
        """Hash of the settings."""
        ...

    def train(self, sentences: Iterator[str]) -> Tokenizer:
        """Return the tokenizer trained on the sentences."""
        ...


def prepare(corpus: Corpus, tokenizer: TrainableTokenizer) -> TokenStore:
    """Return a corpus' token store, cached or built now. Raises InputError for an unusable corpus."""
    key = digest(VERSION, corpus.key(), tokenizer.key())

    def build_unchanged(folder: Path) -> None:
        build(folder, corpus, tokenizer)
        if digest(VERSION, corpus.key(), tokenizer.key()) != key:
            raise changed(corpus)

    return read_store(cached("stores", key, build_unchanged))


def build(folder: Path, corpus: Corpus, tokenizer: TrainableTokenizer) -> None:
    """Write the store of `corpus` into `folder`. Raises InputError if scores on it would mean nothing."""
    splits = choose_splits(corpus)
    trained = tokenizer.train(_training_text(corpus, splits))
    trained.save(str(folder / "tokenizer.json"))
    dtype = "<u2" if trained.get_vocab_size() <= 2**16 else "<u4"
    with ExitStack() as stack:
        writers = {name: stack.enter_context(_SplitWriter(folder, name, dtype, trained)) for name in SPLITS}
        encoded = encode(trained, corpus.documents(), dtype)
        for (name, known), (text, ids) in beside(zip(splits.names, splits.known_N, strict=True), encoded, corpus):
            writers[name].add(text, ids, bool(known))
    # again, now without documents that have no token
    check_size(corpus, writers["train"].documents, writers["valid"].documents)
    sound = _soundness(writers, splits)
    sound.check(corpus.name)
    counts = np.bincount(np.fromfile(folder / "train.ids", dtype), minlength=trained.get_vocab_size())
    counts.astype("<i8").tofile(folder / "counts")
    facts = {**corpus.facts(), "vocabulary": f"{trained.get_vocab_size():,} tokens"}
    facts |= {name: writer.summary() for name, writer in writers.items() if writer.documents}
    facts |= sound.facts()
    names = [name for name, writer in writers.items() if writer.documents]
    size = {name: writers[name].bytes for name in names}
    about = {"dtype": dtype, "splits": names, "bytes": size, "facts": facts, "fingerprint": _fingerprint(folder)}
    (folder / "store.json").write_text(json.dumps(about, indent=1), "utf-8")


def _training_text(corpus: Corpus, splits: Splits) -> Iterator[str]:
    for name, document in beside(splits.names, corpus.documents(), corpus):
        if name == "train":
            for sentence in sentences(document.text):
                yield from parts(sentence)


def beside(known: Iterable[Known], read: Iterator[Read], corpus: Corpus) -> Iterator[tuple[Known, Read]]:
    """Yield the stored data of each document with the document read now. Raises InputError if their numbers differ."""
    left = iter(known)
    for item in read:
        own = next(left, None)
        if own is None:
            for _ in read:  # read to the end: the corpus may have more documents now
                pass
            raise changed(corpus)
        yield own, item
    if next(left, None) is not None:
        raise changed(corpus)


def changed(corpus: Corpus) -> InputError:
    """Return the error for a corpus, or a tokenizer, that changed between two reads."""
    return InputError(
        f"data={corpus.name} and its tokenizer must stay as they are while they are read, got another content; "
        "type the same command again when no program writes to their files"
    )


def _soundness(writers: "dict[str, _SplitWriter]", splits: Splits) -> Soundness:
    valid = writers["valid"]
    known, copied = shares(valid.text(), writers["train"].text(), np.asarray(valid.known, bool))
    unknown = {name: writers[name].unknown / writers[name].tokens for name in OF}
    unread = {name: writers[name].unread / writers[name].letters for name in OF}
    return Soundness(unknown=unknown, unread=unread, repeats=splits.repeats, copied=copied, known=known)


class _SplitWriter:
    """Appends documents to the arrays of one split, and counts."""

    def __init__(self, folder: Path, name: str, dtype: str, tokenizer: Tokenizer) -> None:
        self._folder, self._name, self._tokenizer = folder, name, tokenizer
        self._file: IO[bytes] = (folder / f"{name}.ids").open("wb")
        self._sentences, self._documents = array("q", [0]), array("q", [0])
        self._likenesses = array("Q")  # of the sentences
        self.known = array("b")  # whether the document's text is also in a training document
        self.unknown = 0  # [UNK] tokens
        self.letters, self.unread = 0, 0  # letters without spaces; those in [UNK] of very long words
        self.bytes = 0  # size of the sentences in UTF-8

    def __enter__(self) -> "_SplitWriter":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        for kind, offsets in (("sentences", self._sentences), ("documents", self._documents)):
            np.asarray(offsets, "<i8").tofile(self._folder / f"{self._name}.{kind}")

    def add(self, text: Iterable[str], ids: list[np.ndarray], known: bool) -> None:
        """Append the sentences of one document; a document without tokens is skipped."""
        if not ids:
            return
        together = np.concatenate(ids)
        together.tofile(self._file)
        self.unknown += int((together == UNK).sum())
        for sentence, own in zip(text, ids, strict=True):
            self._likenesses.append(likeness(sentence))
            self.bytes += len(sentence.encode(errors="surrogatepass"))
            self.letters += len(sentence) - sentence.count(" ")
            if (own == UNK).any():
                self.unread += unread_letters(self._tokenizer, sentence)
            self._sentences.append(self._sentences[-1] + len(own))
        self._documents.append(len(self._sentences) - 1)
        self.known.append(known)

    def text(self) -> Text:
        """Return the sentence data so far."""
        document_S = np.repeat(np.arange(self.documents), np.diff(self._documents))
        return Text(np.asarray(self._likenesses, np.uint64), np.diff(self._sentences), document_S)

    @property
    def documents(self) -> int:
        """Number of documents so far."""
        return len(self._documents) - 1

    @property
    def tokens(self) -> int:
        """Number of tokens so far."""
        return self._sentences[-1]

    def summary(self) -> str:
        """Describe how much text the split has."""
        return f"{self.documents:,} documents, {len(self._sentences) - 1:,} sentences, {self.tokens:,} tokens"


def _fingerprint(folder: Path) -> str:
    total = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        with path.open("rb") as file:
            total.update(f"{path.name} {hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    return total.hexdigest()[:16]
