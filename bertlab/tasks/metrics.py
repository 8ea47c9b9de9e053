"""Metrics of predictions, and their noise: how much they would change with another sample of as many test items.

Legend: R answers, C classes or labels.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

Array = npt.NDArray[Any]
Ints = npt.NDArray[np.int64]
Metrics = Callable[[Array, Array, Ints], Mapping[str, float]]  # (guess, target, item of each answer)
BLOCKS = 100  # number of blocks of the jackknife


def accuracy(guess_R: Array, target_R: Array) -> float:
    """Return the share of correct predictions."""
    return float((guess_R == target_R).mean())


def macro_f1(guess_R: Array, target_R: Array) -> float:
    """Return the mean of 2 TP / (2 TP + FP + FN) over classes that occur in predictions or targets."""
    classes = np.unique(np.concatenate((guess_R, target_R)))
    return float(np.mean([_f1(guess_R == one, target_R == one) for one in classes]))


def matthews(guess_R: Array, target_R: Array) -> float:
    """Return the correlation of predictions and targets, each 0 or 1 (Matthews 1975); 0 if one is constant."""
    return pearson(guess_R, target_R)


def pearson(guess_R: Array, target_R: Array) -> float:
    """Return the linear correlation; 0 if one is constant."""
    guess_R, target_R = guess_R - guess_R.mean(), target_R - target_R.mean()
    size = float(np.sqrt((guess_R**2).sum() * (target_R**2).sum()))
    return float((guess_R * target_R).sum() / size) if size > 0 else 0.0


def spearman(guess_R: Array, target_R: Array) -> float:
    """Return the correlation of ranks, ties with their mean rank; 0 if one is constant."""
    return pearson(rankdata(guess_R), rankdata(target_R))


def micro_f1(guess_RC: Array, target_RC: Array) -> float:
    """Return 2 TP / (2 TP + FP + FN) over all labels of all answers, each 0 or 1; 0 if all are 0."""
    return _f1(guess_RC == 1, target_RC == 1)


def labels_f1(guess_RC: Array, target_RC: Array) -> float:
    """Return the mean over labels of their F1, for labels that occur in predictions or targets."""
    seen_C = (guess_RC.astype(bool) | target_RC.astype(bool)).any(0)
    columns = np.flatnonzero(seen_C)
    return float(np.mean([micro_f1(guess_RC[:, one], target_RC[:, one]) for one in columns])) if len(columns) else 0.0


def span_f1(guess: Sequence[str], target: Sequence[str], item_R: Ints) -> float:
    """Return the F1 of whole spans of tags B-X I-X, as in CoNLL: an I-X after another type begins a span."""
    found, wanted = spans(guess, item_R), spans(target, item_R)
    both = len(found) + len(wanted)
    return 2 * len(found & wanted) / both if both else 0.0


def spans(tags: Sequence[str], item_R: Ints) -> set[tuple[int, int, str]]:
    """Return (first, last + 1, type) of each span; no span continues into the next item."""
    found, start, kind = set[tuple[int, int, str]](), 0, ""
    for place, tag in enumerate([*tags, "O"]):
        begin, _, own = tag.partition("-")
        parted = place == len(tags) or (place > 0 and item_R[place] != item_R[place - 1])
        if kind and (parted or own != kind or begin == "B"):
            found.add((start, place, kind))
            kind = ""
        if own and not kind:
            start, kind = place, own
    return found


def _f1(guess: Array, target: Array) -> float:
    both = int(guess.sum() + target.sum())
    return 2 * int((guess & target).sum()) / both if both else 0.0


def item_noise(metric: Callable[[Array], Mapping[str, float]], item_R: Ints) -> dict[str, float]:
    """Return the standard error of each value over items, by leaving out blocks of them (Tukey 1958, the jackknife).

    `metric` gets a mask of the answers that are kept (R,). For a mean over at most `BLOCKS` items it is s / sqrt(n).
    """
    _, number_R = np.unique(item_R, return_inverse=True)
    blocks = min(int(number_R.max()) + 1, BLOCKS)
    without = [metric(number_R % blocks != block) for block in range(blocks)]
    return {name: float(np.sqrt((blocks - 1) * np.var([values[name] for values in without]))) for name in without[0]}
