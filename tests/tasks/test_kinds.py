"""Every kind of task: examples fit, a perfect prediction is correct, and unsuitable files are refused."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bertlab.config.errors import InputError
from bertlab.data.store import TokenStore
from bertlab.data.tokenizer import CLS, SEP
from bertlab.tasks.kind import Prepared
from bertlab.tasks.own import KINDS, Tasks
from tests.tasks.drawn import DRAWN, SETTINGS, pair, rows, write

LENGTH = 19


def prepared(entry: Mapping[str, Any], store: TokenStore, length: int = LENGTH) -> Prepared:
    (task,) = Tasks(**{**SETTINGS, "list": [entry]}).asked
    return task.prepare(store.tokenizer, length)


def test_every_kind_is_drawn() -> None:
    assert DRAWN.keys() == KINDS.keys()


@pytest.mark.parametrize("kind", KINDS)
def test_examples_fit_and_their_answers_are_right(kind: str, store: TokenStore, tmp_path: Path) -> None:
    group = {"group": "group"} if kind == "minimal_pairs" else {}
    task = prepared({"kind": kind, "file": str(write(tmp_path / "own.jsonl", rows(kind, 60))), **group}, store)
    examples = [*task.parts.train, *task.parts.valid, *task.parts.test]
    assert examples
    for example in examples:
        assert len(example.ids) == len(example.segments) <= LENGTH
        assert example.ids[0] == CLS
        assert example.ids[-1] == SEP
        assert all(0 < column < len(example.ids) for column in example.spots)
    target = np.concatenate([example.target for example in task.parts.test])
    item = np.repeat([one.item for one in task.parts.test], [len(one.target) for one in task.parts.test])
    score = {
        "classes": lambda: np.eye(max(task.outputs, 1))[target.astype(int)],
        "numbers": lambda: target[:, None],
        "labels": lambda: target - 0.5,
        "none": lambda: np.tile([0.0, -1.0], (60, 1)),
    }[KINDS[kind].loss]()
    item = np.arange(60) if kind == "minimal_pairs" else item
    if kind == "text":  # a model that gives each token 1/e
        item = np.arange(30)
        score = -np.array([len(one.ids) - 2.0 for one in task.parts.test]).reshape(-1, 2)
    metrics = {**task.judge(score, target, item)}
    assert metrics.pop("most_frequent", 0.5) < 1, "it asks no model"
    assert all(value == pytest.approx(1) for value in metrics.values())


def test_ties_of_minimal_pairs_count_half_and_groups_alike(store: TokenStore, tmp_path: Path) -> None:
    cells = [{"good": "a ship", "bad": "ship a", "UID": name} for name in ("a", "a", "a", "b")]
    file = str(write(tmp_path / "own.jsonl", cells))
    score = np.array([[1.0, 0], [0, 1], [2, 2], [3, 3]])
    item = np.arange(4)
    plain = prepared({"kind": "minimal_pairs", "file": file}, store)
    assert plain.judge(score, item, item) == {"accuracy": (1 + 0 + 0.5 + 0.5) / 4}
    grouped = prepared({"kind": "minimal_pairs", "file": file, "group": "UID"}, store)
    assert grouped.judge(score, item, item) == {"accuracy": (1.5 / 3 + 0.5) / 2}


def test_the_loss_of_texts_is_a_mean_over_tokens_of_the_texts_that_are_kept(store: TokenStore, tmp_path: Path) -> None:
    cells = [{"text": text} for text in ("ship", "ship ship", "barn", "barn barn barn", "odd")]
    task = prepared({"kind": "text", "file": str(write(tmp_path / "own.jsonl", cells))}, store)
    assert [len(one.ids) - 2 for one in task.parts.test] == [1, 2, 1, 3]
    score = np.array([[-1.0, -5], [-4, -10]])
    assert task.judge(score, np.zeros(2), np.arange(2)) == {"loss": 20 / 7}
    assert task.judge(score[1:], np.zeros(1), np.array([1])) == {"loss": 14 / 4}
    with pytest.raises(InputError, match="must have two rows, got 1"):
        prepared({"kind": "text", "file": str(write(tmp_path / "one.jsonl", cells[:1]))}, store)


def test_of_a_pair_the_longer_text_is_cut(store: TokenStore, tmp_path: Path) -> None:
    cells = [{"text": "ship", "text_pair": "farmer " * 30, "label": str(row % 2)} for row in range(40)]
    entry = {"kind": "classification", "text_pair": "text_pair", "file": str(write(tmp_path / "a.jsonl", cells))}
    example = prepared(entry, store).parts.test[0]
    assert example.cut
    assert len(example.ids) == LENGTH
    assert list(np.flatnonzero(example.ids == SEP)) == [2, LENGTH - 1]
    assert example.segments.sum() == LENGTH - 3


def test_cut_texts_are_reported_once(store: TokenStore, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    cells = [{"text": "farmer " * 30, "label": str(row % 2)} for row in range(40)]
    entry = {"kind": "classification", "name": "cut_once", "file": str(write(tmp_path / "a.jsonl", cells))}
    with caplog.at_level("WARNING"):
        for _ in range(3):
            prepared(entry, store)
    line = f"task cut_once: 4 of 4 texts are cut to {LENGTH} tokens; a larger batch.length cuts fewer"
    assert caplog.messages == [line]


def test_a_text_with_many_words_is_tagged_in_pieces(store: TokenStore, tmp_path: Path) -> None:
    cells = [{"text": ["ship", "barn"] * 20, "label": ["a", "b"] * 20} for _ in range(40)]
    task = prepared({"kind": "tagging", "file": str(write(tmp_path / "a.jsonl", cells))}, store)
    of_first = [one for one in task.parts.test if one.item == 0]
    assert np.concatenate([one.target for one in of_first]).tolist() == [0, 1] * 20
    assert not any(one.cut for one in of_first)
    ship = store.tokenizer.token_to_id("ship")
    assert all((one.ids[one.spots] == ship).tolist() == (one.target == 0).tolist() for one in of_first)


def test_marked_words_are_where_they_are_marked_and_kept_when_texts_are_cut(store: TokenStore, tmp_path: Path) -> None:
    long = "farmer " * 30
    cells = [
        {
            **{"text": f"{long}ship {long}", "start": len(long), "end": len(long) + 4},
            **{"text_pair": "a ship", "start_pair": 2, "end_pair": 6, "label": row % 2 == 0},
        }
        for row in range(40)
    ]
    task = prepared({"kind": "word_in_context", "file": str(write(tmp_path / "a.jsonl", cells))}, store)
    ship = store.tokenizer.token_to_id("ship")
    for example in task.parts.train:
        start, end, start_pair, end_pair = example.spots
        assert example.ids[start:end].tolist() == example.ids[start_pair:end_pair].tolist() == [ship]


def test_a_sense_is_one_of_its_lemma_and_what_nothing_teaches_is_missed(store: TokenStore, tmp_path: Path) -> None:
    def row(lemma: str, sense: str, split: str) -> dict[str, Any]:
        return {"text": f"a {lemma}", "start": 2, "end": 2 + len(lemma), "lemma": lemma, "label": sense, "split": split}

    taught = [row("ship", "1", "train")] * 3 + [row("ship", "2", "train")] * 2 + [row("barn", "1", "train")] * 5
    asked = [row("ship", "1", "test"), row("ship", "2", "test"), row("barn", "1", "test"), row("barn", "9", "test")]
    file = write(tmp_path / "own.jsonl", [*taught, *(row("ship", "2", "valid") for _ in range(3)), *asked])
    entry = {"kind": "word_sense", "file": str(file)}
    task = prepared({**entry, "lemma": "lemma"}, store)
    target = np.concatenate([example.target for example in task.parts.test])
    assert task.outputs == 3
    assert target.tolist() == [1, 2, 0, 3], "barn 1, ship 1, ship 2 are taught; barn 9 is not"
    always_barn = np.tile([9.0, 1.0, 0.0], (4, 1))
    assert task.judge(always_barn, target, np.arange(4)) == {"accuracy": 2 / 4, "most_frequent": 2 / 4}
    second = np.tile([0.0, 1.0, 2.0], (4, 1))
    assert task.judge(second, target, np.arange(4)) == {"accuracy": 2 / 4, "most_frequent": 2 / 4}
    without = prepared(entry, store)
    assert without.outputs == 2, "senses 1 and 2 of whatever word"
    assert without.judge(np.tile([0.0, 1.0], (4, 1)), np.array([0, 1, 0, 2]), np.arange(4))["accuracy"] == 1 / 4


def test_a_word_of_one_sense_alone_teaches_nothing(store: TokenStore, tmp_path: Path) -> None:
    cells = [{"text": "a ship", "start": 2, "end": 6, "lemma": "ship", "label": "1"}] * 40
    entry = {"kind": "word_sense", "file": str(write(tmp_path / "own.jsonl", cells)), "lemma": "lemma"}
    with pytest.raises(InputError, match=r"the part `train` must hold two senses of a word, got 1 in all; add rows"):
        prepared(entry, store)


CLASSES = [{"text": "a ship", "label": "x"}, {"text": "a barn", "label": "y"}] * 20


@pytest.mark.parametrize(
    ("kind", "parts", "line"),
    [
        (
            "classification",
            {"train": CLASSES, "test": [{"text": "a"}] * 9},
            "line 1: must have a column `label`, got text",
        ),
        (
            "classification",
            {"train": CLASSES[:1] * 9, "test": CLASSES},
            "`train` must hold 2 classes, got x; add rows of",
        ),
        (
            "classification",
            {"train": CLASSES, "test": CLASSES[:1] * 9},
            "`test` must hold 2 classes, got x; add rows of",
        ),
        (
            "classification",
            {"train": CLASSES, "test": [*CLASSES, {"text": "a", "label": "z"}]},
            "test.jsonl, line 41: a class must be taught in `train`, got z; add rows of it there",
        ),
        (
            "classification",
            {"train": CLASSES, "test": [*CLASSES, {"text": " ", "label": "x"}]},
            "line 41: `text` must hold text, got  ; fill it, or leave out such rows with skip_broken: true",
        ),
        (
            "classification",
            {"train": [*CLASSES, {"text": "a", "label": None}], "test": CLASSES},
            "line 41: `label` must be given, got nothing; fill it, or leave out such rows with skip_broken: true",
        ),
        ("classification", {"train": CLASSES, "test": CLASSES[:1]}, "`test` must have 2 rows, got 1; add rows to it"),
        ("regression", {"train": CLASSES, "test": CLASSES}, "line 1: `label` must be a number, got x; correct it"),
        (
            "regression",
            {"train": [{"text": "a", "label": 1}] * 9, "test": CLASSES},
            "the part `train` must hold several values, got one; add rows of another",
        ),
        (
            "tagging",
            {"train": [{"text": "a ship", "label": "X"}, {"text": "a", "label": "Y"}] * 9, "test": CLASSES},
            "`label` must hold a label for each of 2 words, got 1; correct the row",
        ),
    ],
)
def test_bad_input_is_one_line(
    kind: str, parts: Mapping[str, Any], line: str, store: TokenStore, tmp_path: Path
) -> None:
    files = {part: str(write(tmp_path / f"{part}.jsonl", cells)) for part, cells in parts.items()}
    same = {"test": files["train"]} if kind == "tagging" else {}
    with pytest.raises(InputError) as refused:
        prepared({"kind": kind, **files, **same}, store)
    assert line in str(refused.value)
    assert "\n" not in str(refused.value)


def test_the_error_for_a_class_that_is_not_trained_names_the_lack_of_rows(store: TokenStore, tmp_path: Path) -> None:
    cells = [{"text": "a ship", "label": str(row % 30)} for row in range(600)]
    entry = {"kind": "classification", "file": str(write(tmp_path / "a.jsonl", cells))}
    assert prepared(entry, store).outputs == 30
    with pytest.raises(InputError, match=r"a class must be taught in `train`, got .*; .* or raise `most` where it is"):
        prepared({**entry, "most": 40}, store)


def test_pairs_are_read_as_two_segments(store: TokenStore, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    file = str(write(tmp_path / "a.jsonl", [pair(rng) for _ in range(40)]))
    task = prepared({"kind": "classification", "file": file, "text_pair": "text_pair"}, store)
    assert all((example.ids == SEP).sum() == 2 for example in task.parts.train)
    assert all(set(example.segments.tolist()) == {0, 1} for example in task.parts.train)
