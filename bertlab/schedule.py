"""Schedules: progress of a run -> factor on the learning rate. Progress is (step + 1) / total, in (0, 1]."""

from bertlab.errors import closed_interval


class Linear:
    """Rise linearly over the first `warmup` of the run, then fall linearly to 0 at its end (Devlin et al. 2018)."""

    def __init__(self, *, warmup: float) -> None:
        self.warmup = closed_interval("schedule.warmup", warmup, 0, 1)

    def __call__(self, step: int, total: int) -> float:
        """Return the factor of step `step` (counted from 0) of `total`; it is positive at every step."""
        rise = self.warmup * total
        if step + 1 <= rise:
            return (step + 1) / rise
        return min((total - step) / max(total - rise, 1), 1)  # the peak may lie between two steps
