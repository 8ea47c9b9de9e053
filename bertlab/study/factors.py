"""Factors of a study: the parts of the configuration that arms change, and the values of an ordered factor."""

from collections.abc import Mapping, Sequence

from bertlab.config.errors import InputError
from bertlab.study.design import Trend
from bertlab.study.reading import EXAMPLES, read_word

SCALES = ("linear", "log")


def trend_of_sweep(factors: Sequence[str], arms: Mapping[str, Sequence[str]]) -> Trend | None:
    """Return the only factor as a trend if it has three or more numbers."""
    try:
        doses = {arm: _dose(overrides[0]) for arm, overrides in arms.items() if len(factors) == 1}
    except InputError:
        return None
    low, high = min(doses.values(), default=0), max(doses.values(), default=0)
    return Trend(factors[0], "log" if 0 < 10 * low <= high else "linear", doses) if len(doses) > 2 else None


def place(override: str) -> str:
    """Return the key that an override changes: model/norm=rms changes model.norm and all below."""
    return override.partition("=")[0].lstrip("+").rpartition("@")[2].replace("/", ".")


def is_within(where: str, places: Sequence[str]) -> bool:
    """Return whether a key is one of `places` or inside one."""
    return any(where == other or where.startswith(f"{other}.") for other in places)


# settings that must be equal to compare runs: text, evaluation, seeds
ALIKE = (
    *("seed", "study", "hydra", "output_dir", "report_dir", "tracking", "trainer"),
    *("data", "tokenizer", "evaluation", "batch.length"),
)
BUT = ("trainer.decay",)  # key of trainer=averaged: changes the evaluated weights, not the environment


def check_factors(factors: Sequence[str], arms: Mapping[str, Sequence[str]]) -> None:
    """Refuse factors that make runs incomparable, and changes of arms outside the factors. Raises InputError."""
    if not factors:
        raise InputError(f"study.factors must name the keys that arms change, got none; write {EXAMPLES['factors']}")
    for factor in factors:
        if is_within(place(factor), ALIKE) and place(factor) not in BUT:
            raise InputError(f"study.factors must leave {factor} alike in all arms, got it; set it beside `study`")
    for name, overrides in arms.items():
        for override in overrides:
            if not is_within(place(override), [place(factor) for factor in factors]):
                raise InputError(
                    f"study.arms.{name} must change only {', '.join(factors)}, got {override}; "
                    "add its key to study.factors or leave it out"
                )


def read_trend(trend: object, factors: Sequence[str], arms: Mapping[str, Sequence[str]]) -> Trend:
    """Return the trend, with the arms whose only override sets the factor to a number."""
    if not isinstance(trend, Mapping) or set(trend) != {"factor", "scale"}:
        raise InputError(
            f"study.trend must hold factor and scale, got {trend}; write {{factor: mask.rate, scale: log}}"
        )
    factor, scale = str(trend["factor"]), read_word("trend.scale", trend["scale"], SCALES)
    if not is_within(place(factor), [place(known) for known in factors]):
        raise InputError(f"study.trend.factor must be one of {', '.join(factors)} or below, got {factor}; choose one")
    doses = {}
    for name, overrides in arms.items():
        if len(overrides) == 1 and place(overrides[0]) == place(factor):
            doses[name] = _dose(overrides[0])
    if len(doses) < 3 or (scale == "log" and min(doses.values()) <= 0):
        raise InputError(
            f"study.trend needs at least 3 arms that set {factor} alone, above 0 on a log scale, got "
            f"{list(doses.values())}; add arms or leave the trend out"
        )
    return Trend(factor, scale, doses)


def _dose(override: str) -> float:
    try:
        return float(override.partition("=")[2])
    except ValueError:
        raise InputError(
            f"study.trend needs numbers, got {override}; choose another factor or remove the trend"
        ) from None
