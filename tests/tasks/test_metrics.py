"""Metrics have the values that are computed by hand."""

import numpy as np
import pytest
from scipy import stats

from bertlab.tasks.metrics import (
    accuracy,
    item_noise,
    labels_f1,
    macro_f1,
    matthews,
    micro_f1,
    pearson,
    span_f1,
    spans,
    spearman,
)

ONE_ITEM = np.zeros(20, np.int64)


def test_accuracy_and_macro_f1() -> None:
    guess, target = np.array([0, 1, 1, 2]), np.array([0, 1, 0, 0])
    assert accuracy(guess, target) == 0.5
    assert macro_f1(guess, target) == pytest.approx((2 / 4 + 2 / 3 + 0) / 3)


def test_matthews_is_that_of_the_table() -> None:
    guess, target = np.array([1, 1, 1, 0, 0]), np.array([1, 1, 0, 0, 1])  # TP 2, FP 1, TN 1, FN 1
    assert matthews(guess, target) == pytest.approx((2 * 1 - 1 * 1) / np.sqrt(3 * 3 * 2 * 2))
    assert matthews(np.ones(5), target) == 0


def test_correlations_are_those_of_scipy() -> None:
    guess, target = np.array([1.0, 2.0, 2.0, 5.0, 4.0]), np.array([0.0, 3.0, 1.0, 4.0, 9.0])
    assert pearson(guess, target) == pytest.approx(stats.pearsonr(guess, target).statistic)
    assert spearman(guess, target) == pytest.approx(stats.spearmanr(guess, target).statistic)
    assert pearson(np.ones(5), target) == spearman(np.ones(5), target) == 0


def test_f1_of_labels() -> None:
    guess, target = np.array([[1, 0, 0], [1, 1, 0]]), np.array([[1, 0, 0], [0, 1, 0]])
    assert micro_f1(guess, target) == pytest.approx(2 * 2 / 5)
    assert labels_f1(guess, target) == pytest.approx((2 / 3 + 1) / 2), "a label that never occurs does not count"
    assert micro_f1(0 * guess, 0 * target) == labels_f1(0 * guess, 0 * target) == 0


def test_spans_are_those_of_conll() -> None:
    tags = ["B-X", "I-X", "I-Y", "O", "I-X", "B-X", "O"]
    assert spans(tags, ONE_ITEM) == {(0, 2, "X"), (2, 3, "Y"), (4, 5, "X"), (5, 6, "X")}
    assert spans(["B-X", "I-X"], np.array([0, 1])) == {(0, 1, "X"), (1, 2, "X")}, "no span goes on in the next text"


def test_f1_of_spans_counts_whole_ones() -> None:
    target, guess = ["B-X", "I-X", "O", "B-Y"], ["B-X", "O", "O", "B-Y"]
    assert span_f1(guess, target, ONE_ITEM) == pytest.approx(2 * 1 / 4)
    assert span_f1(["O"], ["O"], ONE_ITEM) == 0


def test_the_noise_of_a_mean_over_items_is_the_usual_one() -> None:
    right = np.array([1, 0, 1, 1, 0, 1, 1])

    def share(kept: np.ndarray) -> dict[str, float]:
        return {"share": float(right[kept].mean())}

    assert item_noise(share, np.arange(7))["share"] == pytest.approx(right.std(ddof=1) / np.sqrt(7))


def test_answers_of_one_item_are_left_out_together() -> None:
    """Ten copies of each item give no more information than one."""
    right = np.array([1, 0, 1, 1, 0, 1, 1])

    def share(kept: np.ndarray) -> dict[str, float]:
        return {"share": float(np.repeat(right, 10)[kept].mean())}

    item = np.repeat(np.arange(7), 10)
    assert item_noise(share, item)["share"] == pytest.approx(right.std(ddof=1) / np.sqrt(7))


def test_the_noise_of_many_items_is_that_of_samples() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((2, 400, 500))
    y += x
    drawn = [pearson(*pair) for pair in zip(x, y, strict=True)]

    def error(number: int) -> float:
        return item_noise(lambda kept: {"r": pearson(x[number][kept], y[number][kept])}, np.arange(500))["r"]

    assert np.mean([error(number) for number in range(20)]) == pytest.approx(np.std(drawn), rel=0.1)
