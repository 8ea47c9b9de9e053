"""The score of a text: log-probabilities of its tokens, each with only that token masked."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from bertlab.data.tokenizer import MASK
from bertlab.evaluation.alternatives import likelihoods
from bertlab.evaluation.reads import padded
from bertlab.evaluation.sequences import BERT, Reading
from bertlab.model.bert import Bert
from bertlab.model.init import initialise
from bertlab.streams import Streams
from bertlab.tasks.encoding import Example, assembled

V, NOTHING = 31, np.empty(0, np.int64)
TEXTS = [[7, 8, 9], [10, 11], [12, 7, 30], [9]]


@pytest.fixture
def model(build_part: Callable[..., Any]) -> Bert:
    sizes = ("model.width=16", "model.inner=16", "model.heads=2", "model.layers=1", "model.dense_std=0.3")
    model: Bert = build_part("model=nano", *sizes)(V, 11)
    initialise(model, Streams(0))
    return model.eval()


def examples() -> list[Example]:
    return [Example(*assembled(np.array(text)), NOTHING, NOTHING, row) for row, text in enumerate(TEXTS)]


@torch.no_grad()
def test_the_score_is_the_sum_over_hidden_tokens(model: Bert) -> None:
    expected = []
    for example in examples():
        total = 0.0
        for column in range(1, len(example.ids) - 1):
            hidden = example.ids.copy()
            hidden[column] = MASK
            batch, _ = padded([Example(hidden, example.segments, NOTHING, NOTHING, 0)], cls=True)
            state_D = model.mlm_head(model.encode(batch)[0, column])
            logit_V = state_D @ model.decoder_weight.T + model.mlm_head.bias
            total += float(logit_V.log_softmax(0)[example.ids[column]])
        expected.append(total)
    assert likelihoods(model, examples(), BERT, torch.device("cpu")) == pytest.approx(expected, abs=1e-4)


@torch.no_grad()
def test_a_model_that_predicts_ahead_is_asked_for_the_next_token(build_part: Callable[..., Any]) -> None:
    sizes = ("model.width=16", "model.inner=16", "model.heads=2", "model.layers=1", "model.dense_std=0.3")
    ahead: Bert = build_part("model=nano", *sizes, "model/visibility=left_to_right")(V, 11)
    initialise(ahead, Streams(0))
    ahead.eval()
    expected = []
    for example in examples():
        batch, _ = padded([example], cls=True)
        logit_LV = ahead.mlm_head(ahead.encode(batch)[0]) @ ahead.decoder_weight.T + ahead.mlm_head.bias
        columns = range(1, len(example.ids) - 1)
        expected.append(sum(float(logit_LV[column - 1].log_softmax(0)[example.ids[column]]) for column in columns))
    assert likelihoods(ahead, examples(), Reading(ahead=1), torch.device("cpu")) == pytest.approx(expected, abs=1e-4)
