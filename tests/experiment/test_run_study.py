"""A registered study from its command line to its report: looks, reuse, failures, registrations."""

import shutil
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from mlflow.entities import Run
from mlflow.tracking import MlflowClient

from bertlab.stats.rule import Kind
from bertlab.study.judge import judge
from bertlab.study.record import read_record
from bertlab.sweep import run as job
from bertlab.tracking.description import KIND, PARENT, TOKEN
from tests.conftest import Command

TINY = (
    *("study=padding", "data=oracle", "data.documents=80", "batch.size=3", "budget.tokens=735"),  # 7 steps
    *("model.width=16", "model.heads=1", "model.inner=16", "trainer.points=2", "trainer.progress=false"),
    *("evaluation.sequences=4", "evaluation.share=0.99", "evaluation.pseudo=0", "tracking.weights=false"),
    *(
        "~study.margin.tokens",
        "+study.margin.nats=0.1",
        "study.floor=0",
        "study.controls.harmful=['budget.tokens=210']",
    ),
)
LOOKS = ("study.seeds=4", "study.looks=[3,4]")


def runs(kind: str, parent: str | None = None) -> list[Run]:
    """Return the runs of a kind in the store of the working directory."""
    client = MlflowClient(f"sqlite:///{Path.cwd() / 'mlflow.db'}")
    ids = [experiment.experiment_id for experiment in client.search_experiments()]
    wanted = f"tags.`{KIND}` = '{kind}'" + (f" and tags.`{PARENT}` = '{parent}'" if parent else "")
    return list(client.search_runs(ids, wanted))


@pytest.mark.slow
def test_a_study_runs_is_judged_reported_and_never_repeated_from_its_files_whatever_the_store_says(
    command: Command, caplog: pytest.LogCaptureFixture
) -> None:
    code, out, err = command(*TINY, *LOOKS)
    assert code == 0, err
    assert out.startswith("The claim “Training and reading with padding in sight is worse”")
    assert "report:    outputs/reports/padding.md" in out
    record = read_record(Path("outputs/reports/padding"))
    looked = len(record.arm("hidden"))
    assert looked in (3, 4)
    assert (out + err).count("The claim “") == (1 if looked == 3 else 2), "once for each look"
    assert (
        [*record.arm("seen").index] == [*record.arm("same").index] == [*record.arm("harmful").index] == [*range(looked)]
    )
    assert [*record.arm("exploration").index] == [1000, 1001, 1002]
    assert Path("outputs/reports/padding.md").read_text("utf-8").count("<!-- Generated") == 1
    assert "outputs" not in Path("outputs/reports/README.md").read_text("utf-8")

    (parent,) = runs("study")
    children = runs("run", parent.info.run_id)
    assert len(children) == 4 * looked + 3
    assert {child.data.tags["arm"] for child in children} == {"hidden", "seen", "same", "harmful", "exploration"}
    assert parent.info.status == "FINISHED"
    assert "| seen |" in parent.data.tags["mlflow.note.content"]
    assert parent.data.tags["mlflow.note.content"].startswith(out.splitlines()[0])
    assert parent.data.params == {
        **{"study": "padding", "baseline": "hidden", "arms": "hidden, seen", "outcome": "eval/mlm_loss"},
        **{"margin": "0.1 nats", "seeds": "4", "looks": "3, 4"},
    }
    differences = (record.arm("seen")["eval/mlm_loss"] - record.arm("hidden")["eval/mlm_loss"]).to_numpy()
    shown, judged = parent.data.metrics, judge(record)
    assert shown["finished"] == 4 * looked + 3
    assert shown["diverged"] == 0
    assert shown["eval/mlm_loss.seen.difference"] == pytest.approx(differences.mean(), abs=1e-6)
    assert shown["eval/mlm_loss.seen.low"] == pytest.approx(judged.arms["seen"].interval.low)
    assert shown["eval/mlm_loss.seen.high"] == pytest.approx(judged.arms["seen"].interval.high)
    assert {name for name in shown if "/" in name} == {
        f"eval/mlm_loss.{arm}.{part}" for arm in ("seen", "same", "harmful") for part in ("difference", "low", "high")
    }
    store = MlflowClient(f"sqlite:///{Path.cwd() / 'mlflow.db'}")
    assert "report/report.html" in {file.path for file in store.list_artifacts(parent.info.run_id, "report")}
    summary = {run.data.tags["arm"]: run.data.metrics for run in runs("arm", parent.info.run_id)}
    expected = record.arm("seen")["eval/mlm_loss"]
    assert summary["seen"]["mean/eval/mlm_loss"] == pytest.approx(expected.mean(), rel=1e-6)
    assert summary["seen"]["sd/eval/mlm_loss"] == pytest.approx(expected.std(), rel=1e-4)
    assert summary["seen"]["n"] == looked

    page = {path: path.read_bytes() for path in Path("outputs/reports").rglob("*") if path.is_file()}
    with closing(sqlite3.connect("mlflow.db")) as database, database:
        database.execute("update latest_metrics set value = value + 1")
    code, _, err = command(*TINY, *LOOKS)
    assert code == 0
    assert "study padding continues as registered" in err
    assert [text.partition(": the store has ")[0] for text in caplog.messages if "the run's files count" in text]
    assert len(runs("run")) == len(children)
    assert {path: path.read_bytes() for path in page} == page
    (again,) = runs("study")
    assert again.data.metrics.keys() == shown.keys()


