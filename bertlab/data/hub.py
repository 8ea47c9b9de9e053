"""A dataset of the Hugging Face hub, or a local one, as a corpus, with the library `datasets` (the extra `hub`).

The library runs no code of a dataset (loading scripts were removed in version 4) and caches its downloads. A row is a
document.
"""

import hashlib
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from bertlab.config.cache import digest
from bertlab.config.errors import InputError, own, own_option
from bertlab.data.documents import SPLITS, Document

VERSION = "hub-2"  # change it if the same dataset would give other documents or splits
USUAL_SPLITS = {"train": "train", "validation": "valid", "test": "test"}
SAVED = ("dataset_dict.json", "state.json")  # files of `save_to_disk`: for several splits, for one
TEXT_TYPES = ("string", "large_string")
ROWS = 1_000  # rows read at a time


class Hub:
    """The dataset `path`: a name on the hub, a folder of data files, or a folder made by `save_to_disk`.

    `splits` maps the dataset's splits to ours, in reading order; missing ones are left out. If none of them becomes
    `valid`, the documents of `train` have no split, and bertlab holds out some of them by a hash of their texts.
    """

    name = "hub"

    def __init__(
        self,
        path: str,
        name: str | None = None,
        revision: str | None = None,
        column: str = "text",
        splits: Mapping[str, str] | None = None,
    ) -> None:
        self.path, self.config, self.revision, self.column = path, name, revision, column
        self.splits = dict(splits or USUAL_SPLITS)
        if not set(self.splits.values()) <= set(SPLITS):
            raise InputError(
                f"{own('splits', 'data')} must map the dataset's splits to {', '.join(SPLITS)}, got {self.splits}; "
                "choose for example {train: train, dev: valid}"
            )

    def key(self) -> str:
        """Hash of the splits and of every text in them: equal on all machines, unlike the library's fingerprint.

        The first call loads the dataset and reads it once, a few seconds per gigabyte.
        """
        return digest(VERSION, self._content)

    def documents(self) -> Iterator[Document]:
        """Yield the rows that have text, split by split."""
        holds_out = "valid" in map(self.splits.get, self._tables)
        for theirs, table in self._tables.items():
            ours = self.splits[theirs]
            for row, text in enumerate(self._texts(table)):
                if text:
                    split = ours if holds_out or ours != "train" else None
                    yield Document(f"{theirs}:{row}", text, split, has_id=False)

    def facts(self) -> dict[str, str]:
        """Return the dataset's name, its stated licence, and the rows of each split."""
        local = Path(self.path).expanduser()
        parts = (local.resolve().name if local.exists() else self.path, self.config, self.revision)
        licences = set(filter(None, (table.info.license for table in self._tables.values())))
        return {
            "source": f"Hugging Face dataset {', '.join(part for part in parts if part)}",
            "licence": ", ".join(sorted(licences)) or "not stated by the dataset",
            "rows": ", ".join(f"{theirs} {len(table):,}" for theirs, table in self._tables.items()),
            "content": self.key(),
        }

    @cached_property
    def _tables(self) -> dict[str, Any]:
        """The splits to read, by the dataset's names."""
        loaded = load(self.path, self.config, self.revision)
        tables = {theirs: loaded[theirs] for theirs in self.splits if theirs in loaded}
        if not tables:
            raise InputError(
                f"{own('splits', 'data')} must name splits of {self.path}, got {list(self.splits)}; use {list(loaded)}"
            )
        for table in tables.values():
            texts = [name for name, kind in table.features.items() if getattr(kind, "dtype", None) in TEXT_TYPES]
            if self.column not in texts:
                raise InputError(
                    f"{own('column', 'data')} must name a column of text, got {self.column!r}; {self.path} has the "
                    f"columns {', '.join(table.column_names)}, of which are text: {', '.join(texts) or 'none'}"
                )
        return tables

    @cached_property
    def _content(self) -> list[tuple[str, str, str]]:
        content = []
        for theirs, table in self._tables.items():
            total = hashlib.sha256()
            for text in self._texts(table):
                encoded = text.encode()
                total.update(b"%d " % len(encoded) + encoded)
            content.append((theirs, self.splits[theirs], total.hexdigest()))
        return content

    def _texts(self, table: Any) -> Iterator[str]:
        for batch in table.select_columns([self.column]).iter(ROWS):
            for text in batch[self.column]:
                yield text or ""


def load(path: str, config: str | None, revision: str | None) -> dict[str, Any]:
    """Load the splits of a dataset. Raises InputError with the reason if the library cannot."""
    try:
        import datasets
    except ImportError as error:
        raise InputError(
            f"{own_option('data', 'hub')} needs the library datasets, got: {error}; run: pip install datasets"
        ) from error
    local = Path(path).expanduser()
    try:
        if any((local / marker).is_file() for marker in SAVED):
            loaded = datasets.load_from_disk(str(local))
        else:
            loaded = datasets.load_dataset(str(local) if local.exists() else path, config, revision=revision)
        return dict(loaded) if isinstance(loaded, datasets.DatasetDict) else {"train": loaded}
    except ConnectionError as error:
        raise InputError(
            f"{own('path', 'data')} must be a folder or a name on a hub within reach, got {path!r} "
            f"({_first_line(error)}); check the path, the name and the connection"
        ) from error
    except (OSError, ValueError, RuntimeError, datasets.exceptions.DatasetsError) as error:
        # this type only says that there was an error
        general = isinstance(error, datasets.exceptions.DatasetGenerationError)
        reason = _first_line(error.__cause__ or error if general else error)
        raise InputError(
            f"{own('path', 'data')} and {own('name', 'data')} must be a dataset that can be read, got {path!r} "
            f"and {config!r} ({reason}); check the names and the files"
        ) from error


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0]
