"""Other trackers, and a command at the end of a run: both get the results, and neither can stop a run."""

import json
import logging
import sys
from pathlib import Path
from typing import Any

import pytest

from bertlab.config.errors import InputError
from bertlab.tracking import loggers
from bertlab.tracking.loggers import OtherLoggers, check_command, check_loggers, run_command
from bertlab.tracking.metrics import Point
from bertlab.tracking.run_folder import RunFolder

TELL = "import json, os, sys; json.dump(dict(os.environ), open(sys.argv[1], 'w'))"


@pytest.fixture
def cell(tmp_path: Path) -> RunFolder:
    folder = tmp_path / "outputs" / "cells" / "a-b-c"
    folder.mkdir(parents=True)
    cell = RunFolder(folder)
    cell.note(token="t0", description={"name": "mask.rate=0.3 tasks/x", "params": {"mask.rate": "0.3"}})
    return cell


class Fake:
    """A logger of Lightning's kind that breaks at one step."""

    experiment = None

    def __init__(self, breaks_at: int | None = None) -> None:
        self.calls: list[Any] = []
        self.breaks_at = breaks_at

    def log_hyperparams(self, params: dict[str, str]) -> None:
        self.calls.append(params)

    def log_metrics(self, numbers: dict[str, float], step: int) -> None:
        if step == self.breaks_at:
            raise OSError("no room")
        self.calls.append((step, numbers))

    def save(self) -> None:
        self.calls.append("saved")

    def finalize(self, status: str) -> None:
        self.calls.append(status)


def test_each_tracker_gets_the_settings_every_point_and_the_end(
    cell: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = Fake()
    monkeypatch.setattr(loggers, "LOGGERS", {"fake": lambda *_: fake})
    trackers = OtherLoggers(["fake"], cell, "bertlab")
    trackers.log(Point(3, 0, {"train/loss": 1.5}))
    trackers.close("FINISHED")
    assert fake.calls == [{"mask.rate": "0.3"}, (3, {"train/loss": 1.5}), "saved", "success"]


def test_a_tracker_that_breaks_is_left_out_with_one_line_and_the_others_go_on(
    cell: RunFolder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    good, bad = Fake(), Fake(breaks_at=2)
    monkeypatch.setattr(loggers, "LOGGERS", {"good": lambda *_: good, "bad": lambda *_: bad})
    trackers = OtherLoggers(["good", "bad"], cell, "bertlab")
    for step in (1, 2, 3):
        trackers.log(Point(step, 0, {"train/loss": 1.0}))
    trackers.close("FAILED")
    assert [call[0] for call in good.calls if isinstance(call, tuple)] == [1, 2, 3]
    assert good.calls[-1] == "failed"
    assert caplog.messages == ["bad is left out from here on: no room"]


@pytest.mark.parametrize("names", ["tensorboard", ["comet"], 3])
def test_a_tracker_that_is_not_known_is_refused(names: object) -> None:
    with pytest.raises(InputError, match=r"^also must list some of tensorboard, wandb, got .*; write"):
        check_loggers(names)


def test_a_tracker_that_is_not_installed_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loggers, "find_spec", lambda _: None)
    with pytest.raises(InputError, match=r"pip install 'bertlab-ablations\[wandb\]'"):
        check_loggers(["wandb"])


def test_event_files_hold_every_point(cell: RunFolder, tmp_path: Path) -> None:
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    trackers = OtherLoggers(["tensorboard"], cell, "bertlab")
    trackers.log(Point(3, 0, {"train/loss": 1.5}))
    trackers.close("FINISHED")
    events = reader.EventAccumulator(str(tmp_path / "outputs/tensorboard/mask.rate=0.3_tasks_x/a-b-c")).Reload()
    assert [(event.step, event.value) for event in events.Scalars("train/loss")] == [(3, 1.5)]


def test_a_command_gets_folder_status_and_name_and_no_secret(
    cell: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "S3cret")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "S3cret")
    run_command([sys.executable, "-c", TELL, str(tmp_path / "told")], cell, "KILLED")
    told = json.loads((tmp_path / "told").read_text("utf-8"))
    assert told["BERTLAB_RUN_FOLDER"] == str(cell.folder)
    assert told["BERTLAB_RUN_STATUS"] == "KILLED"
    assert told["BERTLAB_RUN_NAME"] == "mask.rate=0.3 tasks/x"
    assert "S3cret" not in told.values()


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ([sys.executable, "-c", "raise SystemExit('no network')"], "tracking.on_end failed with exit code 1: no netw"),
        (["/nowhere/told"], "tracking.on_end did not run: "),
    ],
    ids=["fails", "absent"],
)
def test_a_command_that_fails_costs_a_line(
    words: list[str], line: str, cell: RunFolder, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        run_command(words, cell, "FINISHED")
    (said,) = caplog.messages
    assert said.startswith(line)


@pytest.mark.parametrize("command", ["", "'", 3, ["a"]])
def test_what_is_no_command_is_refused(command: object) -> None:
    with pytest.raises(InputError, match=r"^on_end must be a command, got .*; write"):
        check_command(command)


def test_a_command_is_split_into_words_and_no_shell_reads_it() -> None:
    assert check_command("told 'a b'; rm -r /") == ["told", "a b;", "rm", "-r", "/"]
    assert check_command(None) == []
