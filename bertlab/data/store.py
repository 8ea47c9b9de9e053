"""Token ids on disk: flat arrays that every run of a sweep maps into memory without copying.

A store is one cache entry: `tokenizer.json`, per split the token ids and the offsets of sentences and documents, the
token counts of the training split, and `store.json` with the facts and the fingerprint.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from bertlab.data.tokenizer import Vocabulary, space_mark

Ints = npt.NDArray[np.int64]
Ids = npt.NDArray[np.unsignedinteger]


@dataclass(frozen=True)
class Tokens:
    """One split: T token ids, S sentences, D documents. Sentence s is ids[sentences[s]:sentences[s + 1]]."""

    ids: Ids  # (T,), memory-mapped
    sentences: Ints  # (S + 1,) token offsets
    documents: Ints  # (D + 1,) sentence offsets


@dataclass(frozen=True)
class TokenStore:
    """The prepared corpus: arrays of every split, the tokenizer, and facts."""

    folder: Path
    splits: Mapping[str, Tokens]
    counts: Ints  # (V,) counts of each token in the training split
    facts: Mapping[str, str]
    text_bytes: Mapping[str, int]  # size of each split's text in UTF-8, independent of the tokenizer
    fingerprint: str  # hash of the tokenizer and of all arrays: equal fingerprint, equal data

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """The trained tokenizer."""
        return Tokenizer.from_file(str(self.folder / "tokenizer.json"))

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """The tokens in the order of their ids."""
        ids = self.tokenizer.get_vocab()
        return Vocabulary(sorted(ids, key=ids.__getitem__), space_mark(self.tokenizer))

    @cached_property
    def unigram(self) -> npt.NDArray[np.float64]:
        """Log-probability (nats) of each real token by its count in the training split plus one, shape (V,)."""
        real = np.arange(self.counts.size) >= self.vocabulary.first_real
        smoothed = np.where(real, self.counts + 1.0, np.nan)
        logs: npt.NDArray[np.float64] = np.log(smoothed) - np.log(np.nansum(smoothed))
        return logs


def read_store(folder: Path) -> TokenStore:
    """Map the store in `folder` into memory."""
    about = json.loads((folder / "store.json").read_text("utf-8"))
    splits = {
        name: Tokens(
            ids=_array(folder / f"{name}.ids", about["dtype"]),
            sentences=_array(folder / f"{name}.sentences", "<i8"),
            documents=_array(folder / f"{name}.documents", "<i8"),
        )
        for name in about["splits"]
    }
    counts = _array(folder / "counts", "<i8")
    return TokenStore(folder, splits, counts, about["facts"], about["bytes"], about["fingerprint"])


def _array(path: Path, dtype: str) -> Any:
    if path.stat().st_size == 0:  # an empty file cannot be mapped
        return np.empty(0, dtype)
    return np.memmap(path, dtype=dtype, mode="r")
