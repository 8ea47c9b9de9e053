"""Corpus + tokenizer -> token store: made once per content, then mapped.

Three passes over the documents, none of which holds the corpus in memory: the first decides what is held out, the
second trains the tokenizer on the training split, the third encodes. The cache key covers the corpus' content, the
tokenizer's settings and the version of this code.
"""

import hashlib
import json
from array import array
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from heapq import nsmallest
from itertools import chain, islice
from pathlib import Path
from typing import IO, Protocol

import numpy as np
from tokenizers import Tokenizer

from bertlab.cache import cached, digest
from bertlab.data.documents import SPLITS, Corpus, Document, lot
from bertlab.data.sentences import sentences
from bertlab.data.store import TokenStore, read_store
from bertlab.errors import InputError

VERSION = "store-2"  # change it whenever the same corpus would give other arrays
HELD_OUT = 0.05  # share of documents held out when the source names no split
FEWEST = 2  # documents a split needs: a next-sentence pair may take its second half from another document
TOGETHER = 256  # documents encoded in one call
LETTERS_TOGETHER = 1 << 20  # unless they are long

Split = Callable[[Document], str]


class TrainableTokenizer(Protocol):
    """What `prepare` needs of a tokenizer."""

    def key(self) -> str:
        """Hash of the settings."""
        ...

    def train(self, sentences: Iterator[str]) -> Tokenizer:
        """Return the tokenizer learnt from the sentences."""
        ...


def prepare(corpus: Corpus, tokenizer: TrainableTokenizer) -> TokenStore:
    """Return the token store of a corpus, from the cache or made now. Raises InputError when it is too small."""
    key = digest(VERSION, corpus.key(), tokenizer.key())
    return read_store(cached("stores", key, lambda folder: build(folder, corpus, tokenizer)))


def build(folder: Path, corpus: Corpus, tokenizer: TrainableTokenizer) -> None:
    """Write the store of `corpus` into `folder`."""
    split = choose_split(corpus)
    train = (document for document in corpus.documents() if split(document) == "train")
    trained = tokenizer.train(sentence for document in train for sentence in sentences(document.text))
    trained.save(str(folder / "tokenizer.json"))
    trained.encode_special_tokens = True  # "[MASK]" in a text is text
    dtype = "<u2" if trained.get_vocab_size() <= 2**16 else "<u4"
    with ExitStack() as stack:
        writers = {name: stack.enter_context(_SplitWriter(folder, name, dtype)) for name in SPLITS}
        for document, lengths, ids in encode(trained, corpus.documents(), dtype):
            writers[split(document)].add(lengths, ids)
    check_size(corpus, writers["train"].documents, writers["valid"].documents)  # now without those that hold no token
    counts = np.bincount(np.fromfile(folder / "train.ids", dtype), minlength=trained.get_vocab_size())
    counts.astype("<i8").tofile(folder / "counts")
    facts = {**corpus.facts(), "vocabulary": f"{trained.get_vocab_size():,} tokens"}
    facts |= {name: writer.summary() for name, writer in writers.items() if writer.documents}
    names = [name for name, writer in writers.items() if writer.documents]
    about = {"dtype": dtype, "splits": names, "facts": facts, "fingerprint": _fingerprint(folder)}
    (folder / "store.json").write_text(json.dumps(about, indent=1), "utf-8")


def choose_split(corpus: Corpus) -> Split:
    """Decide each document's split: the source's own, else the lowest lots are held out, 5 % or two documents at least.

    Raises InputError when training and held-out text cannot both have two documents.
    """
    named = dict.fromkeys(SPLITS, 0)
    lots: list[float] = []
    for document in corpus.documents():
        if document.split is None:
            lots.append(lot(document))
        else:
            named[document.split] += 1
    wanted = max(FEWEST - named["valid"], 0)
    threshold = HELD_OUT
    if wanted and len(lots) >= wanted:
        threshold = max(HELD_OUT, nsmallest(wanted, lots)[-1])
    valid = named["valid"] + sum(drawn <= threshold for drawn in lots)
    train = named["train"] + sum(drawn > threshold for drawn in lots)
    check_size(corpus, train, valid)
    return lambda document: document.split or ("valid" if lot(document) <= threshold else "train")


def check_size(corpus: Corpus, train: int, valid: int) -> None:
    """Raise InputError when training and held-out text do not both have two documents."""
    if train < FEWEST or valid < FEWEST:
        raise InputError(
            f"data={corpus.name} must hold at least {FEWEST} documents for training and {FEWEST} held out, "
            f"got {train} and {valid}; add text, or check that documents are separated as the corpus asks"
        )


def encode(
    tokenizer: Tokenizer, documents: Iterator[Document], dtype: str
) -> Iterator[tuple[Document, list[int], np.ndarray]]:
    """Yield each document with the lengths of its sentences (tokens) and its token ids; empty sentences are dropped."""
    for together in few(documents):
        split = [list(sentences(document.text)) for document in together]
        encoded = iter(tokenizer.encode_batch_fast(list(chain.from_iterable(split)), add_special_tokens=False))
        for document, own in zip(together, split, strict=True):
            ids = [encoding.ids for encoding in islice(encoded, len(own))]
            lengths = [len(sentence) for sentence in ids if sentence]
            yield document, lengths, np.fromiter(chain.from_iterable(ids), dtype, sum(lengths))


def few(documents: Iterator[Document]) -> Iterator[list[Document]]:
    """Yield the documents in lists that take little memory, however long the documents are."""
    together: list[Document] = []
    letters = 0
    for document in documents:
        together.append(document)
        letters += len(document.text)
        if len(together) == TOGETHER or letters >= LETTERS_TOGETHER:
            yield together
            together, letters = [], 0
    if together:
        yield together


class _SplitWriter:
    """Appends documents to the arrays of one split."""

    def __init__(self, folder: Path, name: str, dtype: str) -> None:
        self._folder, self._name = folder, name
        self._file: IO[bytes] = (folder / f"{name}.ids").open("wb")
        self._sentences, self._documents = array("q", [0]), array("q", [0])

    def __enter__(self) -> "_SplitWriter":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        for kind, offsets in (("sentences", self._sentences), ("documents", self._documents)):
            np.asarray(offsets, "<i8").tofile(self._folder / f"{self._name}.{kind}")

    def add(self, lengths: list[int], ids: np.ndarray) -> None:
        """Append one document; one without tokens leaves no trace."""
        if not lengths:
            return
        ids.tofile(self._file)
        for length in lengths:
            self._sentences.append(self._sentences[-1] + length)
        self._documents.append(len(self._sentences) - 1)

    @property
    def documents(self) -> int:
        """Number of documents so far."""
        return len(self._documents) - 1

    def summary(self) -> str:
        """Say how much text the split holds."""
        return f"{self.documents:,} documents, {len(self._sentences) - 1:,} sentences, {self._sentences[-1]:,} tokens"


def _fingerprint(folder: Path) -> str:
    total = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        with path.open("rb") as file:
            total.update(f"{path.name} {hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    return total.hexdigest()[:16]
