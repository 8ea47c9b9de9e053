"""Curves: the points of a run, or the file that the run left of them in a store -> columns, joined to one data frame.

The file is Arrow's own format (Feather): a report reads it ten times as fast as the lines of the points themselves.
"""

import io
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from math import nan
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
from pyarrow import feather

from bertlab.ledger.metrics import Point

FILE = "curves.feather"  # an artifact of every run that finished
TOKENS, SHOWN = "perf/tokens", ("train/", "eval/")
Floats = npt.NDArray[np.float64]


class Curves(NamedTuple):
    """The `train/` and `eval/` metrics of one run: a row each value, in columns of one length."""

    metric: npt.NDArray[np.object_]
    step: Floats
    tokens: Floats  # seen at the step; NaN where the run did not say
    value: Floats


def curves_of(points: Sequence[Point]) -> Curves:
    """Return the curves that the points of one run make."""
    tokens = {point.step: point.numbers[TOKENS] for point in points if TOKENS in point.numbers}
    alike = defaultdict[tuple[str, ...], list[tuple[float, ...]]](list)  # most points have the same names
    for point in points:
        alike[tuple(point.numbers)].append((point.step, tokens.get(point.step, nan), *point.numbers.values()))
    return _stacked(_rows(names, table) for names, table in alike.items())


def joined(runs: Mapping[str, Curves]) -> pd.DataFrame:
    """Return the curves of some runs, by their ids, as one table: run_id, metric, step, tokens, value."""
    metric, step, tokens, value = _stacked(runs.values())
    lengths = np.array([len(curves.value) for curves in runs.values()], dtype=np.int64)
    run_id = np.repeat(np.array(list(runs), dtype=object), lengths)
    texts = {"run_id": pd.Series(run_id, dtype=object), "metric": pd.Series(metric, dtype=object)}
    return pd.DataFrame({**texts, "step": step.astype(np.int64), "tokens": tokens, "value": value})


def packed(curves: Curves) -> bytes:
    """Return the bytes of the file that a run leaves."""
    numbers = curves._asdict() | {"metric": pa.array(curves.metric, pa.string()).dictionary_encode()}
    file = io.BytesIO()
    feather.write_feather(pa.table(numbers), file)
    return file.getvalue()


def unpacked(content: bytes) -> Curves:
    """Return the curves that a run left in a file."""
    table = feather.read_table(io.BytesIO(content))
    return Curves(*(table[name].to_numpy() for name in Curves._fields))


def _rows(names: Sequence[str], points: Sequence[Sequence[float]]) -> Curves:
    """Return the curves of points that have step, tokens and these names."""
    shown = [place for place, name in enumerate(names) if name.startswith(SHOWN)]
    table = np.array(points, dtype=np.float64)
    step, tokens = (np.repeat(column, len(shown)) for column in table[:, :2].T)
    metric = np.tile(np.array(names, dtype=object)[shown], len(points))
    return Curves(metric, step, tokens, table[:, 2:][:, shown].ravel())


def _stacked(parts: Iterable[Curves]) -> Curves:
    none = Curves(np.empty(0, dtype=object), np.empty(0), np.empty(0), np.empty(0))
    return Curves(*map(np.concatenate, zip(none, *parts, strict=True)))
