"""Small models with initial weights."""

from collections.abc import Callable
from typing import Any

import pytest

from bertlab.model.bert import Bert
from bertlab.model.init import initialise
from bertlab.streams import Streams

MakeSmall = Callable[..., Bert]


@pytest.fixture(scope="session")
def make_small(build_part: Callable[..., Any]) -> MakeSmall:
    """Make a nano with initial weights: `make_small(vocabulary, longest, "model.width=12", ...)`."""

    def make(vocabulary: int, longest: int, *options: str) -> Bert:
        model: Bert = build_part("model=nano", *options)(vocabulary, longest)
        initialise(model, Streams(0))
        return model

    return make
