"""A sweep from end to end: a tiny grid on two files of text, from a folder elsewhere, through the real command line."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from hydra.core.utils import JobReturn, JobStatus
from mlflow.entities import Run
from mlflow.tracking import MlflowClient

from bertlab.commands.ending import say
from bertlab.config.compose import load, resolved
from bertlab.config.errors import InputError
from bertlab.data.store import TokenStore
from bertlab.identity.key import code_fingerprint, identify
from bertlab.report.__main__ import DEFAULTS, write
from bertlab.report.html import page
from bertlab.study.record import DIGITS
from bertlab.sweep import run as job
from bertlab.sweep.checking import Checks
from bertlab.sweep.grid import Grid, alike, run_grid, say_failures
from bertlab.sweep.logbook import StoreLogbook
from bertlab.tracking.address import ui_command
from bertlab.tracking.mlflow import Tracker
from bertlab.tracking.parent_runs import children, find_sweep
from bertlab.tracking.result import Outcome
from tests.command import exit_code

TINY = (
    "data=text",
    "data.files=corpus.txt",
    "tokenizer.vocab_size=200",
    "batch.size=4",
    "batch.length=32",
    "budget.tokens=1000",  # 8 steps
    "evaluation.sequences=8",
    "trainer.points=4",
    "trainer.progress=false",
)
FACTOR = "mask.rate=0.15,0.3"


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: Any
    out: str
    err: str


@dataclass(frozen=True)
class Swept:
    """A finished sweep."""

    ended: Ended
    folder: Path  # the working directory it was started from
    client: MlflowClient
    parent: Run
    runs: dict[str, Run]  # by name


def execute(capture: Any, folder: Path, *words: str) -> Ended:
    """Run `python -m bertlab.run` with some words in a folder, in this process; leave logging and signals alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        code = exit_code(*words)
    captured = capture.readouterr()
    return Ended(code, captured.out, captured.err)


@pytest.fixture(scope="module")
def corpus() -> str:
    """Thirty documents of six sentences, no two of them equal."""
    verbs, nouns = (
        ("sees", "keeps", "finds", "mends"),
        ("ship", "barn", "tower", "lamp", "horse", "well", "bell", "road"),
    )
    sentences = [f"The {noun} {verb} the {other}." for noun in nouns for verb in verbs for other in nouns]
    return "\n\n".join("\n".join(sentences[(6 * number + i) * 11 % 256] for i in range(6)) for number in range(30))


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory, corpus: str) -> Swept:
    """Run the sweep once; its output is captured here, since pytest's fixtures for that have a shorter life."""
    folder = tmp_path_factory.mktemp("elsewhere")
    (folder / "corpus.txt").write_text(corpus, "utf-8")
    from _pytest.capture import MultiCapture, SysCapture

    capture: MultiCapture[str] = MultiCapture(in_=None, out=SysCapture(1), err=SysCapture(2))
    capture.start_capturing()
    try:
        ended = execute(capture, folder, "-m", *TINY, FACTOR)
    finally:
        capture.stop_capturing()
    client = MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")
    parent = find_sweep(client, "bertlab", None)
    return Swept(ended, folder, client, parent, {run.info.run_name: run for run in children(client, parent)})


def report_of(swept: Swept) -> Path:
    (report,) = (swept.folder / "outputs" / "sweeps").glob("*/report/report.md")
    return report


def test_a_sweep_ends_well_and_says_where_its_report_is(swept: Swept) -> None:
    assert swept.ended.code == 0
    report = report_of(swept).relative_to(swept.folder)
    *table, report_line, ui_line, page_line, charts_line = swept.ended.out.splitlines()
    assert [line.split()[:2] for line in table] == [["finished", "mask.rate=0.15"], ["finished", "mask.rate=0.3"]]
    assert report_line == f"report:    {report}"
    assert ui_line == f"MLflow UI: {ui_command(f'sqlite:///{swept.folder}/mlflow.db')}"
    experiment = swept.parent.info.experiment_id
    assert page_line == f"runs:      http://127.0.0.1:5000/#/experiments/{experiment}?workflowType=machine_learning"
    assert charts_line.startswith(f"charts:    http://127.0.0.1:5000/#/experiments/{experiment}/runs?")
    assert (
        "&compareRunsMode=CHART&searchFilter=tags.%60bertlab.kind%60%20%3D%20%27run%27&orderByKey=metrics"
        in charts_line
    )
    tags = swept.client.get_experiment(experiment).tags
    assert tags["mlflow.experimentKind"] == "custom_model_development"
    assert "Traceback" not in swept.ended.err
    first, done, second, end = swept.ended.err.splitlines()
    assert first.endswith("parameters, 8 steps")
    assert second.endswith("parameters, 8 steps")
    assert re.fullmatch(r"1 of 2 runs have ended, about \d+ s left", done)
    assert end == "2 of 2 runs have ended"


