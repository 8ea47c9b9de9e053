"""Small random tasks of every kind: the answers follow from single words, so that a tiny model can learn them."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tests.conftest import TOPICS

WORDS = sorted(word for words in TOPICS.values() for word in words)
TOPIC = {word: topic for topic, words in TOPICS.items() for word in words}
Cells = dict[str, Any]


def words(rng: np.random.Generator, count: int = 4) -> list[str]:
    return [str(word) for word in rng.choice(WORDS, count)]


def classification(rng: np.random.Generator) -> Cells:
    """The topic of most words."""
    topic = str(rng.choice(sorted(TOPICS)))
    return {"text": " ".join(map(str, rng.choice(TOPICS[topic], 4))), "label": topic}


def pair(rng: np.random.Generator) -> Cells:
    """Does the second text contain a ship?"""
    ship = bool(rng.random() < 0.5)
    second = [word for word in words(rng) if word != "ship"] + ["ship"] * ship
    return {"text": " ".join(words(rng)), "text_pair": " ".join(second), "label": ship}


def regression(rng: np.random.Generator) -> Cells:
    """How many words are of the sea?"""
    text = words(rng, 6)
    return {"text": " ".join(text), "label": 2.5 * sum(TOPIC[word] == "sea" for word in text) - 1}


def multilabel(rng: np.random.Generator) -> Cells:
    """Which topics do the words have?"""
    text = words(rng, 2)
    return {"text": " ".join(text), "label": ",".join(sorted({TOPIC[word] for word in text}))}


def tagging(rng: np.random.Generator) -> Cells:
    """The topic of each word."""
    text = words(rng, int(rng.integers(3, 9)))
    return {"text": text, "label": [TOPIC[word] for word in text]}


def word_in_context(rng: np.random.Generator) -> Cells:
    """Is the marked word of both texts the same one?"""
    one, two = words(rng), words(rng)
    other = one[1] if rng.random() < 0.5 else two[2]
    two[2] = other
    return {
        **{"text": " ".join(one), "start": len(one[0]) + 1, "end": len(one[0]) + 1 + len(one[1])},
        **{
            "text_pair": " ".join(two),
            "start_pair": (at := len(two[0]) + len(two[1]) + 2),
            "end_pair": at + len(other),
        },
        "label": one[1] == other,
    }


def word_sense(rng: np.random.Generator) -> Cells:
    """The topic of the marked word."""
    text = words(rng)
    return {
        "text": " ".join(text),
        "start": (at := len(text[0]) + 1),
        "end": at + len(text[1]),
        "label": TOPIC[text[1]],
    }


def minimal_pairs(rng: np.random.Generator) -> Cells:
    """Sorted and unsorted words."""
    good = words(rng)
    return {"good": " ".join(good), "bad": " ".join(good[::-1]), "group": str(rng.choice(["a", "b"]))}


def text(rng: np.random.Generator) -> Cells:
    """Words."""
    return {"text": " ".join(words(rng))}


DRAWN: Mapping[str, Callable[[np.random.Generator], Cells]] = {
    "classification": classification,
    "regression": regression,
    "multilabel": multilabel,
    "tagging": tagging,
    "word_in_context": word_in_context,
    "word_sense": word_sense,
    "minimal_pairs": minimal_pairs,
    "text": text,
}


def rows(kind: str, number: int, seed: int = 0) -> list[Cells]:
    rng = np.random.default_rng(seed)
    return [DRAWN[kind](rng) for _ in range(number)]


def write(path: Path, cells: Sequence[Cells]) -> Path:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in cells), "utf-8")
    return path


SETTINGS: Cells = {
    **{"list": [], "glue": None, "method": "finetune", "seeds": 2, "rates": [3e-3], "epochs": 10},
    **{"size": 16, "patience": 10, "most": None},
}
