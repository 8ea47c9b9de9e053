"""Small models and batches of prime sizes, so that no two dimensions coincide."""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import pytest
import yaml
from hydra.utils import instantiate

from bertlab.commands.check import model as contracts
from bertlab.commands.check.model import LONGEST, V, small_batch
from bertlab.config.compose import CONF, load
from bertlab.data.batches import Batch
from bertlab.model.bert import Bert, build
from bertlab.model.init import initialise
from bertlab.streams import Streams

BASE = yaml.safe_load((CONF / "model" / "base.yaml").read_text("utf-8"))
PARTS = {group: name for default in BASE["defaults"] for group, name in default.items()}
SIZES = {
    **{key: value for key, value in BASE.items() if key != "defaults" and not key.startswith("_")},
    **contracts.SIZES,
}
MakeModel = Callable[..., Bert]
MakeBatch = Callable[..., Batch]


@cache
def part(group: str, name: str) -> Any:
    """Return the factory that a YAML file of conf/model chooses."""
    return instantiate(load([f"model/{group}={name}"])["model"][group], _convert_="all")


@pytest.fixture(scope="session")
def make_model() -> MakeModel:
    """Build a small model of base's parts, except `parts`, with initial weights, in evaluation mode."""

    def make(parts: Mapping[str, str] = {}, seed: int = 3, initial: bool = True, **sizes: Any) -> Bert:
        chosen = {group: part(group, name) for group, name in {**PARTS, **parts}.items()}
        model = build(V, LONGEST, **{**SIZES, **sizes}, **chosen)
        if initial:
            initialise(model, Streams(seed))
        return model.eval()

    return make


@pytest.fixture(scope="session")
def make_batch() -> MakeBatch:
    """Make a batch of B rows of `length` positions; its real tokens do not depend on `length` and `filler`."""
    return small_batch
