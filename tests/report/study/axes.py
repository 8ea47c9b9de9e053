"""What an axis of differences must cover."""

from collections.abc import Sequence

from matplotlib.axes import Axes

USED = 0.85  # minimum share of an axis that the drawn values cover


def assert_fits(axes: Axes, ends: Sequence[float]) -> None:
    """Fail if an axis leaves out one of the ends, or is much longer than needed."""
    low, high = axes.get_xlim()
    assert low <= min(ends)
    assert max(ends) <= high
    left, first, last, right = (axes.transData.transform((x, 0.0))[0] for x in (low, min(ends), max(ends), high))
    assert last - first >= USED * (right - left)
