"""A really full or read-only disk: one line, no half-written file, and the run continues when there is room."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from bertlab.tracking.run_folder import run_folders_in
from tests.integration.conftest import Spawn
from tests.integration.warm import Program

pytestmark = pytest.mark.integration

RUN = (
    *("-m", "bertlab.run", "data=oracle", "data.documents=60", "batch.size=4", "batch.length=35"),
    *("budget.tokens=2000", "evaluation.sequences=8", "evaluation.pseudo=0", "trainer.progress=false"),
    "tracking.offline=true",
)


def mount(*words: str) -> None:
    subprocess.run(["mount", *words], check=True, capture_output=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of half a megabyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.geteuid() != 0:
        pytest.skip("only root mounts a disk of its own")
    try:
        mount("-t", "tmpfs", "-o", "size=512k", "tmpfs", str(folder))
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no disk can be mounted here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def ended(process: Program) -> tuple[int, str]:
    _, error = process.communicate(timeout=200)
    assert "Traceback" not in error
    return process.returncode, error


@pytest.mark.parametrize("how", ["full", "read-only"])
def test_a_run_whose_disk_refuses_says_so_and_goes_on_later(disk: Path, spawn: Spawn, how: str) -> None:
    if how == "full":
        (disk / "filler").write_bytes(bytes(480 * 1024))
    else:
        mount("-o", "remount,ro", str(disk))
    code, error = ended(spawn(*RUN, f"output_dir={disk / 'outputs'}"))
    assert code in (1, 2)
    last = error.strip().splitlines()[-1]
    assert last.startswith("bertlab: ")
    assert str(disk) in last
    mount("-o", "remount,rw,size=64m", str(disk))
    (disk / "filler").unlink(missing_ok=True)
    code, error = ended(spawn(*RUN, f"output_dir={disk / 'outputs'}"))
    assert code == 0, error
    (cell,) = run_folders_in(disk / "outputs")
    assert cell.record() is not None
