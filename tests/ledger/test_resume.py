"""Runs are killed at random moments, typed again, and end as if nothing had happened."""

import os
import re
import subprocess
import sys

from bertlab.compose import PACKAGE


def test_a_run_that_is_killed_three_times_loses_nothing() -> None:
    ended = subprocess.run(
        [sys.executable, str(PACKAGE.parent / "benchmarks" / "soak.py"), "kills=3"],
        env={**os.environ, "PYTHONPATH": str(PACKAGE.parent), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    figures = {name: int(number) for name, number in re.findall(r"^(.+): (\d+)$", ended.stdout, re.MULTILINE)}
    assert ended.returncode == 0, ended.stderr
    assert figures.pop("kills") == 3
    assert figures.pop("runs") >= 1
    figures.pop("resumed")  # how many it is depends on the moments
    assert set(figures.values()) == {0}, figures
