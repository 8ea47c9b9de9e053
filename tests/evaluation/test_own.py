"""Tasks from the command line: scores with noise in the record and the store, and errors that leave no files."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from bertlab.config.compose import load, resolved
from bertlab.evaluation.own import EvaluationWithTasks, mean_score
from bertlab.sweep.run import prepare_job
from bertlab.tracking.metrics import read_points
from bertlab.tracking.run_folder import MODEL, POINTS, run_folders_in
from tests.command import exit_code
from tests.tasks.drawn import Cells, rows, write

TINY = ("data=oracle", "data.documents=60", "batch.size=4", "batch.length=35", "budget.tokens=700", "model.layers=1")
TINY += ("evaluation.sequences=8", "evaluation.pseudo=0", "evaluation.probe=0", "trainer.progress=false")
TINY += ("model.width=16", "model.heads=2", "model.inner=16", "tracking.offline=true", "tasks.rates=[1e-3]")


def words(file: Path, kind: str = "classification", **settings: Any) -> str:
    more = "".join(f", {key}: {value}" for key, value in settings.items())
    return f"tasks=[{{name: own, kind: {kind}, file: {file}{more}}}]"


def numbers() -> Sequence[Mapping[str, float]]:
    """Return the numbers of each point of each run here."""
    return [point.numbers for cell in run_folders_in("outputs") for point in read_points(cell.folder / POINTS)[0]]


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")


def test_scores_are_in_the_record_and_weights_can_be_scored_without_training(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(tmp_path / "own.jsonl", rows("classification", 60))
    assert exit_code(*TINY, words(file), "tasks.epochs=1", "tasks.seeds=2") == 0
    *_, last = numbers()
    own = {name.removeprefix("eval/tasks.own.") for name in last if name.startswith("eval/tasks.")}
    noise = ("", ".se_items", ".se_seeds", ".seed_0", ".seed_1")
    assert own == {f"{metric}{suffix}" for metric in ("accuracy", "macro_f1") for suffix in noise}
    assert "task own: accuracy 0." in capsys.readouterr().err

    (cell,) = run_folders_in("outputs")
    assert (cell.folder / MODEL).is_dir()
    start = (f"start=run:{cell.folder}", "trainer=none", "output_dir=scored")
    assert exit_code(*TINY, words(file), "tasks.epochs=1", "tasks.seeds=2", *start) == 0
    assert " parameters, no training" in capsys.readouterr().err
    (scored,) = run_folders_in("scored")
    (point,) = read_points(scored.folder / POINTS)[0]
    assert (point.step, point.numbers["perf/tokens"]) == (0, 0)
    assert {name: point.numbers[name] for name in last if name.startswith("eval/")} == pytest.approx(
        {name: value for name, value in last.items() if name.startswith("eval/")}
    ), "the weights that training ended with"


def test_the_mean_over_tasks_is_of_their_first_metrics_and_its_errors_are_those_of_independent_tasks() -> None:
    tuned = {"tasks.a.accuracy": 0.5, "tasks.a.accuracy.se_items": 0.03, "tasks.a.accuracy.se_seeds": 0.08}
    probed = {"tasks.b.span_f1": 0.9, "tasks.b.span_f1.se_items": 0.04, "tasks.b.accuracy": 0.1}
    forgotten = {"tasks.c.loss": 5.0, "tasks.c.loss.se_items": 0.2}
    assert mean_score([tuned, probed, forgotten]) == pytest.approx(
        {"tasks.mean.score": 0.7, "tasks.mean.score.se_items": 0.025, "tasks.mean.score.se_seeds": 0.04}
    )
    assert mean_score([tuned, forgotten]) == {}, "one task is no mean"
    assert mean_score([]) == {}


def test_a_run_without_tasks_is_not_touched(tmp_path: Path) -> None:
    plain = [word for word in TINY if not word.startswith("tasks")]
    assert not isinstance(prepare_job(resolved(load(plain))).evaluation, EvaluationWithTasks)


CLASSES = [{"text": "a ship", "label": "x"}, {"text": "a barn", "label": "y"}] * 20


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (CLASSES[:1] * 40, "the part `train` must hold 2 classes, got x; add rows of another, or shuffle the file"),
        ([{"text": "a"}] * 40, "own.jsonl, line 1: must have a column `label`, got text; name the column it has"),
        (
            [*CLASSES, {"text": "y" * 10_000_000, "label": "x"}],
            "line 41: `text` must hold at most 1,048,576 characters",
        ),
        ("\ufeff" + json.dumps(CLASSES[0]), "own.jsonl must be UTF-8 without a byte order mark, got one; save it as "),
        ('{"text": "a", "text": "b", "label": 1}', "line 1: must be one JSON object, got an error: the column text "),
        (
            [{**row, "split": "train"} for row in CLASSES]
            + [{"text": "a", "label": label, "split": "test"} for label in "xyz"],
            "line 43: a class must be taught in `train`, got z; add rows of it there",
        ),
        (
            [{**row, "split": "train"} for row in CLASSES] + [{"text": "a", "label": "", "split": "test"}] * 9,
            "line 41: `label` must be given, got nothing; fill it, or leave out such rows with skip_broken: true",
        ),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(
    content: str | Sequence[Cells], line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "own.jsonl"
    if isinstance(content, str):
        file.write_text(content, "utf-8")
    else:
        write(file, content)
    assert exit_code(*TINY, words(file)) == 2
    printed = capsys.readouterr().err
    assert line in printed
    assert printed.startswith("bertlab: ")
    assert printed.count("\n") == 1
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize(
    ("word", "line"),
    [
        (
            "tasks=[{kind: classification, file: gone.tsv}]",
            "bertlab: a task's files must exist, got gone.tsv, which",
        ),
        ("tasks=[{kind: guess, file: a.tsv}]", "bertlab: evaluation.tasks.list[0].kind must be classification, "),
        ("tasks.glue=gone", "bertlab: evaluation.tasks.glue must hold a folder of GLUE (CoLA, "),
        ("tasks.seeds=0", "bertlab: evaluation.tasks.seeds must be a whole number of at least 1, got 0; "),
    ],
)
def test_settings_are_refused_by_their_place(word: str, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code(*TINY, word) == 2
    assert capsys.readouterr().err.startswith(line)
    assert list(Path().iterdir()) == []
