"""What an axis of differences must hold."""

from collections.abc import Sequence

from matplotlib.axes import Axes

USED = 0.85  # share of an axis, at least, that what is drawn reaches over


def assert_fits(axes: Axes, ends: Sequence[float]) -> None:
    """Fail where an axis leaves out one of the ends, or reaches much further than they do."""
    low, high = axes.get_xlim()
    assert low <= min(ends)
    assert max(ends) <= high
    left, first, last, right = (axes.transData.transform((x, 0.0))[0] for x in (low, min(ends), max(ends), high))
    assert last - first >= USED * (right - left)
