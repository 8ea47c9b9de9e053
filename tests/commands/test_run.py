"""The command line: bad input gives one line, exit code 2 and nothing in MLflow; a run ends with its true status."""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from mlflow.entities import Run
from mlflow.tracking import MlflowClient

from bertlab.config.compose import PACKAGE
from bertlab.objective.joint import Joint
from bertlab.tracking.mlflow import Tracker
from tests.command import typed_exit_code

SMALL = ("batch.size=4", "batch.length=35", "budget.tokens=700", "evaluation.sequences=8", "trainer.progress=false")
TINY = ("data=oracle", "data.documents=60", *SMALL)  # 5 steps


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: Any
    out: str
    err: str


Command = Callable[..., Ended]


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    uri = f"sqlite:///{tmp_path_factory.mktemp('store') / 'mlflow.db'}"
    Tracker(uri=uri, experiment="bertlab").connect()
    return uri


@pytest.fixture
def runs(uri: str) -> Callable[[], list[Run]]:
    """Return the runs that the test made, newest first."""
    client = MlflowClient(uri)

    def all_runs() -> list[Run]:
        experiments = [found.experiment_id for found in client.search_experiments()]
        return list(client.search_runs(experiments))

    before = {run.info.run_id for run in all_runs()}
    return lambda: [run for run in all_runs() if run.info.run_id not in before]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str], uri: str) -> Command:
    """Run `python -m bertlab.run` with some words in an empty folder, in this process."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    monkeypatch.delenv("BERTLAB_TRACEBACK", raising=False)
    monkeypatch.chdir(tmp_path)
    return lambda *words: Ended(typed_exit_code(*words), *capsys.readouterr())


@pytest.fixture
def here(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory of a command; the default store and all temporary files would be here too."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    return tmp_path


def everything(folder: Path) -> dict[Path, bytes | None]:
    """Return the content of a folder by path, None for a subfolder."""
    return {path: path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


def assert_refused(ended: Ended, message: str) -> None:
    assert ended.err.startswith(f"bertlab: {message}")
    assert len(ended.err.splitlines()) == 1
    assert (ended.code, ended.out) == (2, "")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("mask.rte=0.3", "mask.rte is not a key of the configuration; did you mean mask.rate or "),
        ("lr=0.01", "lr is not a key of the configuration; did you mean optimizer.lr?"),
        ("mask=span mask.longst=3", "mask.longst is not a key of the configuration; did you mean mask.longest"),
        ("mask.rate=1e-9", "mask must choose tokens to predict, got none in the first "),
        (
            "model=huge",
            "model=huge is not an option; choose one of base, mini, modernbert, nano, replaced, replaced_base, small,",
        ),
        ("regime=gpt", "regime=gpt is not an option; choose one of bert"),
        ("-m seed=0 hydra/launcher=moon", "hydra/launcher=moon is not an option; choose one of basic"),
        ("mask.rate=1.5", "mask.rate must lie in (0, 1), got 1.5; choose a number inside"),
        ("mask.rate=often", "mask.rate must lie in (0, 1), got often; choose a number inside"),
        ("-m study=mask_rate,warmup", "study must name one study, got several; give each a command of its own"),
        ("mask.rate=0.1,0.2", "mask.rate must be one value, got 0.1,0.2; add -m to run each of them"),
        ("mask.split=[0.8,0.1,0.2]", "mask.split (mask, random, keep) must sum to 1, got [0.8, 0.1, 0.2], sum 1.1"),
        ("batch.size=many", "batch.size must be a whole number of at least 1, got many; choose for example 1"),
        ("batch.size=1000 budget.tokens=35000", "batch.size must be at most the "),
        ("budget.tokens=139", "budget.tokens must pay for one batch of 140 tokens, got 139; raise it"),
        ("budget.tokens=1e6", "budget.tokens must be a whole number of at least 1, got 1000000.0"),
        ("seed=-1", "seed must be a whole number of at least 0, got -1"),
        ("~batch.size", "batch.size must be given, got nothing; keep the default"),
        ("model.width=64 model.heads=3", "model.heads must divide model.width 64, got 3; choose a divisor"),
        (
            "model/position=learned batch.length=513 budget.tokens=9999",
            "batch.length must be at most model.position.positions 512",
        ),
        ("optimizer.lr=-1", "optimizer.lr must lie in (0, 1000), got -1; choose a number inside"),
        (
            "trainer.precision=99",
            "trainer.precision must be 32-true, bf16-mixed or bf16-products, got 99; choose one of them",
        ),
        ("trainer.accelerator=abacus", "trainer.accelerator must be one that works here, got abacus: "),
        ("data._target_=os.system", "data._target_ must name a part of bertlab, got os.system; choose an option of"),
        ("+mask.extra=3", "mask.extra is not a key of this part; "),
        ("tracking.uri=http://127.0.0.1:9", "tracking.uri must reach an MLflow server, got http://127.0.0.1:9: "),
        ("tracking.uri=sqlite:///absent/mlflow.db", "tracking.uri must be a database that can be written, got /"),
        ("output_dir=letter/outputs", "letter/outputs/runs/"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(command: Command, here: Path, words: str, message: str) -> None:
    (here / "letter").write_text("a file, not a folder", "utf-8")
    own, before = words.split(), everything(here)
    keys = {word.lstrip("~+").partition("=")[0] for word in own}
    assert_refused(command(*(word for word in TINY if word.partition("=")[0] not in keys), *own), message)
    assert everything(here) == before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("data.files=absent.txt", "data.files must name files that are there, got 'absent.txt', "),
        ("data.files=empty.txt", "empty.txt must hold at least one document, got none; "),
        ("data.files=one.txt", "data=text must hold at least 2 documents for training and 2 held out, got "),
        ("data.files=letter", "data.files must end in .txt, .jsonl, .parquet"),
        ("", "data.files must be given; add data.files=... to the command line"),
    ],
)
def test_a_corpus_that_cannot_be_used_is_one_line_and_leaves_nothing(
    command: Command, here: Path, words: str, message: str
) -> None:
    (here / "letter").write_text("A letter.", "utf-8")
    (here / "empty.txt").write_text("", "utf-8")
    (here / "one.txt").write_text("One document only. It has two sentences.\n", "utf-8")
    before = everything(here)
    assert_refused(command("data=text", *SMALL, *words.split()), message)
    assert everything(here) == before


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_gpu_that_is_not_there_is_one_line(command: Command, runs: Callable[[], list[Run]]) -> None:
    assert_refused(
        command(*TINY, "trainer.accelerator=gpu"), "trainer.accelerator must be one that works here, got gpu: "
    )
    assert runs() == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("mask.rate=0.15,1.5", "mask.rate must lie in (0, 1), got 1.5; choose a number inside"),
        ("model=nano,huge", "model=huge is not an option; choose one of "),
        ("mask.rte=0.1,0.2", "mask.rte is not a key of the configuration; did you mean mask.rate or "),
        (
            "model=nano,tiny model.width=64 model.heads=1,3",
            "model.heads must divide model.width 64, got 3; choose a divisor",
        ),
        ("optimizer.lr=1e-3,-1", "optimizer.lr must lie in (0, 1000), got -1; choose a number inside"),
        ("mask.rate=0.15,0.2,1e-9", "mask must choose tokens to predict, got none in the first "),
        ("optimizer.lr=1e-3,2e-3 batch.size=4,1000 budget.tokens=35000", "batch.size must be at most the "),
        ("trainer.accelerator=cpu,abacus", "trainer.accelerator must be one that works here, got abacus: "),
        ("seed=0,1 output_dir=letter/outputs", "letter/outputs/sweeps/"),
        ("seed=0,1 tracking.uri=http://127.0.0.1:9", "tracking.uri must reach an MLflow server, got "),
    ],
)
def test_one_bad_cell_stops_a_sweep_before_anything_runs_or_is_written(
    command: Command, here: Path, words: str, message: str
) -> None:
    (here / "letter").write_text("a file, not a folder", "utf-8")
    own, before = words.split(), everything(here)
    keys = {word.partition("=")[0] for word in own}
    assert_refused(command("-m", *(word for word in TINY if word.partition("=")[0] not in keys), *own), message)
    assert everything(here) == before


def test_the_sweep_flag_may_be_anywhere(command: Command) -> None:
    assert_refused(command(*TINY, "-m", "mask.rate=0.15,1.5"), "mask.rate must lie in (0, 1), got 1.5")


def test_one_run_leaves_its_record(command: Command, runs: Callable[[], list[Run]], tmp_path: Path) -> None:
    ended = command(*TINY, "mask.rate=0.3")
    assert ended.code == 0
    (run,) = runs()
    assert run.info.status == "FINISHED"
    assert (run.data.params["data"], run.data.params["mask.rate"]) == ("oracle", "0.3")
    assert run.data.metrics["perf/tokens"] == 700
    assert "Traceback" not in ended.err
    assert [line for line in ended.err.splitlines() if "Lightning" in line or "Warning" in line] == []
    (folder,) = (tmp_path / "outputs" / "runs").iterdir()
    assert [path.name for path in folder.iterdir()] == ["run.log"]
    assert "parameters, 5 steps" in (folder / "run.log").read_text("utf-8")


@pytest.mark.parametrize(
    ("interruption", "code", "last"),
    [
        (lambda: signal.raise_signal(signal.SIGTERM), 143, ""),
        (
            lambda: signal.raise_signal(signal.SIGINT),
            130,
            "bertlab: interrupted; type the same command to run it again",
        ),
    ],
    ids=["termination", "interrupt"],
)
def test_a_run_that_is_stopped_is_killed(
    command: Command,
    runs: Callable[[], list[Run]],
    monkeypatch: pytest.MonkeyPatch,
    interruption: Callable[[], None],
    code: int,
    last: str,
) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    learn = Joint.__call__

    def interrupted(*parts: Any) -> Any:
        interruption()  # the step is completed, and then the run is stopped
        return learn(*parts)

    monkeypatch.setattr(Joint, "__call__", interrupted)
    ended = command(*TINY)
    assert ended.code == code
    assert "Traceback" not in ended.err
    assert last in ended.err.splitlines()[-1]
    assert [run.info.status for run in runs()] == ["KILLED"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler, "a second Ctrl-C must work"


def test_a_run_that_breaks_for_a_fault_of_ours_is_failed(
    command: Command, runs: Callable[[], list[Run]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Joint, "__call__", lambda *_: 1 / 0)
    ended = command(*TINY)
    assert ended.code == 1
    assert ended.err.endswith("bertlab: stopped by an error of its own (ZeroDivisionError); please report it\n")
    assert [run.info.status for run in runs()] == ["FAILED"]


def test_a_run_that_diverges_is_finished_and_tagged(
    command: Command, runs: Callable[[], list[Run]], monkeypatch: pytest.MonkeyPatch
) -> None:
    healthy = Joint.__call__
    monkeypatch.setattr(
        Joint, "__call__", lambda *given: {name: loss * torch.nan for name, loss in healthy(*given).items()}
    )
    ended = command(*TINY)
    assert (ended.code, ended.out.splitlines()[0]) == (0, "diverged: a loss was not finite after 140 tokens")
    (run,) = runs()
    assert (run.info.status, run.data.tags["bertlab.diverged"]) == ("FINISHED", "true")
    again = command("-m", *TINY, "seed=0,1")
    assert again.out.splitlines()[0].startswith(
        f"diverged  seed=0  reused: run {run.info.run_id}, a loss was not finite"
    )
    assert not [name for name in run.data.metrics if name.startswith("eval/")]


def test_help_lists_the_groups_and_the_keys(command: Command) -> None:
    ended = command("--help", "mask=span")
    assert ended.code == 0
    lines = [line.strip() for line in ended.out.splitlines()]
    assert max(map(len, lines)) <= 120
    assert [
        line
        for line in lines
        if re.match(r"model +base mini modernbert \*nano replaced replaced_base small tiny  # size and parts", line)
    ]
    assert [line for line in lines if re.match(r"mask\.longest=\d+ +\w", line)], "a key of the option that is chosen"
    assert [line for line in lines if re.match(r"seed=0 +seed of weights, order", line)]
    assert [line for line in lines if "mask_rate" in line.split()]
    assert [line for line in lines if line.startswith("basic joblib ray slurm slurm_local")]


def test_a_reader_that_stops_early_is_no_error() -> None:
    piped = f"{sys.executable} -m bertlab.run --help | head -1"
    ended = subprocess.run(piped, shell=True, capture_output=True, text=True, check=True)
    assert ended.stdout.startswith("Train one run; ")
    assert ended.stderr == ""


def typed(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command as a user does, from a separate folder."""
    return subprocess.run(
        [sys.executable, "-m", "bertlab.run", *words],
        env={**os.environ, "PYTHONPATH": str(PACKAGE.parent), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_typing_mistake_is_one_line_and_its_traceback_comes_back_on_demand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)
    sizes = "base, mini, modernbert, nano, replaced, replaced_base, small, tiny"
    line = f"bertlab: model=huge is not an option; choose one of {sizes}\n"
    plain = typed("model=huge")
    assert (plain.returncode, plain.stdout, plain.stderr) == (2, "", line)
    verbose = typed("model=huge", BERTLAB_TRACEBACK="1")
    assert (verbose.returncode, verbose.stdout) == (2, "")
    assert verbose.stderr.startswith("Traceback (most recent call last):")
    assert verbose.stderr.endswith(line)
    assert list(tmp_path.iterdir()) == []


EDIT = """
from pathlib import Path
import bertlab.sweep.run
from bertlab.identity.code import PACKAGE, STEPS, Sources, code_of
parts = ["bertlab.mask.span.SpanMask"]
at_start, on_disk = code_of(frozenset(parts)), Sources().used_by([*STEPS, *parts])
policy = PACKAGE / "mask" / "span.py"
policy.write_text("raise ImportError('this was written later')")
import bertlab.mask.span
code_of.cache_clear()
print(PACKAGE, at_start == on_disk, code_of(frozenset(parts)) == at_start)
try:
    Sources().used_by(parts)
except LookupError:
    print("gone")
"""


@pytest.mark.slow
def test_a_run_is_labelled_with_the_running_code_despite_later_edits(tmp_path: Path) -> None:
    shutil.copytree(PACKAGE, tmp_path / "bertlab", ignore=shutil.ignore_patterns("__pycache__"))
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    edited = subprocess.run(
        [sys.executable, "-c", EDIT], env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert edited.stdout == f"{tmp_path / 'bertlab'} True True\ngone\n", edited.stderr
