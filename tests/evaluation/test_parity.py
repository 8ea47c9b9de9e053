"""Fine-tuning gives the score of a plain script with transformers on the same weights, within the noise of both.

The sets are not part of the repository: BERTLAB_EVAL_SETS is the path of their folder, or it is next to the repository.
"""

import gzip
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bertlab.commands import export
from bertlab.config.compose import PACKAGE
from bertlab.tracking.metrics import read_points
from bertlab.tracking.run_folder import POINTS, run_folders_in
from tests.command import exit_code
from tests.evaluation.plain import Row, plain_scores

SETS = Path(os.environ.get("BERTLAB_EVAL_SETS", PACKAGE.parent.parent / "shared" / "data" / "eval")).absolute()
SMALL = ("batch.length=64", "model/position=learned", "evaluation.sequences=16", "trainer.progress=false")
SMALL += ("evaluation.pseudo=0", "evaluation.probe=0")
RATE, EPOCHS, SEEDS = 1e-3, 6, 4
TASKS = {  # folder: the file with rows that teach, and the one with rows that judge
    "snips": ("train", "test"),
    "subjectivity": ("all", "all"),
}
PARTS = {"train": 600, "valid": 200, "test": 600}  # rows


def drawn(name: str) -> dict[str, list[dict[str, Any]]]:
    """Return rows for training, selection and test, each row in only one part."""

    def read(file: str) -> list[dict[str, Any]]:
        with gzip.open(SETS / name / f"{file}.jsonl.gz", "rt", encoding="utf-8") as lines:
            rows = [json.loads(line) for line in lines]
        return [rows[place] for place in np.random.default_rng(0).permutation(len(rows))]

    teaching, judging = (read(file) for file in TASKS[name])
    first = PARTS["train"] + PARTS["valid"]
    return {
        "train": teaching[: PARTS["train"]],
        "valid": teaching[PARTS["train"] : first],
        "test": judging[first : first + PARTS["test"]] if judging == teaching else judging[: PARTS["test"]],
    }


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train a small model for a moment and export it."""
    folder = tmp_path_factory.mktemp("weights")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert exit_code(*SMALL, "budget.tokens=200000") == 0
        export.main(["run=latest", "to=bert"])
    return folder / "bert"


@pytest.mark.slow
@pytest.mark.skipif(not SETS.is_dir(), reason=f"the sets are not there: {SETS}; set BERTLAB_EVAL_SETS")
@pytest.mark.parametrize("name", TASKS)
def test_a_score_is_that_of_plain_transformers(
    name: str, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    parts = drawn(name)
    for part, rows in parts.items():
        Path(f"{part}.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows), "utf-8")
    files = ", ".join(f"{part}: {part}.jsonl" for part in PARTS)
    words = (f"start={weights}", "tokenizer=file", f"tokenizer.path={weights}", "trainer=none")
    words += (f"tasks=[{{name: own, kind: classification, {files}}}]",)
    words += (f"tasks.rates=[{RATE}]", f"tasks.epochs={EPOCHS}", f"tasks.seeds={SEEDS}", f"tasks.patience={EPOCHS}")
    assert exit_code(*SMALL, "tracking.offline=true", *words) == 0
    (cell,) = run_folders_in("outputs")
    (point,) = read_points(cell.folder / POINTS)[0]
    ours = [point.numbers[f"eval/tasks.own.accuracy.seed_{seed}"] for seed in range(SEEDS)]
    plain_rows: list[list[Row]] = [[((row["text"],), row["label"]) for row in parts[part]] for part in PARTS]
    theirs = plain_scores(weights, plain_rows, seeds=SEEDS, rate=RATE, epochs=EPOCHS, length=64)
    noise = np.sqrt((np.var(ours, ddof=1) + np.var(theirs, ddof=1)) / SEEDS)  # of seeds: the items are the same
    print(f"{name}: ours {ours}, theirs {theirs}, noise {noise:.4f}")
    assert abs(np.mean(ours) - np.mean(theirs)) < 2 * noise
    _, counts = np.unique([row["label"] for row in parts["test"]], return_counts=True)
    assert np.mean(theirs) > 1.2 * max(counts) / sum(counts), "something was learnt"
