"""Print how often simulated studies reach each verdict: python benchmarks/calibration.py [studies=2000] [sd=0.5]

studies  simulated per row
sd       standard deviation of a paired difference, in margins
"""

from collections.abc import Iterator

import numpy as np

from bertlab.arguments import parse
from bertlab.errors import InputError, whole_number
from bertlab.explain import one_line_errors
from bertlab.stats.calibration import NOISES, Truth, false_centrals, false_positives, rates
from bertlab.stats.looks import REGISTERED, look_alpha
from bertlab.stats.rule import BY_INTERVAL

ONCE = ((3,), (5,), (8,), (10,))
SPREADS = (0.25, 0.5)
EFFECTS = {0.0: "0", 1.0: "delta", 2.0: "2 delta"}


def main() -> None:
    """Simulate and print."""
    arguments = parse({"studies": "2000", "sd": "0.5"}, __doc__)
    studies, sd = _studies(arguments["studies"]), _sd(arguments["sd"])
    rng = np.random.default_rng(2000)
    print("\n".join(_page(studies, sd, rng)))  # noqa: T201


def _page(studies: int, sd: float, rng: np.random.Generator) -> Iterator[str]:
    yield f"{studies:,} studies per row; sd of a difference = {sd:g} delta; rates in per cent.\n"
    yield from _verdicts(studies, sd, rng)
    yield "\nTrue difference = delta: EQUIVALENT with a mean within half the margin, in per cent.\n"
    yield from _centrals(studies, rng)
    yield "\nNo effect: two-sided tests at the level of the looks that ever reject, in per cent.\n"
    yield from _false_positives(studies, rng)


def _verdicts(studies: int, sd: float, rng: np.random.Generator) -> Iterator[str]:
    yield _row("noise", "looks", "truth", *(kind.value for kind in BY_INTERVAL))
    yield _row(*["---"] * 3, *["---:"] * len(BY_INTERVAL))
    for noise in NOISES:
        for looks in (*ONCE, *REGISTERED):
            for effect, words in EFFECTS.items():
                found = rates(Truth(noise, looks, sd, effect), studies, rng)
                yield _row(noise, _looks(looks), words, *(f"{100 * found[kind]:.1f}" for kind in BY_INTERVAL))


def _centrals(studies: int, rng: np.random.Generator) -> Iterator[str]:
    yield _row("looks", "sd", *NOISES)
    yield _row(*["---"] * 2, *["---:"] * len(NOISES))
    for looks in (*ONCE, *REGISTERED):
        for sd in SPREADS:
            shares = (f"{100 * false_centrals(noise, looks, sd, studies, rng):.1f}" for noise in NOISES)
            yield _row(_looks(looks), f"{sd:g} delta", *shares)


def _false_positives(studies: int, rng: np.random.Generator) -> Iterator[str]:
    yield _row("looks", "level per look", *NOISES)
    yield _row("---", *["---:"] * (1 + len(NOISES)))
    for looks in (*ONCE, *REGISTERED):
        shares = (f"{100 * false_positives(noise, looks, studies, rng):.1f}" for noise in NOISES)
        yield _row(_looks(looks), f"{look_alpha(looks):.4f}", *shares)


def _looks(looks: tuple[int, ...]) -> str:
    return ", ".join(map(str, looks))


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _studies(text: str) -> int:
    return whole_number("studies", int(text) if text.isdecimal() else text, 1)


def _sd(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not 0 < value < float("inf"):
        raise InputError(f"sd must be a positive number of margins, got {text}; choose for example 0.5")
    return value


if __name__ == "__main__":
    with one_line_errors():
        main()
