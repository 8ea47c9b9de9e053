"""What a record states in numbers besides its runs: the frozen margin, and the regime for which a verdict holds.

Enters: the plain values of study.json. Leaves: `FrozenMargin` and `Regime`, and their plain values again.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from bertlab.identity.text_and_scoring import PreparedText, Scoring, read_corpus


@dataclass(frozen=True)
class FrozenMargin:
    """The margin as frozen before the compared runs, in units of the outcome, and the slope behind it."""

    margin: float
    slope: float = math.nan  # change of the baseline's outcome per unit of ln(tokens); NaN if unknown
    seeds: int = 0  # exploration seeds of the slope; no contrast uses them
    part: float = 0.75  # share of the tokens, at the end, where the slope was taken


@dataclass(frozen=True)
class ModelSize:
    """The shape of a model."""

    layers: int
    width: int
    heads: int


@dataclass(frozen=True)
class Budget:
    """How much a run trains."""

    steps: int
    sequences: int  # of a step
    length: int  # of a sequence, in tokens


@dataclass(frozen=True)
class Optimizer:
    """The optimiser and its learning rate."""

    name: str
    rate: float


@dataclass(frozen=True)
class StartWeights:
    """The trained weights from which all runs started, and their hash."""

    name: str
    hash: str


@dataclass(frozen=True)
class Regime:
    """Data and training of the baseline; None for what is not recorded, or differs among the runs of a sweep."""

    corpus: PreparedText | None = None
    scoring: Scoring | None = None
    model: ModelSize | None = None
    budget: Budget | None = None
    optimizer: Optimizer | None = None
    start: StartWeights | None = None


NO_MARGIN, UNKNOWN = FrozenMargin(0.0), Regime()
PARTS: Mapping[str, Callable[..., Any]] = {
    "corpus": lambda **own: read_corpus(own),
    "scoring": Scoring,
    "model": ModelSize,
    "budget": Budget,
    "optimizer": Optimizer,
    "start": StartWeights,
}


def read_regime(node: Mapping[str, Any]) -> Regime:
    """Return a regime from the plain values of `plain_regime`."""
    return Regime(**{name: PARTS[name](**own) for name, own in node.items()})


def plain_regime(regime: Regime) -> dict[str, Any]:
    """Return the recorded parts as plain values."""
    return {name: own for name, own in asdict(regime).items() if own is not None}


def read_frozen(node: Mapping[str, Any]) -> FrozenMargin:
    """Return the margin from the plain values of `plain_frozen`."""
    return FrozenMargin(**{**node, "slope": math.nan if node["slope"] is None else node["slope"]})


def plain_frozen(frozen: FrozenMargin) -> dict[str, Any]:
    """Return the margin as plain values; JSON has no NaN, so an unknown slope is None."""
    return {**asdict(frozen), "slope": None if math.isnan(frozen.slope) else frozen.slope}
