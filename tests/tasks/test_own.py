"""Allowed settings of tasks, and the identity of a run: settings and content of the files, without their paths."""

from pathlib import Path
from typing import Any

import pytest

from bertlab.config.compose import load, resolved
from bertlab.config.errors import InputError
from bertlab.config.reading import written_out
from bertlab.identity.key import code_fingerprint, identify, semantic
from bertlab.tasks.own import Tasks
from tests.tasks.drawn import SETTINGS, rows, write

ENTRY = {"kind": "classification", "file": "a.tsv"}


def test_tasks_are_short_for_the_option_and_its_keys() -> None:
    assert written_out(["seed=1", "tasks=[{file: a.tsv}]", "tasks.seeds=5"]) == [
        *("seed=1", "evaluation=tasks", "evaluation.tasks.list=[{file: a.tsv}]", "evaluation.tasks.seeds=5")
    ]
    assert written_out(["tasks=my/a.tsv.gz"])[1:] == [
        "evaluation.tasks.list=[{file: 'my/a.tsv.gz', kind: classification}]"
    ]
    assert written_out(["evaluation=tasks", "tasks.glue=x"]) == ["evaluation=tasks", "evaluation.tasks.glue=x"]


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"list": "a.tsv"}, "list must be a list of tasks, got a.tsv; write [{file: FILE, kind: classification}]"),
        ({"list": ["a.tsv"]}, "list[0] must be a task, got a.tsv; write {file: FILE, kind: classification}"),
        ({"list": [{**ENTRY, "kind": "translation"}]}, "list[0].kind must be classification, regression, "),
        (
            {"list": [{**ENTRY, "lable": "x"}]},
            "list[0].lable is no key of a task of classification; did you mean label?",
        ),
        ({"list": [{"kind": "tagging"}]}, "list[0] must have file, or train and test, or dataset, got none; name one"),
        (
            {"list": [{**ENTRY, "train": "b"}]},
            "list[0] must have file, or train and test, or dataset, got file and train",
        ),
        (
            {"list": [{"kind": "tagging", "train": "b"}]},
            "list[0] must have train and test or valid, got train; name the ",
        ),
        ({"list": [{**ENTRY, "seeds": 0}]}, "list[0].seeds must be a whole number of at least 1, got 0; "),
        ({"list": [{**ENTRY, "text": 3}]}, "list[0].text must be a word, got 3; put it in quotes"),
        ({"list": [{**ENTRY, "name": "a b"}]}, "list[0].name must be letters, digits, - and _, 40 at most, got a b; "),
        ({"list": [ENTRY, ENTRY]}, "list must name each task once, got a twice; give one of them another name"),
        ({"method": "guess"}, "method must be finetune or probe, got guess; choose one of them"),
        ({"rates": []}, "rates must hold a learning rate, got none; choose for example [3e-4]"),
        ({"glue": 3}, "glue must be null or a folder in GLUE's layout, got 3; name the folder"),
    ],
)
def test_what_is_wrong_is_named(settings: dict[str, Any], line: str) -> None:
    with pytest.raises(InputError) as refused:
        Tasks(**{**SETTINGS, **settings})
    assert str(refused.value).startswith(line)


@pytest.mark.parametrize(
    ("files", "name"),
    [
        ({"file": "sets/snips/rows.jsonl.gz"}, "rows"),
        ({"file": "sets/snips/all.jsonl.gz"}, "snips"),
        ({"train": "sets/snips/train.tsv", "test": "sets/snips/test.tsv"}, "snips"),
        ({"train": "train.tsv", "test": "test.tsv"}, "train"),
        ({"train": "my sets/train.tsv", "test": "my sets/test.tsv"}, "train"),
    ],
)
def test_a_task_is_called_as_its_file_or_where_that_is_a_part_as_its_folder(files: dict[str, str], name: str) -> None:
    (task,) = Tasks(**{**SETTINGS, "list": [{"kind": "classification", **files}]}).asked
    assert task.name == name


def test_missing_files_are_reported_at_once() -> None:
    with pytest.raises(InputError, match=r"a task's files must exist, got a\.tsv, which does not; correct the path"):
        Tasks(**{**SETTINGS, "list": [ENTRY]}).check()


def config(file: Path, *words: str) -> dict[str, Any]:
    return resolved(load([f"tasks=[{{name: own, kind: classification, file: {file}}}]", *words]))


def test_a_run_is_known_by_what_the_files_hold_and_not_by_where_they_are(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    one, two, other = tmp_path / "a.jsonl", tmp_path / "elsewhere" / "b.jsonl", tmp_path / "c.jsonl"
    write(one, rows("classification", 20))
    write(two, rows("classification", 20))
    write(other, rows("classification", 21))
    keys = [identify(config(path), "data").key for path in (one, two, other)]
    assert keys[0] == keys[1] != keys[2]
    assert identify(config(one, "tasks.seeds=5"), "data").key != keys[0]
    assert str(tmp_path) not in str(semantic(config(one)))


def test_a_run_with_tasks_uses_the_code_of_tasks_and_a_run_without_them_does_not(tmp_path: Path) -> None:
    file = write(tmp_path / "a.jsonl", rows("classification", 20))
    plain = resolved(load([]))
    assert code_fingerprint(config(file)) != code_fingerprint(plain)
    assert "tasks" not in str(semantic(plain))
