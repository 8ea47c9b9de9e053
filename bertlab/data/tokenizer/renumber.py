"""Another order of ids: a tokenizer of someone else -> the same one with the five special tokens at 0 to 4.

All tokens keep their names, and all texts their tokens. `[PAD]`, `[UNK]`, `[CLS]`, `[SEP]` and `[MASK]` are roles here:
RoBERTa calls them `<pad>`, `<unk>`, `<s>`, `</s>` and `<mask>`. Ids without a token are closed up.
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
USUAL = {  # role: what its token is mostly called
    "[PAD]": ("[PAD]", "<pad>"),
    "[UNK]": ("[UNK]", "<unk>"),
    "[CLS]": ("[CLS]", "<s>", "<cls>"),
    "[SEP]": ("[SEP]", "</s>", "<sep>"),
    "[MASK]": ("[MASK]", "<mask>"),
}


def renumbered(tokenizer: Tokenizer, settings: Mapping[str, Any]) -> Tokenizer:
    """Return the tokenizer with its special tokens first; roles that it has no token for get a new one.

    `settings` are those of tokenizer_config.json, where there is one. Cutting and filling up to a length is taken out.
    Raises ValueError for a kind of model that is not known here.
    """
    own = json.loads(tokenizer.to_str())
    given = tokenizer.get_vocab(with_added_tokens=True)
    special = {entry["content"] for entry in own["added_tokens"]} or given  # a list of words marks none
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
    """Return the token of each role, five different ones: the model's own, what settings say, what is usual, or new."""
    found: dict[str, str] = {}
    for role in SPECIALS:
        unknown = [unknown_token(model)] if role == "[UNK]" else []
        stated = [name_of(settings.get(key)) for key in KEYS[role]]
        names = [*unknown, *stated, *(name for name in USUAL[role] if name in special)]
        known = (name for name in names if name in given and name not in found.values())
        found[role] = next(known, None) or next(name for name in new_names(role) if name not in given)
    return found


def new_names(role: str) -> Iterator[str]:
    """Yield names for a token that is not there yet."""
    yield role
    yield from (f"{role[:-1]}{number}]" for number in range(2, 2 + len(SPECIALS)))


def name_of(setting: object) -> str | None:
    """Return the text of a token, which stands there by itself or in a mapping."""
    text = setting.get("content") if isinstance(setting, Mapping) else setting
    return text if isinstance(text, str) else None


def unknown_token(model: Json) -> str | None:
    """Return what the model makes of text that it does not know."""
    if model["type"] == "Unigram":
        return None if model["unk_id"] is None else str(model["vocab"][model["unk_id"]][0])
    return name_of(model.get("unk_token"))


def reordered(model: Json, order: list[str]) -> Json:
    """Return what changes in a model whose tokens, with those that were added to it, get ids in this order."""
    if model["type"] in ("WordPiece", "BPE", "WordLevel"):
        return {"vocab": {token: number for number, token in enumerate(order)}}
    if model["type"] != "Unigram":
        raise ValueError(f"its model is a {model['type']}")
    scores = dict(map(tuple, model["vocab"]))
    lowest = min(scores.values())  # of what was added to the model; the score of the unknown stays so
    unknown = unknown_token(model)
    return {
        "vocab": [[token, scores.get(token, lowest)] for token in order],
        "unk_id": None if unknown is None else order.index(unknown),
    }


def added_tokens(added: list[Json], first: list[str], ids: Mapping[str, int]) -> list[Json]:
    """Return the entries of tokens that are looked for before the model is asked; roles are special in any case."""
    plain = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    entries = {token: {"content": token, **plain} for token in first} | {entry["content"]: entry for entry in added}
    special = {token: token in first or bool(entry.get("special")) for token, entry in entries.items()}
    return [
        {**entries[token], "id": ids[token], "special": special[token]}
        for token in sorted(entries, key=ids.__getitem__)
    ]