def test_everything_is_written_where_the_command_was_typed(swept: Swept) -> None:
    assert {path.name for path in swept.folder.iterdir()} == {"corpus.txt", "mlartifacts", "mlflow.db", "outputs"}
    (folder,) = (swept.folder / "outputs" / "sweeps").iterdir()
    assert {path.name for path in folder.iterdir()} == {"0", "1", "report", "sweep.json"}


def test_runs_stand_under_one_parent_and_are_named_by_what_differs(swept: Swept) -> None:
    assert list(swept.runs) == ["mask.rate=0.15", "mask.rate=0.3"]
    assert {run.data.tags["mlflow.parentRunId"] for run in swept.runs.values()} == {swept.parent.info.run_id}
    assert {run.info.status for run in (swept.parent, *swept.runs.values())} == {"FINISHED"}
    assert swept.parent.info.run_name == "mask.rate=0.15,0.3"
    assert swept.parent.data.tags["bertlab.factors"] == "mask.rate"
    assert swept.parent.data.tags["bertlab.command"] == " ".join(["python -m bertlab.run -m", *TINY, FACTOR])


def test_the_parent_run_shows_settings_and_result(swept: Swept) -> None:
    losses = {rate: swept.runs[f"mask.rate={rate}"].data.metrics["eval/mlm_loss"] for rate in ("0.15", "0.3")}
    best = min(losses, key=losses.__getitem__)
    shown = swept.client.get_run(swept.parent.info.run_id).data
    assert shown.metrics == {
        **{"diverged": 0, "finished": 2},
        **{"eval/mlm_loss.best": rounded(losses[best]), "eval/mlm_loss.worst": rounded(max(losses.values()))},
    }
    sections = {name.rpartition("/")[0] for run in swept.runs.values() for name in run.data.metrics}
    assert {name.rpartition("/")[0] for name in shown.metrics} <= {*sections, ""}, "MLflow would show an empty section"
    assert shown.params["mask.rate"] == "0.15, 0.3"
    assert shown.params["baseline"] == "mask.rate=0.15"
    assert shown.tags["mlflow.note.content"].startswith("**Result.** ")
    assert "| mask.rate=0.15 |" in shown.tags["mlflow.note.content"]


def rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")


def test_a_run_has_its_parameters(swept: Swept) -> None:
    for rate in ("0.15", "0.3"):
        assert swept.runs[f"mask.rate={rate}"].data.params == {
            **{"data": "text", "tokenizer.vocab_size": "200", "pairs": "nsp", "mask": "token", "mask.rate": rate},
            **{"model": "nano", "model.layers": "2", "model.width": "64", "model.heads": "2", "model.dropout": "0.0"},
            **{"optimizer": "adamw", "optimizer.lr": "0.002", "schedule": "linear", "schedule.warmup": "0.1"},
            **{"batch.size": "4", "batch.length": "32", "budget.tokens": "1000", "objective": "joint", "seed": "0"},
            **{"trainer.precision": "32-true", "evaluation.sequences": "8"},
        }


def test_a_run_is_tagged_with_what_its_result_depends_on(swept: Swept) -> None:
    first, second = (run.data.tags for run in swept.runs.values())
    assert first["bertlab.corpus"] == second["bertlab.corpus"]
    assert first["bertlab.code"] == second["bertlab.code"] == code_fingerprint(resolved(load(TINY)))
    assert first["bertlab.key"] != second["bertlab.key"]
    assert "corpus.txt" in first["bertlab.data"]
    assert (first["bertlab.length"], first["bertlab.kind"]) == ("32", "run")


