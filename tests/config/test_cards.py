"""Workers of a pool use different GPUs."""

import os
from typing import Any

import pytest
from joblib import Parallel, delayed

from bertlab.config import cards
from bertlab.config.cards import VISIBLE, cards_of, take_cards, worker_number


def test_as_many_workers_as_cards_take_each_card_once() -> None:
    assert sorted(card for worker in range(3) for card in cards_of(worker, ["0", "1", "5"])) == ["0", "1", "5"]


def test_more_workers_than_cards_begin_again_at_the_first() -> None:
    assert [cards_of(worker, ["0", "1"]) for worker in range(4)] == [["0"], ["1"], ["0"], ["1"]]


def test_a_run_on_several_devices_takes_neighbours() -> None:
    visible = ["0", "1", "2", "3"]
    assert [cards_of(worker, visible, 2) for worker in range(3)] == [["0", "1"], ["2", "3"], ["0", "1"]]
    assert cards_of(5, ["0"], 2) == ["0"], "one card is not taken twice"


@pytest.mark.parametrize(
    ("trainer", "worker", "visible", "seen"),
    [
        ({"accelerator": "gpu"}, 1, "4,7", "7"),
        ({"accelerator": "cuda"}, 3, "4,7", "7"),
        ({"accelerator": "cuda", "devices": 2}, 1, "0,1,2,3", "2,3"),
        ({"accelerator": "cuda", "devices": 2}, 1, "0,1", "0,1"),
        ({"accelerator": "cuda"}, 1, "GPU-1f", "GPU-1f"),
        ({"accelerator": "cuda"}, None, "4,7", "4,7"),
        ({"accelerator": "cpu"}, 1, "4,7", "4,7"),
    ],
    ids=str,
)
def test_a_worker_sees_its_own_cards_alone(
    trainer: dict[str, Any], worker: int | None, visible: str, seen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VISIBLE, visible)
    monkeypatch.setattr(cards, "worker_number", lambda: worker)
    for _ in range(2):  # each job of a worker asks
        take_cards(trainer)
    assert os.environ[VISIBLE] == seen


@pytest.mark.slow
def test_workers_of_joblib_are_numbered_and_this_process_is_not() -> None:
    found = Parallel(n_jobs=2)(delayed(_number)(seconds) for seconds in (1, 1))
    assert len(set(found)) == 2, found
    assert all(number is not None and number >= 0 for number in found)
    assert worker_number() is None


def _number(seconds: float) -> int | None:
    import time

    time.sleep(seconds)  # so that the other one works on the other job
    return worker_number()
