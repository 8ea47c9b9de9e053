"""The model of a run is restored from MLflow bit by bit, with any shared parts."""

from pathlib import Path

import pytest
import torch
from mlflow.tracking import MlflowClient
from tokenizers import Tokenizer, models
from torch import nn

from bertlab.config.errors import InputError
from bertlab.tracking.artifacts import find_run
from bertlab.tracking.description import Description
from bertlab.tracking.mlflow import Tracker
from bertlab.tracking.saved_model import connect, fetch, keep


class Shared(nn.Module):
    """Two names for one layer, two names for one parameter, a view, and statistics."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(5, 5)
        self.second = self.first
        self.tied = nn.Embedding(5, 5)
        self.tied.weight = self.first.weight
        self.statistics = nn.BatchNorm1d(5)


@pytest.fixture
def tokenizer(tmp_path: Path) -> Path:
    path = tmp_path / "own.json"
    Tokenizer(models.WordLevel({"[UNK]": 0, "ship": 1}, unk_token="[UNK]")).save(str(path))
    return path


@pytest.fixture
def kept(tracker: Tracker, description: Description, tokenizer: Path) -> tuple[str, Shared]:
    """A run that kept its model, and the model."""
    model = Shared()
    model.statistics(torch.arange(35.0).view(7, 5))
    with tracker.run(description) as run:
        keep(run, model, tokenizer, length=19)
    return run.run_id, model


def test_a_models_weights_come_back_with_what_they_need(
    kept: tuple[str, Shared], client: MlflowClient, tmp_path: Path
) -> None:
    run_id, model = kept
    stored = fetch(client, run_id, tmp_path)
    assert (stored.run_id, stored.length, stored.config) == (run_id, 19, {"seed": 0})
    assert stored.tokenizer.get_vocab() == {"[UNK]": 0, "ship": 1}
    again = Shared()
    stored.restore(again)
    assert again.first is again.second
    assert again.tied.weight is again.first.weight
    before, after = model.state_dict(), again.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert int(after["statistics.num_batches_tracked"]) == 1


def test_weights_of_another_model_are_an_input_error(
    kept: tuple[str, Shared], client: MlflowClient, tmp_path: Path
) -> None:
    stored = fetch(client, kept[0], tmp_path)
    for other in (nn.Linear(5, 5), nn.Sequential()):
        with pytest.raises(InputError, match=rf"^run={kept[0]} must fit the model that its .* bertlab\.version names$"):
            stored.restore(other)


def test_a_run_without_weights_is_an_input_error(
    tracker: Tracker, client: MlflowClient, description: Description, tmp_path: Path
) -> None:
    with tracker.run(description) as run:
        line = rf"^run={run.run_id} must have kept its weights, got {run.run_id} \(running\) without; "
        with pytest.raises(InputError, match=line):
            fetch(client, run.run_id, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_run_is_found_by_its_id_by_how_only_it_begins_or_as_the_latest(
    tracker: Tracker, client: MlflowClient, description: Description
) -> None:
    with tracker.run(description) as first:
        pass
    with tracker.run(description) as last:
        pass
    tracker.start(client, "a sweep", {"bertlab.kind": "sweep"})
    same = next(end for end in range(33) if first.run_id[:end] != last.run_id[:end]) - 1
    assert find_run(client, first.run_id).info.run_id == first.run_id
    assert find_run(client, first.run_id[:31]).info.run_id == first.run_id
    assert find_run(client, "latest").info.run_id == last.run_id
    for name in (first.run_id[:same], "x1", "%", "' or 1=1", "", "la test"):
        with pytest.raises(
            InputError, match=r"must be the id of one run in the store, or the beginning of only one, got "
        ):
            find_run(client, name)


def test_a_store_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^uri must name a store that holds runs, got sqlite:.*; go to its folder"):
        connect(f"sqlite:///{tmp_path / 'mlflow.db'}")
    assert list(tmp_path.iterdir()) == []
