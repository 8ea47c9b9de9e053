"""The log of a sweep: the notes of its jobs, in order, even if one dies in the middle of a line."""

import json
from pathlib import Path

import pytest

from bertlab.sweep import sweep_log as diary_module
from bertlab.sweep.sweep_log import SweepLog, span
from bertlab.tracking.result import Outcome, RunResult

RESULT = RunResult("7", "finished", {"eval/mlm_loss": 1.0}, Path("cells/a-b-c"))


def ended(error: str | None) -> Outcome:
    return Outcome(("seed=1", "mask.rate=0.3"), error, None if error else RESULT)


def test_three_crashes_in_a_row_with_the_same_words_are_noticed(tmp_path: Path) -> None:
    diary = SweepLog(tmp_path, "sweep")
    for number, error in enumerate(("a", "a", None, "b", "a", "a")):
        diary.begin(number)
        diary.end(number, ended(error))
        assert diary.repeated() is None
    diary.begin(6)
    diary.end(6, ended("a"))
    diary.begin(7)
    assert diary.repeated() == "a"
    diary.forget()
    assert diary.repeated() is None
    assert list(tmp_path.iterdir()) == []
    for number in range(3):
        diary.end(number, ended(None))
    assert diary.repeated() is None


def test_a_job_that_never_ended_is_distinguished_from_those_that_did(tmp_path: Path) -> None:
    diary = SweepLog(tmp_path, "sweep")
    for number in (4, 2, 7):
        diary.begin(number)
    diary.end(7, ended("a"))
    diary.end(4, ended(None))
    assert diary.outcomes() == {4: ended(None), 2: None, 7: ended("a")}


def test_the_last_notes_are_found_without_a_look_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diary_module, "TAIL", 600)
    diary, read = SweepLog(tmp_path, "sweep"), list[int]()
    for number in range(100):
        diary.end(number, ended("a" if number > 96 else None))
    real = json.loads

    def counted(line: bytes) -> object:
        read.append(len(line))
        return real(line)

    monkeypatch.setattr(json, "loads", counted)
    assert diary.repeated() == "a"
    assert sum(read) <= 600
    assert len(diary.outcomes()) == 100


def test_half_a_line_is_no_note(tmp_path: Path) -> None:
    diary = SweepLog(tmp_path, "sweep")
    diary.begin(4)
    with (tmp_path / "crashes" / "sweep.jsonl").open("a") as file:
        file.write('{"job": 4, "err')
    assert diary.outcomes() == {4: None}


def test_progress_is_said_with_the_time_that_is_left_at_the_pace_so_far(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr("bertlab.sweep.sweep_log.time.time", lambda: now[0])
    diary = SweepLog(tmp_path, "sweep")
    assert diary.progress() == ""
    diary.expect(15)
    said = []
    for number in range(15):
        diary.begin(number)
        now[0] += 100
        diary.end(number, ended(None))
        said.append(diary.progress())
    assert said[3] == "4 of 15 runs have ended, about 18 min left"
    assert said[-2:] == ["14 of 15 runs have ended, about 2 min left", "15 of 15 runs have ended"]
    assert diary.outcomes().keys() == set(range(15))


@pytest.mark.parametrize(("seconds", "words"), [(0, "0 s"), (59, "59 s"), (60, "1 min"), (5400, "1.5 h")])
def test_times_are_short(seconds: float, words: str) -> None:
    assert span(seconds) == words
