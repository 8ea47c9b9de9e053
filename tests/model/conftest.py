"""Small models and batches of prime sizes, so that no two dimensions coincide."""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from hydra.utils import instantiate
from omegaconf import OmegaConf

from bertlab.batch.batches import Batch
from bertlab.config.compose import CONF
from bertlab.data.tokenizer import CLS, PAD, SEP
from bertlab.model.bert import Bert, build
from bertlab.model.init import initialise
from bertlab.streams import Streams

B, L, V, LONGEST = 5, 13, 61, 19
UNSEEN = 60  # the one token that no batch holds
BASE = yaml.safe_load((CONF / "model" / "base.yaml").read_text("utf-8"))
PARTS = {group: name for default in BASE["defaults"] for group, name in default.items()}
SIZES = {
    **{key: value for key, value in BASE.items() if key != "defaults" and not key.startswith("_")},
    **{"layers": 3, "width": 48, "heads": 6, "inner": 53, "dropout": 0.0},
}
REAL_B = (13, 11, 8, 5, 2)  # real tokens of each row
MakeModel = Callable[..., Bert]
MakeBatch = Callable[..., Batch]


@cache
def part(group: str, name: str) -> Any:
    """Return the factory that a YAML file of conf/model chooses."""
    return instantiate(OmegaConf.load(CONF / "model" / group / f"{name}.yaml"), _convert_="all")


@pytest.fixture(scope="session")
def make_model() -> MakeModel:
    """Build a model of base's parts but for `parts`, small, with initial weights, in evaluation mode."""

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

    def make(length: int = L, filler: int = PAD) -> Batch:
        rng = np.random.default_rng(11)
        ids_BL, segments_BL = np.full((B, length), filler), np.zeros((B, length), np.int64)
        real_BL = np.arange(length) < np.array(REAL_B)[:, None]
        for row, real in enumerate(REAL_B):
            ids_BL[row, :real] = rng.integers(5, UNSEEN, real)
            ids_BL[row, 0], ids_BL[row, real - 1] = CLS, SEP
            segments_BL[row, real // 2 : real] = 1
        chosen_BL = real_BL & (np.arange(length) % 3 == 1)
        position_M = torch.from_numpy(np.flatnonzero(chosen_BL))
        target_M = torch.from_numpy(rng.integers(5, V, int(chosen_BL.sum())))
        pair_B = torch.tensor([0, 1, 1, 0, 1])
        ids, segments, mask = map(torch.from_numpy, (ids_BL, segments_BL, real_BL))
        return Batch(ids, segments, mask, position_M, target_M, pair_B, has_pairs=True)

    return make
