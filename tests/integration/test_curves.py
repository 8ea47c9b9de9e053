"""Curves from a real server: the file of a run there agrees with its cell and with the store's history."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from bertlab.tracking import runs_table
from bertlab.tracking.mlflow import Tracker
from bertlab.tracking.runs_table import read_runs_table
from tests.integration.conftest import Server
from tests.integration.test_sweeps import TINY, end

pytestmark = pytest.mark.integration


def test_the_file_at_the_server_is_the_cell_and_the_history(
    server: Server, spawn: Callable[..., subprocess.Popen[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    end(spawn(*TINY, "-m", "seed=0,1", f"tracking.uri={server.uri}", "tracking.experiment=curves"))
    tracker = Tracker(uri=server.uri, experiment="curves")
    client = tracker.connect()
    found = client.search_runs([tracker.experiment_id(client)], "tags.`bertlab.kind` = 'run'")
    runs = sorted(found, key=lambda run: str(run.info.run_name))
    assert len(runs) == 2
    there = read_runs_table(client, runs, tmp_path / "outputs").curves
    assert len(there)
    with monkeypatch.context() as patch:
        patch.setattr(runs_table, "curves_stored", lambda *_: pytest.fail("the file is not read"))
        pd.testing.assert_frame_equal(read_runs_table(client, runs, None).curves, there)
    monkeypatch.setattr(runs_table, "curves_left", lambda *_: None)
    history = read_runs_table(client, runs, None).curves.sort_values(["run_id", "metric", "step"], ignore_index=True)
    expected = there.sort_values(["run_id", "metric", "step"], ignore_index=True)
    pd.testing.assert_frame_equal(history, expected)
