"""An existing tokenizer: `tokenizer.json` of Hugging Face's library, or `vocab.txt` of BERT's WordPiece.

It makes the same tokens as transformers' fast tokenizer. Only the ids differ, because the special tokens come first
(`renumber.py`). Nothing is trained on the corpus.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers

from bertlab.config.cache import digest
from bertlab.config.errors import InputError, true_or_false
from bertlab.data.tokenizer.renumber import renumbered

VERSION = "file-1"  # change it if the same file would give another tokenizer
JSON, WORDS, SETTINGS, NAMES = "tokenizer.json", "vocab.txt", "tokenizer_config.json", "special_tokens_map.json"
LARGEST = 256 << 20  # bytes; files of the largest vocabularies have 35 million
LONGEST_WORD = 100  # letters; longer ones become [UNK], as in BERT


class FromFile:
    """Read the tokenizer at `path`: a file, or a folder with tokenizer.json or else vocab.txt.

    `lowercase` is for vocab.txt, which does not state it; None reads it from tokenizer_config.json in the same folder,
    and means true if there is none, as in transformers.
    """

    def __init__(self, *, path: str, lowercase: bool | None) -> None:
        if not isinstance(path, str) or not path:
            raise InputError(
                f"tokenizer.path must be {JSON}, {WORDS} or a folder with one of them, got {path}; name it"
            )
        self.path = path
        self.lowercase = None if lowercase is None else true_or_false("lowercase", lowercase)

    def check(self) -> None:
        """Raise InputError if there is no readable tokenizer at the path."""
        self.read()

    def key(self) -> str:
        """Hash of the tokenizer."""
        return digest(VERSION, self.read().to_str())

    def train(self, _: Iterator[str]) -> Tokenizer:
        """Return the tokenizer from the file; ignores the sentences."""
        return self.read()

    def read(self) -> Tokenizer:
        """Return the tokenizer, special tokens first. Raises InputError for an invalid file."""
        return self._opened(renumber=True)

    def original(self) -> Tokenizer:
        """Return the tokenizer with the ids of its file. Raises InputError for an invalid file."""
        return self._opened(renumber=False)

    def _opened(self, *, renumber: bool) -> Tokenizer:
        file = self._file()
        try:
            if file.stat().st_size > LARGEST:
                raise ValueError(f"it has more than {LARGEST >> 20} MiB")
            settings = {**_settings(file.with_name(NAMES)), **_settings(file.with_name(SETTINGS))}
            given = Tokenizer.from_file(str(file)) if file.suffix == ".json" else self._from_words(file, settings)
            return renumbered(given, settings) if renumber else given
        except InputError:
            raise
        except Exception as error:  # the library raises plain Exception
            reason = " ".join(str(error).split())[:200]
            raise InputError(
                f"tokenizer.path must hold a tokenizer of the tokenizers library or BERT's {WORDS}, got {file} "
                f"({reason}); save it again with save_pretrained of a fast tokenizer"
            ) from error

    def _file(self) -> Path:
        path = Path(self.path).expanduser()
        places = [path / JSON, path / WORDS] if path.is_dir() else [path]
        found = next((place for place in places if place.is_file()), None)
        if found is None or found.suffix not in (".json", ".txt"):
            raise InputError(
                f"tokenizer.path must be {JSON}, {WORDS} or a folder that holds one of them, got {self.path}, which "
                f"{'is of another kind' if found else 'holds neither' if path.is_dir() else 'is not there'}; "
                "correct the path, or save a fast tokenizer there with save_pretrained"
            )
        return found

    def _from_words(self, file: Path, settings: dict[str, Any]) -> Tokenizer:
        """Return BERT's WordPiece with the tokens of a file, one per line, in the order of their ids."""
        tokens = file.read_text("utf-8-sig").split("\n")
        tokens = [token.rstrip("\r") for token in tokens[: -1 if not tokens[-1] else None]]
        if len(set(tokens)) < len(tokens) or "[UNK]" not in tokens:
            raise ValueError("its lines must be different tokens, [UNK] among them")
        ids = {token: number for number, token in enumerate(tokens)}
        made = Tokenizer(models.WordPiece(ids, unk_token="[UNK]", max_input_chars_per_word=LONGEST_WORD))
        lowercase = settings.get("do_lower_case", True) if self.lowercase is None else self.lowercase
        made.normalizer = normalizers.BertNormalizer(
            lowercase=bool(lowercase),
            strip_accents=settings.get("strip_accents"),
            handle_chinese_chars=settings.get("tokenize_chinese_chars", True),
        )
        made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        made.decoder = decoders.WordPiece()
        return made


def _settings(file: Path) -> dict[str, Any]:
    """Return the settings of a file; empty if it does not exist. Raises ValueError."""
    if not file.is_file():
        return {}
    settings = json.loads(file.read_text("utf-8"))
    if not isinstance(settings, dict):
        raise ValueError(f"{file.name} next to it is no mapping")
    return settings
