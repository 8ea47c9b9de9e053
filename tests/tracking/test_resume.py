"""Runs are killed at random moments, started again, and end as if they had not been killed."""

import os
import re
import subprocess
import sys

import pytest

from bertlab.config.compose import PACKAGE


@pytest.mark.slow
def test_a_run_that_is_killed_three_times_goes_on_and_loses_nothing() -> None:
    ended = subprocess.run(
        [sys.executable, str(PACKAGE.parent / "benchmarks" / "soak.py"), "kills=3", "inputs=0"],
        env={**os.environ, "PYTHONPATH": str(PACKAGE.parent), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    figures = {name: int(number) for name, number in re.findall(r"^(.+): (\d+)$", ended.stdout, re.MULTILINE)}
    assert ended.returncode == 0, ended.stderr or ended.stdout
    assert figures["kills survived"] == 3
    assert figures["starts that went on"] >= 1, "from a checkpoint"
    damage = {name: figures[name] for name in figures if re.search("lost|repeated|other|doubled|changed", name)}
    assert len(damage) == 6
    assert set(damage.values()) == {0}, figures