@pytest.mark.slow
def test_runs_are_shared_by_registrations_and_taken_to_another_machine(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert command(*TINY, *LOOKS)[0] == 0
    record, children = read_record(Path("outputs/reports/padding")), runs("run")
    code, _, err = command(*TINY, *LOOKS, "study.floor=0.01")
    assert code == 0
    assert "this is a new registration" in err
    assert len(runs("study")) == 2
    assert len(runs("run")) == len(children)  # the runs themselves are the same

    shutil.copytree("outputs/reports", tmp_path / "elsewhere" / "outputs" / "reports")
    monkeypatch.chdir(tmp_path / "elsewhere")
    code, _, err = command(*TINY, *LOOKS)
    assert code == 0
    assert f"{len(children)} runs are taken from outputs/reports/padding/cells.tar.xz" in err
    assert {run.data.tags[TOKEN] for run in runs("run")} == {run.data.tags[TOKEN] for run in children}
    assert (
        read_record(Path("outputs/reports/padding"))
        .runs.drop(columns="run_id")
        .equals(record.runs.drop(columns="run_id"))
    )


@pytest.mark.slow
def test_a_search_comes_first_and_its_best_values_are_confirmed(command: Command) -> None:
    search = "+study.search={setting: optimizer.lr, values: [1e-4, 1e-3, 2e-3], seeds: 1}"
    words = (*TINY, "study.seeds=3", "study.looks=[3]", search)
    code, _, err = command(*words)
    assert code == 0, err
    folder = Path("outputs/reports")
    record = read_record(folder / "padding")
    trials = [f"{arm}@{value}" for arm in ("hidden", "seen") for value in ("0.0001", "0.001", "0.002")]
    assert f"search of optimizer.lr: {', '.join(trials)}" in err
    for trial in trials:
        assert [*record.arm(trial).index] == [1000]
    loss = record.runs.set_index("arm")["eval/mlm_loss"]
    tried = [float(arm.partition("@")[2]) for arm in set(loss.index) if arm.startswith("hidden@")]  # beyond an end too
    best = min(tried, key=lambda value: loss[f"hidden@{value:g}"])
    assert f"found: hidden at optimizer.lr={best:g}; " in err
    assert loss["exploration"].iloc[0] == loss[f"hidden@{best:g}"], "the margin is measured at the baseline's best"
    page = (folder / "padding.md").read_text("utf-8")
    assert "## The search for the learning rate" in page
    assert f"learning rate {best:g}" in page
    own = {run.data.tags["arm"]: run.data.params["optimizer.lr"] for run in runs("run")}
    assert float(own["same"]) == float(own["harmful"]) == float(own["hidden"]) == best
    assert {run.data.tags["arm"] for run in runs("arm")} == {*record.study.arms, "same", "harmful", "exploration"}

    made = len(runs("run"))
    code, _, err = command(*words)
    assert code == 0
    assert len(runs("run")) == made, "typed again, it repeats no run"


@pytest.mark.slow
def test_a_failed_run_is_reported_makes_the_study_invalid_and_is_repeated(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    train = job.train

    def failing(config: Mapping[str, Any], *rest: Any) -> str:
        if config["seed"] == 1 and config["tracking"]["arm"] == "seen":
            raise RuntimeError("no more memory")
        return train(config, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(job, "train", failing)
        code, out, err = command(*TINY, "study.seeds=3", "study.looks=[3]")
    assert code == 1
    assert "could not be judged: seen has no result for seed 1" in out
    assert "1 of 15 runs failed" in err
    assert "RuntimeError: no more memory" in err
    assert judge(read_record(Path("outputs/reports/padding"))).arms["seen"].verdict.kind is Kind.INVALID

    finished = len(runs("run"))
    code, _, err = command(*TINY, "study.seeds=3", "study.looks=[3]")
    assert code == 0, err
    assert len(runs("run")) == finished + 1
    assert judge(read_record(Path("outputs/reports/padding"))).arms["seen"].verdict.kind is not Kind.INVALID


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("seed=0,1",), "a study runs its own arms, got several values of seed; give one each"),
        (("hydra.mode=RUN",), "hydra.mode must be MULTIRUN for a study, got RUN; do not set it"),
        (("study.looks=[3]",), "study.looks must ascend and end with study.seeds 4, got [3]; correct one of them"),
        (("study.outcome=train/loss",), "study.outcome must be a measure of the common evaluation, got train/loss"),
        (("~study.margin",), "study.margin must be given"),
        (("~study.controls",), "study.controls must be given"),
    ],
)
def test_a_study_that_cannot_run_is_refused_before_anything_has_run(
    command: Command, words: tuple[str, ...], line: str
) -> None:
    code, out, err = command(*TINY, *LOOKS, *words)
    assert code == 2
    assert f"bertlab: {line}" in err
    assert out == ""
    assert not Path("mlflow.db").exists() or runs("run") == []


def test_a_margin_in_tokens_without_a_curve_is_refused_before_anything_has_run(command: Command) -> None:
    in_tokens = [word for word in TINY if "margin" not in word]  # as the study's file has it
    code, out, err = command(*in_tokens, *LOOKS, "evaluation.share=0.05")
    assert (code, out) == (2, "")
    assert err.startswith("bertlab: study.margin in tokens needs 3 evaluations in the last 75% of a run, got 1; raise")


@pytest.mark.parametrize("key", ["output_dir", "report_dir"])
@pytest.mark.slow
def test_a_study_that_can_write_nothing_is_one_line_and_leaves_nothing(command: Command, key: str) -> None:
    Path("letter").write_text("a file, not a folder", "utf-8")
    code, out, err = command(*TINY, *LOOKS, f"{key}=letter/mine")
    assert (code, out) == (2, "")
    assert "letter/mine" in err
    assert err.count("\n") == 1
    assert [path.name for path in Path.cwd().iterdir() if path.name != "outputs"] == ["letter"]
