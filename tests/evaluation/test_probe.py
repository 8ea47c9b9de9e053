"""Probes on states that are made by hand."""

import math

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from bertlab.evaluation.probe import PENALTY, effective_rank, probe_accuracy, token_share

N, D = 601, 7


@pytest.fixture
def states() -> Tensor:
    return torch.randn(N, D, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def tests() -> Tensor:
    return torch.arange(N) % 2 == 1


def test_a_probe_finds_what_is_linear_in_states_of_any_scale(states: Tensor, tests: Tensor) -> None:
    label_N = states[:, :3].argmax(1)
    scaled_ND = states * 10.0 ** torch.arange(-3, D - 3) + 100
    assert probe_accuracy(states, label_N, tests) > 0.95
    assert probe_accuracy(scaled_ND, label_N, tests) == pytest.approx(probe_accuracy(states, label_N, tests), abs=0.01)


def test_a_probe_is_at_chance_where_states_hold_nothing(states: Tensor, tests: Tensor) -> None:
    label_N = torch.randint(2, (N,), generator=torch.Generator().manual_seed(1))
    assert 0.4 < probe_accuracy(states, label_N, tests) < 0.6


def test_a_probe_learns_nothing_from_the_tokens_that_test_it(states: Tensor, tests: Tensor) -> None:
    label_N = (states[:, 0] > 0).long()
    turned_N = torch.where(tests, 1 - label_N, label_N)
    right = probe_accuracy(states, label_N, tests)
    assert probe_accuracy(states, turned_N, tests) == pytest.approx(1 - right)


def test_a_probe_is_the_logistic_regression_of_scikit_learn(states: Tensor, tests: Tensor) -> None:
    noise_ND = torch.randn(N, D, generator=torch.Generator().manual_seed(2))
    label_N = (states + noise_ND)[:, :4].argmax(1)
    learn_ND = states[~tests]
    mean_D, spread_D = learn_ND.mean(0), learn_ND.std(0, correction=0)
    peer = LogisticRegression(C=1 / (2 * PENALTY * len(learn_ND)), max_iter=1000)
    peer.fit(((learn_ND - mean_D) / spread_D).numpy(), label_N[~tests].numpy())
    expected = peer.score(((states[tests] - mean_D) / spread_D).numpy(), label_N[tests].numpy())
    assert 0.4 < expected < 0.9
    assert probe_accuracy(states, label_N, tests) == pytest.approx(expected, abs=1e-9)


def test_the_rank_is_the_share_of_dimensions_that_the_states_fill() -> None:
    """Points of a cross have equal variance in both dimensions; stretched to 3 : 1 their spectrum is (.75, .25)."""
    cross_ND = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    assert effective_rank(cross_ND) == pytest.approx(1)
    assert effective_rank(cross_ND + 5) == pytest.approx(1), "states are centred"
    assert effective_rank(cross_ND[:2]) == pytest.approx(0.5)
    entropy = -(0.75 * np.log(0.75) + 0.25 * np.log(0.25))
    assert effective_rank(cross_ND * torch.tensor([3.0, 1.0])) == pytest.approx(np.exp(entropy) / 2)


def test_the_share_of_the_token_is_one_for_static_vectors_and_none_for_noise(states: Tensor) -> None:
    token_N = torch.arange(N) % 11
    assert token_share(states[token_N], token_N) == pytest.approx(1)
    assert token_share(states, token_N) == pytest.approx(0, abs=0.02), "adjusted for the number of tokens"
    assert 0.4 < token_share(states[token_N] + states, token_N) < 0.6


def test_the_share_of_the_token_by_hand() -> None:
    """Means 1 and 5; within 4 / 2, total (9 + 1 + 1 + 9) / 3; a token that occurs once does not count."""
    states, token_N = torch.tensor([[0.0], [2.0], [4.0], [6.0], [100.0]]), torch.tensor([3, 3, 8, 8, 5])
    assert token_share(states, token_N) == pytest.approx(1 - 2 / (20 / 3))


def test_what_is_not_defined_is_no_number(states: Tensor, tests: Tensor) -> None:
    """Only one class, no test data, equal states, no token that occurs twice."""
    assert math.isnan(probe_accuracy(states, tests.long(), tests))
    assert math.isnan(probe_accuracy(states, torch.arange(N) % 2, torch.zeros(N, dtype=torch.bool)))
    assert math.isnan(effective_rank(torch.ones(5, 3)))
    assert math.isnan(token_share(torch.ones(4, 3), torch.tensor([1, 1, 2, 2])))
    assert math.isnan(token_share(states, torch.arange(N)))
