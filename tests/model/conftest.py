"""Small models and batches of prime sizes, so that no two dimensions coincide."""

from collections.abc import Callable, Mapping

import numpy as np
import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf

from bertlab.batch import Batch
from bertlab.compose import CONF
from bertlab.model.bert import Bert
from bertlab.model.init import initialise
from bertlab.streams import Streams
from bertlab.tokenizer import CLS, PAD, SEP

B, L, V, LONGEST = 5, 13, 61, 19
UNSEEN = 60  # the one token that no batch holds
SIZES = {
    "layers": 3,
    "width": 42,
    "heads": 7,
    "inner": 53,
    "dropout": 0.0,
    "segment_types": 2,
    "embedding_std": 0.02,
    "dense_std": 0.02,
}
PARTS = {
    "position": "learned",
    "norm": "layer",
    "embedding": "sum",
    "attention": "softmax",
    "feed_forward": "gelu",
    "block": "post",
}
REAL_B = (13, 11, 8, 5, 2)  # real tokens of each row
MakeModel = Callable[..., Bert]
MakeBatch = Callable[..., Batch]


@pytest.fixture(scope="session")
def make_model() -> MakeModel:
    """Build a model from the YAML files of its parts, with initial weights, in evaluation mode."""

    def make(parts: Mapping[str, str] = {}, seed: int = 3, **sizes: float) -> Bert:
        files = {
            group: OmegaConf.load(CONF / "model" / group / f"{name}.yaml") for group, name in {**PARTS, **parts}.items()
        }
        build = instantiate(
            {"_target_": "bertlab.model.bert.build", "_partial_": True, **SIZES, **sizes, **files}, _convert_="all"
        )
        model: Bert = build(V, LONGEST)
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
