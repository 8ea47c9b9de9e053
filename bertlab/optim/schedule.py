"""Schedules: a step of a run -> factor on the learning rate, in (0, 1].

All rise linearly over the first `warmup` of the run. They differ after that.
"""

from abc import ABC, abstractmethod
from math import cos, pi, sqrt

from bertlab.config.errors import closed_interval


class Warmup(ABC):
    """Rise linearly over the first `warmup` of the run; 0: no rise, 1: the whole run."""

    def __init__(self, *, warmup: float) -> None:
        self.warmup = closed_interval("warmup", warmup, 0, 1)

    def __call__(self, step: int, total: int) -> float:
        """Return the factor of step `step` (counted from 0) of `total`; it is positive at every step."""
        rise = self.warmup * total
        if step + 1 <= rise:
            return (step + 1) / rise
        # the peak may be between two steps
        return self.after(min((total - step) / max(total - rise, 1), 1), step, rise)

    @abstractmethod
    def after(self, left: float, step: int, rise: float) -> float:
        """Return the factor after a rise of `rise` steps; `left` is the remaining share of the fall, in (0, 1]."""


class Linear(Warmup):
    """Fall linearly to 0 at the end of the run (Devlin et al. 2018)."""

    def after(self, left: float, step: int, rise: float) -> float:
        """Return `left`."""
        return left


class Cosine(Warmup):
    """Fall to 0 at the end of the run along half a period of a cosine (Loshchilov & Hutter 2017, arXiv:1608.03983)."""

    def after(self, left: float, step: int, rise: float) -> float:
        """Return (1 - cos(pi left)) / 2."""
        return (1 - cos(pi * left)) / 2


class Constant(Warmup):
    """Stay at the peak."""

    def after(self, left: float, step: int, rise: float) -> float:
        """Return 1."""
        return 1.0


class InverseSqrt(Warmup):
    """Fall as 1 / sqrt(step), scaled to meet the rise (Vaswani et al. 2017, sec. 5.3, arXiv:1706.03762).

    Without a rise it is 1 / sqrt(step) from the first step.
    """

    def after(self, left: float, step: int, rise: float) -> float:
        """Return sqrt(rise / (step + 1)), with a rise of at least 1 step."""
        return sqrt(max(rise, 1) / (step + 1))


class CosineFloor(Cosine):
    """Fall like `Cosine`, but to `floor` times the peak (Hoffmann et al. 2022, arXiv:2203.15556, app. B: 0.1)."""

    def __init__(self, *, warmup: float, floor: float) -> None:
        super().__init__(warmup=warmup)
        self.floor = closed_interval("floor", floor, 0, 1)

    def after(self, left: float, step: int, rise: float) -> float:
        """Return the cosine's fall, scaled to [floor, 1]."""
        return self.floor + (1 - self.floor) * super().after(left, step, rise)


class Wsd(Warmup):
    """Rise, stay at the peak, then fall to `floor` times the peak (Hu et al. 2024, arXiv:2404.06395, sec. 4.2).

    `decay`: share of the steps after the rise in which it falls. Departure: the fall is linear, which Hägele et al.
    2024 (arXiv:2405.18392, sec. 3) found as good as others; Hu et al. halve the rate again and again.
    """

    def __init__(self, *, warmup: float, decay: float, floor: float) -> None:
        super().__init__(warmup=warmup)
        self.decay, self.floor = closed_interval("decay", decay, 0, 1), closed_interval("floor", floor, 0, 1)

    def after(self, left: float, step: int, rise: float) -> float:
        """Return 1 until only `decay` is left, then a line to the floor."""
        return 1.0 if left >= self.decay else self.floor + (1 - self.floor) * left / self.decay
