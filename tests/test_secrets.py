"""A sweep and a study whose store needs a password: their files and output never contain it."""

import lzma
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from joblib.externals.loky import get_reusable_executor

from tests.command import exit_code
from tests.experiment.test_run_study import TINY as STUDY

TINY = (
    *("data=oracle", "data.documents=60", "batch.size=4", "batch.length=35", "budget.tokens=700"),
    *("evaluation.sequences=8", "evaluation.pseudo=0", "trainer.progress=false"),
)
SECRET = "Sup3rS3cret"
URI = "'sqlite:///file:{folder}/mlflow.db?uri=true&password={password}'"  # SQLite takes it, and ignores the password
with_submitit = pytest.mark.skipif(
    find_spec("submitit") is None, reason="submitit is not installed (pip install 'bertlab-ablations[slurm]')"
)
NAMED = "${oc.env:DBPW}"
PASSWORDS = (NAMED, SECRET)
Command = Callable[..., tuple[Any, str]]


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Command:
    """Run `python -m bertlab.run` in a folder of its own, in this process: (exit code, all that it prints)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DBPW", SECRET)
    monkeypatch.setenv("BERTLAB_TRACKING_URI", "")  # so that what the command sets is undone

    def run(*words: str) -> tuple[Any, str]:
        get_reusable_executor().shutdown()  # workers of an earlier command know nothing of this one's environment
        code = exit_code(*words)
        return code, "".join(capfd.readouterr())

    return run


def contents(folder: Path) -> Iterator[tuple[Path, bytes]]:
    """Yield every file below a folder, compressed ones unpacked."""
    for path in folder.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            yield path, lzma.decompress(content) if path.suffix == ".xz" else content


def assert_clean(folder: Path, printed: str) -> None:
    assert SECRET not in printed
    files = dict(contents(folder))
    assert {"mlflow.db", "config.yaml", "run.json"} <= {path.name for path in files}
    assert [path for path, content in files.items() if SECRET.encode() in content] == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("launcher", "password"),
    [
        *(("basic", password) for password in PASSWORDS),
        ("joblib", NAMED),
        pytest.param("slurm_local", NAMED, marks=with_submitit),
    ],
)
def test_a_sweep_leaves_no_secret(command: Command, tmp_path: Path, launcher: str, password: str) -> None:
    words = (
        f"hydra/launcher={launcher}",
        f"tracking.uri={URI.format(folder=tmp_path, password=password)}",
        "mask.rate=0.15,0.3",
    )
    code, printed = command("-m", *TINY, *words)
    assert code == 0, printed
    assert_clean(tmp_path, printed)
    (report,) = tmp_path.glob("outputs/sweeps/*/report/report.md")
    assert "mask.rate=0.15,0.3" in report.read_text()
    assert "tracking.uri" not in report.read_text()


@pytest.mark.slow
@pytest.mark.parametrize("password", PASSWORDS)
def test_a_study_leaves_no_secret(command: Command, tmp_path: Path, password: str) -> None:
    code, printed = command(
        *STUDY, "study.seeds=3", "study.looks=[3]", f"tracking.uri={URI.format(folder=tmp_path, password=password)}"
    )
    assert code == 0, printed
    assert_clean(tmp_path, printed)
    assert len(list(tmp_path.glob("outputs/reports/*/cells.tar.xz"))) == 1


@pytest.mark.parametrize(
    "words",
    [
        (f"tracking.uri=postgresql+psycopg2://bert:{SECRET}@127.0.0.1:1/db",),
        ("tracking.uri=postgresql+psycopg2://bert:${oc.env:DBPW}@127.0.0.1:1/db",),
        (f"tracking.uri=http://bert:{SECRET}@127.0.0.1:1",),
        (f"tracking.uri=http://bert:{SECRET}@127.0.0.1:1", "-m", "mask.rate=0.15,0.3"),
        (f"tracking.uri=nonsense://{SECRET}@host",),
        (f"tracking.uri=x://bert:{SECRET}@host", "mask.rate=1.5"),
        (f"trcking.uri=x://bert:{SECRET}@host",),
        (f"tracking.uri=x://bert:{SECRET}@host=wrong",),
        (f"tracking.uri=x://bert:{SECRET}@[host",),
        (f"tracking.uri=x://bert:{SECRET}@a,x://bert:{SECRET}@b",),
        (f"trainer.token={SECRET}",),
    ],
)
def test_what_is_refused_is_said_without_its_secret(command: Command, tmp_path: Path, words: tuple[str, ...]) -> None:
    code, printed = command(*TINY, *words)
    assert code == 2
    assert printed.startswith("bertlab: ")
    assert SECRET not in printed
    assert [path for path, content in contents(tmp_path) if SECRET.encode() in content] == []