def test_the_key_of_a_run_is_that_of_the_same_run_outside_a_sweep(swept: Swept) -> None:
    tags = swept.runs["mask.rate=0.3"].data.tags
    alone = resolved(load([*TINY, "mask.rate=0.3", "trainer.threads=1", "output_dir=elsewhere"]))
    assert tags["bertlab.key"] == identify(alone, tags["bertlab.corpus"]).key


def test_the_baseline_is_the_run_that_leaves_every_factor_at_its_default(swept: Swept) -> None:
    assert {name: run.data.tags["bertlab.baseline"] for name, run in swept.runs.items()} == {
        "mask.rate=0.15": "true",
        "mask.rate=0.3": "false",
    }


def test_metrics_arrive_with_every_axis(swept: Swept) -> None:
    for run in swept.runs.values():
        names = set(run.data.metrics)
        assert {name.partition("/")[0] for name in names} == {"train", "eval", "perf"}
        assert {"train/loss", "train/mlm_loss", "train/pair_loss", "train/lr"} <= names
        assert {"eval/mlm_loss", "eval/mlm_accuracy", "eval/unigram_loss", "eval/context_gain"} <= names
        assert {"eval/mlm_loss.rate_0.05", "eval/mlm_loss.rate_0.15", "eval/mlm_loss.rate_0.5"} <= names
        assert {"perf/tokens", "perf/predicted_tokens", "perf/flops", "perf/seconds"} <= names
        history = swept.client.get_metric_history(run.info.run_id, "train/loss")
        assert [point.step for point in history] == [2, 4, 6, 8]
        assert run.data.metrics["perf/tokens"] == 8 * 4 * 32


def test_arms_see_the_same_text_and_differ_in_what_is_hidden(swept: Swept) -> None:
    first, second = (run.data.metrics for run in swept.runs.values())
    assert first["perf/tokens"] == second["perf/tokens"]
    assert first["eval/unigram_loss"] == second["eval/unigram_loss"]
    assert 1.5 < second["perf/predicted_tokens"] / first["perf/predicted_tokens"] < 2.7


def test_the_configuration_and_the_dataset_are_recorded(swept: Swept, tmp_path: Path) -> None:
    run = swept.runs["mask.rate=0.3"]
    config = yaml.safe_load(
        Path(swept.client.download_artifacts(run.info.run_id, "config.yaml", str(tmp_path))).read_text("utf-8")
    )
    assert config["mask"]["rate"] == 0.3
    assert "tracking" not in config
    assert run.inputs is not None
    (logged,) = run.inputs.dataset_inputs
    assert (logged.dataset.name, logged.dataset.digest) == ("text", run.data.tags["bertlab.corpus"])


def test_the_report_is_on_disk_and_on_the_parent_run(swept: Swept, tmp_path: Path) -> None:
    report = report_of(swept)
    downloaded = Path(swept.client.download_artifacts(swept.parent.info.run_id, "report", str(tmp_path)))
    names = sorted(path.relative_to(report.parent) for path in report.parent.rglob("*") if path.is_file())
    there = {path.relative_to(downloaded) for path in downloaded.rglob("*") if path.is_file()}
    assert there == {*names, Path("report.html")}
    assert (downloaded / "report.html").read_text("utf-8") == page(report.read_text("utf-8"), report.parent)
    assert (downloaded / "report.md").read_bytes() == report.read_bytes()
    assert "mask.rate" in report.read_text("utf-8")


@pytest.mark.parametrize(
    "words",
    [
        {},
        {"sweep": "mask.rate=0.15,0.3"},
        {"filter": "params.model = 'nano' and tags.bertlab.kind = 'run'"},
    ],
    ids=["latest", "named", "filter"],
)
def test_a_report_is_the_same_bytes_twice(swept: Swept, tmp_path: Path, words: dict[str, str]) -> None:
    first, second = (
        contents(write({**DEFAULTS, "uri": swept.client.tracking_uri, **words, "out": str(tmp_path / name)}).parent)
        for name in ("first", "second")
    )
    assert first == second
    assert {"report.md", "report/runs.csv", "report/curves.csv"} <= first.keys()
    if "filter" not in words:
        assert first == contents(report_of(swept).parent), "the report of the sweep itself"


