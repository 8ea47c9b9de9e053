"""Renumbers another project's tokenizer so that the five special tokens have ids 0 to 4.

All tokens keep their names, and all texts their tokens. `[PAD]`, `[UNK]`, `[CLS]`, `[SEP]` and `[MASK]` are roles here:
RoBERTa calls them `<pad>`, `<unk>`, `<s>`, `</s>` and `<mask>`. Gaps between ids are closed.
"""

import json
from collections.abc import Container, Iterator, Mapping
from typing import Any

from tokenizers import Tokenizer

from bertlab.data.tokenizer.vocabulary import SPECIALS

Json = dict[str, Any]

KEYS = {  # role: the keys of tokenizer_config.json that name its token
    "[PAD]": ("pad_token",),
    "[UNK]": ("unk_token",),
    "[CLS]": ("cls_token", "bos_token"),
    "[SEP]": ("sep_token", "eos_token"),
    "[MASK]": ("mask_token",),
}
USUAL = {  # role: usual names of its token
    "[PAD]": ("[PAD]", "<pad>"),
    "[UNK]": ("[UNK]", "<unk>"),
    "[CLS]": ("[CLS]", "<s>", "<cls>"),
    "[SEP]": ("[SEP]", "</s>", "<sep>"),
    "[MASK]": ("[MASK]", "<mask>"),
}


def renumbered(tokenizer: Tokenizer, settings: Mapping[str, Any]) -> Tokenizer:
    """Return the tokenizer with its special tokens first; roles without a token get a new one.

    `settings`: those of tokenizer_config.json, if it exists. Truncation and padding are removed. Raises ValueError for
    an unknown kind of model.
    """
    own = json.loads(tokenizer.to_str())
    given = tokenizer.get_vocab(with_added_tokens=True)
    special = {entry["content"] for entry in own["added_tokens"]} or given  # a word list marks no special tokens
    first = list(role_tokens(own["model"], given, special, settings).values())
    order = [*first, *sorted(given.keys() - set(first), key=given.__getitem__)]
    ids = {token: number for number, token in enumerate(order)}
    own["model"] |= reordered(own["model"], order)
    own["added_tokens"] = added_tokens(own["added_tokens"], first, ids)
    own |= {"truncation": None, "padding": None, "post_processor": None}
    made = Tokenizer.from_str(json.dumps(own))
    if made.get_vocab(with_added_tokens=True) != ids:
        raise ValueError("its tokens cannot be put in another order")
    return made


def role_tokens(
    model: Json, given: Container[str], special: Container[str], settings: Mapping[str, Any]
) -> dict[str, str]:
    """Return five different tokens for the roles: the model's own, from settings, usual names, or new ones."""
    found: dict[str, str] = {}
    for role in SPECIALS:
        unknown = [unknown_token(model)] if role == "[UNK]" else []
        stated = [name_of(settings.get(key)) for key in KEYS[role]]
        names = [*unknown, *stated, *(name for name in USUAL[role] if name in special)]
        known = (name for name in names if name in given and name not in found.values())
        found[role] = next(known, None) or next(name for name in new_names(role) if name not in given)
    return found


def new_names(role: str) -> Iterator[str]:
    """Yield names for a new token."""
    yield role
    yield from (f"{role[:-1]}{number}]" for number in range(2, 2 + len(SPECIALS)))


def name_of(setting: object) -> str | None:
    """Return the text of a token, which is a string or inside a mapping."""
    text = setting.get("content") if isinstance(setting, Mapping) else setting
    return text if isinstance(text, str) else None


def unknown_token(model: Json) -> str | None:
    """Return the model's token for unknown text."""
    if model["type"] == "Unigram":
        return None if model["unk_id"] is None else str(model["vocab"][model["unk_id"]][0])
    return name_of(model.get("unk_token"))


def reordered(model: Json, order: list[str]) -> Json:
    """Return the changes of a model if its tokens, and those added to it, get ids in this order."""
    if model["type"] in ("WordPiece", "BPE", "WordLevel"):
        return {"vocab": {token: number for number, token in enumerate(order)}}
    if model["type"] != "Unigram":
        raise ValueError(f"its model is a {model['type']}")
    scores = dict(map(tuple, model["vocab"]))
    lowest = min(scores.values())  # score of added tokens; the unknown token keeps its score
    unknown = unknown_token(model)
    return {
        "vocab": [[token, scores.get(token, lowest)] for token in order],
        "unk_id": None if unknown is None else order.index(unknown),
    }


def added_tokens(added: list[Json], first: list[str], ids: Mapping[str, int]) -> list[Json]:
    """Return the entries of tokens that are matched before the model runs; roles are always special."""
    plain = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    entries = {token: {"content": token, **plain} for token in first} | {entry["content"]: entry for entry in added}
    special = {token: token in first or bool(entry.get("special")) for token, entry in entries.items()}
    return [
        {**entries[token], "id": ids[token], "special": special[token]}
        for token in sorted(entries, key=ids.__getitem__)
    ]
