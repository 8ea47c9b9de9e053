"""System metrics: optional, only in the store, and never a reason for a run to stop."""

import time

import pytest
from mlflow.tracking import MlflowClient

from bertlab.config.errors import InputError
from bertlab.tracking import system_metrics
from bertlab.tracking.description import OUTCOME, Description
from bertlab.tracking.mlflow import Tracker
from bertlab.tracking.system_metrics import check_system_metrics

psutil = pytest.importorskip("psutil", reason="psutil is not here: pip install '.[system]'")


def test_a_machine_is_watched_by_choice_and_each_step_once(
    tracker: Tracker, client: MlflowClient, description: Description, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL", "0.05")
    watching = Tracker(uri=tracker.uri, experiment=tracker.experiment, system_metrics=True)
    with watching.run(description) as run:
        time.sleep(0.3)
        assert client.get_run(run.run_id).data.metrics == {}, "the outcome is first"
        run.log(1, {OUTCOME: 3.0})
        run.flush()
        while "system/cpu_utilization_percentage" not in client.get_run(run.run_id).data.metrics:
            time.sleep(0.05)
    history = client.get_metric_history(run.run_id, "system/system_memory_usage_megabytes")
    assert [own.step for own in history] == list(range(len(history)))
    assert all(own.value > 0 for own in history)
    assert client.get_run(run.run_id).info.status == "FINISHED"
    with tracker.run(description) as run:
        pass
    assert not [name for name in client.get_run(run.run_id).data.metrics if name.startswith("system/")]


def test_system_metrics_need_a_store_and_psutil(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match=r"^system_metrics needs a store, got offline=true"):
        check_system_metrics(True, True)
    with pytest.raises(InputError, match=r"^system_metrics must be true or false, got 1"):
        check_system_metrics(1, False)
    monkeypatch.setattr(system_metrics, "find_spec", lambda _: None)
    assert check_system_metrics(False, True) is False
    with pytest.raises(InputError, match=r"^system_metrics needs psutil.*pip install"):
        check_system_metrics(True, False)