def test_a_report_can_be_rebuilt_without_the_store(swept: Swept, tmp_path: Path) -> None:
    made = write({**DEFAULTS, "from": str(report_of(swept).parent), "out": str(tmp_path / "again")})
    assert contents(made.parent) == contents(report_of(swept).parent)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_curves_of_the_report_hold_every_evaluation(swept: Swept) -> None:
    curves = pd.read_csv(report_of(swept).with_suffix("") / "curves.csv")
    losses = curves[curves["metric"] == "eval/mlm_loss"]
    assert sorted(losses["tokens"]) == sorted([*set(losses["tokens"])] * 2)
    assert 1024 in set(losses["tokens"])


@pytest.mark.parametrize(
    ("error", "reason", "traceback"),
    [
        (ZeroDivisionError("the first arm broke"), "ZeroDivisionError: the first arm broke", True),
        pytest.param(
            InputError("corpus.txt must stay where it is"),
            *("corpus.txt must stay where it is", False),
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_job_that_fails_neither_stops_nor_hides_the_others(
    swept: Swept,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: Exception,
    reason: str,
    traceback: bool,
) -> None:
    trained = job.train
    calls: list[float] = []

    def fragile(config: dict[str, Any], *rest: Any) -> str:
        calls.append(config["mask"]["rate"])
        if config["mask"]["rate"] == 0.15:
            raise error
        return trained(config, *rest)

    monkeypatch.setattr(job, "train", fragile)
    experiment = type(error).__name__
    ended = execute(
        capsys, swept.folder, "-m", *TINY, FACTOR, f"tracking.experiment={experiment}", f"output_dir={experiment}"
    )
    assert ended.code == 1
    assert calls == [0.15, 0.3]
    *_, headline, line = ended.err.splitlines()
    assert headline == "bertlab: 1 of 2 runs failed; the others are in the report"
    failed, _, stated = line.strip().partition(": ")
    assert stated == reason
    assert sorted(failed.lower().split()) == sorted([*TINY, "mask.rate=0.15", f"output_dir={experiment}".lower()])
    assert ("Traceback" in ended.err) == traceback
    parent = find_sweep(swept.client, experiment, None)
    assert [run.info.run_name for run in children(swept.client, parent)] == ["mask.rate=0.3"]
    report = (
        swept.folder
        / next(line for line in ended.out.splitlines() if "report:" in line).removeprefix("report:").strip()
    )
    assert report.is_file()
    assert "the run failed" in (report.parents[1] / "0" / "run.log").read_text("utf-8")
    assert "the run failed" not in (report.parents[1] / "1" / "run.log").read_text("utf-8")


@pytest.mark.slow
def test_an_interrupted_sweep_is_killed(
    swept: Swept, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(job, "train", interrupted)
    ended = execute(
        capsys, swept.folder, "-m", *TINY, FACTOR, "tracking.experiment=interrupted", "output_dir=interrupted"
    )
    assert (ended.code, ended.out) == (130, "")
    assert ended.err == "bertlab: interrupted; type the same command to run it again\n"
    assert find_sweep(swept.client, "interrupted", None).info.status == "KILLED"


class FakeLauncher:
    """A launcher that loses one job and finishes the others, and remembers its input."""

    def __init__(self) -> None:
        self.given: list[list[str]] = []

    def launch(self, jobs: list[list[str]], initial_job_idx: int) -> list[JobReturn]:
        self.given += jobs
        lost = JobReturn(overrides=jobs[0], status=JobStatus.FAILED, _return_value=ConnectionError("node 3 went away"))
        return [lost, *(JobReturn(status=JobStatus.COMPLETED, _return_value=Outcome(tuple(job))) for job in jobs[1:])]


@pytest.fixture
def bare_sweep(monkeypatch: pytest.MonkeyPatch, store: TokenStore) -> None:
    """Run a grid without training or a report."""
    monkeypatch.setattr(StoreLogbook, "report", lambda book: book.folder / "report.md")
    monkeypatch.setattr(Checks, "check", lambda _, config: store)


@pytest.mark.usefixtures("bare_sweep")
def test_a_job_that_the_launcher_lost_is_an_outcome(
    swept: Swept, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fixed = [f"tracking.uri={swept.client.tracking_uri}", "tracking.experiment=lost", f"output_dir={tmp_path}"]
    words = ["-m", "pairs@evaluation.pairs=none,nsp", "seed=1,2"]
    grid = Grid([[*fixed, "seed=1"], [*fixed, "seed=2"]], ["pairs@evaluation.pairs", "seed"], fixed, words)
    launcher: Any = FakeLauncher()
    end = run_grid(grid, load, launcher, tmp_path / "sweep")
    assert [(outcome.status, name) for outcome, name in zip(end.outcomes, end.names, strict=True)] == [
        ("failed", "seed=1"),
        ("finished", "seed=2"),
    ]
    with pytest.raises(SystemExit) as caught:
        say(end)
    assert caught.value.code == 1
    assert f"  output_dir={tmp_path} seed=1: ConnectionError: node 3 went away" in capsys.readouterr().err.splitlines()
    parent = find_sweep(swept.client, "lost", None)
    for given in launcher.given:
        assert f"tracking.parent={parent.info.run_id}" in given
        assert "tracking.factors=['pairs@evaluation.pairs','seed']" in given
        assert "tracking.baseline=True" in given, "a seed alone makes no other arm"
        assert resolved(load(given))["tracking"]["factors"] == ["pairs@evaluation.pairs", "seed"]
    assert parent.data.tags["bertlab.factors"] == "evaluation.pairs seed", "as the parameters are called"
    assert parent.info.run_name == "pairs@evaluation.pairs=none,nsp seed=1,2"


@pytest.mark.slow
def test_files_can_be_swept_although_none_is_the_default(corpus: str, tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "a.txt").write_text(corpus)
    (tmp_path / "b.txt").write_text(
        "\n\n".join(
            f"{one}\nAnd this is the end of it, as it was of all the others, and will be of those that come."
            for one in corpus.split("\n\n")
        )
    )
    words = [word for word in TINY if not word.startswith("data.files")]
    ended = execute(capsys, tmp_path, "-m", *words, "data.files=a.txt,b.txt")
    assert ended.code in (0, None), ended
    client = MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    runs = {run.info.run_name: run for run in children(client, find_sweep(client, "bertlab", None))}
    assert set(runs) == {"data.files=a.txt", "data.files=b.txt"}
    assert {run.data.tags["bertlab.baseline"] for run in runs.values()} == {"true", "false"}
    assert len({run.data.tags["bertlab.corpus"] for run in runs.values()}) == 2
    report = next(tmp_path.glob("outputs/sweeps/*/report/report.md")).read_text()
    assert "- Unknown: 0% of the training tokens" in report
    assert "**The corpus weakens the comparison:**" in report, "each document of one file has the same last sentence"


def test_a_sweep_typed_again_runs_only_what_is_missing_and_reports_all(
    swept: Swept, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    trained, rates = job.train, list[float]()

    def counted(config: dict[str, Any], *rest: Any) -> str:
        rates.append(config["mask"]["rate"])
        return trained(config, *rest)

    monkeypatch.setattr(job, "train", counted)
    ended = execute(capsys, swept.folder, "-m", *TINY, "mask.rate=0.15,0.3,0.4")
    assert (ended.code, rates) == (0, [0.4])
    table = [line.split()[:2] for line in ended.out.splitlines()[:3]]
    assert table == [["reused", "mask.rate=0.15"], ["reused", "mask.rate=0.3"], ["finished", "mask.rate=0.4"]]
    found = children(swept.client, find_sweep(swept.client, "bertlab", None))
    assert {run.info.run_id for run in swept.runs.values()} < {run.info.run_id for run in found}
    assert [run.data.params["mask.rate"] for run in found] == ["0.15", "0.3", "0.4"]
    assert [run.data.tags["bertlab.baseline"] for run in found] == ["true", "false", "false"]
    report = swept.folder / ended.out.splitlines()[3].removeprefix("report:").strip()
    assert len(pd.read_csv(report.with_suffix("") / "runs.csv")) == 3


def test_a_crash_that_repeats_itself_stops_the_rest_of_a_sweep(
    swept: Swept, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    calls = list[float]()

    def broken(config: dict[str, Any], *_: Any) -> str:
        calls.append(config["mask"]["rate"])
        raise ZeroDivisionError("always")

    monkeypatch.setattr(job, "train", broken)
    own = ("mask.rate=0.1,0.2,0.3,0.4,0.5", "tracking.experiment=broken", "output_dir=broken")
    ended = execute(capsys, swept.folder, "-m", *TINY, *own)
    assert (ended.code, calls) == (1, [0.1, 0.2, 0.3])
    last = ended.err.splitlines()[-1]
    assert last == ("bertlab: stopped early, 2 runs are left: 3 runs in a row ended with ZeroDivisionError: always")
    assert [line.split()[0] for line in ended.out.splitlines()[:5]] == ["failed"] * 3 + ["not"] * 2


def test_configurations_are_alike_but_for_the_seed_and_what_cannot_change_a_result() -> None:
    base = resolved(load([]))
    same = resolved(load(["seed=7", "trainer.threads=2", "output_dir=x", "tracking.experiment=y"]))
    assert alike(base, same)
    assert not alike(base, resolved(load(["mask.rate=0.3"])))


def test_a_command_is_recorded_so_that_a_shell_can_repeat_it() -> None:
    words = ["-m", "mask.split=[1,0,0],[.8,.1,.1]", "data.files='my book.txt'"]
    grid = Grid([], ["mask.split"], [], words)
    assert grid.command.endswith("""-m 'mask.split=[1,0,0],[.8,.1,.1]' 'data.files='"'"'my book.txt'"'"''""")
    assert grid.title == "mask.split=[1,0,0],[.8,.1,.1]"
    assert Grid([], [], [], words).title == "sweep"


@pytest.mark.slow
def test_the_joblib_launcher_runs_the_same_sweep(
    swept: Swept, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    words = ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "tracking.experiment=joblib", "output_dir=joblib")
    ended = execute(capsys, swept.folder, "-m", *TINY, FACTOR, *words)
    assert ended.code == 0
    parent = find_sweep(swept.client, "joblib", None)
    runs = {run.info.run_name: run for run in children(swept.client, parent)}
    assert runs.keys() == swept.runs.keys()
    for name, run in runs.items():
        assert run.info.status == "FINISHED"
        assert run.data.tags["bertlab.key"] == swept.runs[name].data.tags["bertlab.key"]
        same = ("eval/mlm_loss", "train/loss", "perf/flops")
        assert [run.data.metrics[metric] for metric in same] == [
            swept.runs[name].data.metrics[metric] for metric in same
        ]


def test_a_store_without_sweeps_has_no_report(swept: Swept, tmp_path: Path) -> None:
    Tracker(uri=swept.client.tracking_uri, experiment="bare").experiment_id(swept.client)
    with pytest.raises(InputError, match=r"sweep=latest must be a sweep of experiment 'bare', found none"):
        write({**DEFAULTS, "uri": swept.client.tracking_uri, "experiment": "bare", "out": str(tmp_path / "report")})
    assert not (tmp_path / "report").exists()


def test_the_report_command_prints_the_path(
    swept: Swept, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from bertlab.report.__main__ import main as report

    report([f"uri={swept.client.tracking_uri}", f"out={tmp_path / 'report'}"])
    assert capsys.readouterr() == (f"{tmp_path / 'report' / 'report.md'}\n", "")
    with pytest.raises(SystemExit) as caught:
        report(["swep=latest"])
    assert caught.value.code == 2
    assert capsys.readouterr().err == (
        "bertlab: arguments must be key=value with a known key, got swep=latest; did you mean sweep=...?\n"
    )


def test_if_no_run_began_none_is_reported_as_failed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        say_failures([Outcome((f"seed={seed}",), "no room", started=False) for seed in range(2)])
    assert capsys.readouterr().err == "bertlab: stopped early, 2 runs are left: no room\n"
