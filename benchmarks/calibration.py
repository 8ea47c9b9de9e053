"""Print how often simulated studies reach each verdict: python benchmarks/calibration.py [studies=2000] [sd=0.5]

studies  simulated per row
sd       standard deviation of a paired difference, in margins
"""

import sys
from collections.abc import Iterator
from functools import cache
from itertools import product

import numpy as np

from bertlab.config.arguments import parse
from bertlab.config.compose import project_folder
from bertlab.config.error_messages import one_line_errors
from bertlab.config.errors import InputError, whole_number
from bertlab.stats.calibration import NOISES, Truth, false_centrals, false_positives, rates
from bertlab.stats.claim import Expectation
from bertlab.stats.claim_calibration import Outcomes, empirical, normal, unequal, worst_rates
from bertlab.stats.looks import look_alpha
from bertlab.stats.moderated import NO_PRIOR, Prior
from bertlab.stats.rule import BY_INTERVAL
from bertlab.study.judge import judge
from bertlab.study.record import EXPLORATION, SAME, read_record

ONCE = ((3,), (5,), (8,), (10,))
EARLY = ((3, 10), (5, 8), (5, 10), (3, 6, 10), (4, 7, 10))
ARMS = (1, 2, 3, 6)
CLAIM_LOOKS = ((3,), (3, 5), (5, 8))
TEXT = 0.15  # margins: what the sample of held-out text adds to a difference
REAL = "again"  # the study whose arms are all equal
SPREADS = (0.25, 0.5)
EFFECTS = {0.0: "0", 1.0: "delta", 2.0: "2 delta"}


def main() -> None:
    """Simulate and print."""
    arguments = parse({"studies": "2000", "sd": "0.5"}, __doc__, sys.argv[1:])
    studies, sd = _studies(arguments["studies"]), _sd(arguments["sd"])
    rng = np.random.default_rng(2000)
    print("\n".join(_page(studies, sd, rng)))  # noqa: T201


def _page(studies: int, sd: float, rng: np.random.Generator) -> Iterator[str]:
    yield f"{studies:,} studies per row; sd of a difference = {sd:g} delta; rates in per cent.\n"
    yield from _verdicts(studies, sd, rng)
    yield "\nTrue difference = delta: EQUIVALENT with a mean within half the margin, in per cent.\n"
    yield from _centrals(studies, rng)
    yield "\nNo effect: tests for worse at the level of the looks that ever reject, in per cent.\n"
    yield from _false_positives(studies, rng)
    yield (
        "\nClaims about several arms: the largest rates of false SUPPORTED / false REFUTED over truths of 0, half a "
        "margin and a margin, in per cent.\n"
    )
    yield from _claims(studies, rng)


def _verdicts(studies: int, sd: float, rng: np.random.Generator) -> Iterator[str]:
    yield _row("noise", "looks", "truth", *(kind.value for kind in BY_INTERVAL))
    yield _row(*["---"] * 3, *["---:"] * len(BY_INTERVAL))
    for noise in NOISES:
        for looks in (*ONCE, *EARLY):
            for effect, words in EFFECTS.items():
                found = rates(Truth(noise, looks, sd, effect), studies, rng)
                yield _row(noise, _looks(looks), words, *(f"{100 * found[kind]:.1f}" for kind in BY_INTERVAL))


def _centrals(studies: int, rng: np.random.Generator) -> Iterator[str]:
    yield _row("looks", "sd", *NOISES)
    yield _row(*["---"] * 2, *["---:"] * len(NOISES))
    for looks in (*ONCE, *EARLY):
        for sd in SPREADS:
            shares = (f"{100 * false_centrals(noise, looks, sd, studies, rng):.1f}" for noise in NOISES)
            yield _row(_looks(looks), f"{sd:g} delta", *shares)


def _false_positives(studies: int, rng: np.random.Generator) -> Iterator[str]:
    yield _row("looks", "level per look", *NOISES)
    yield _row("---", *["---:"] * (1 + len(NOISES)))
    for looks in (*ONCE, *EARLY):
        shares = (f"{100 * false_positives(noise, looks, studies, rng):.1f}" for noise in NOISES)
        yield _row(_looks(looks), f"{look_alpha(looks):.4f}", *shares)


def _claims(studies: int, rng: np.random.Generator) -> Iterator[str]:
    yield _row("claim", "looks", "noise", *(f"{arms} arm{'s' * (arms > 1)}" for arms in ARMS))
    yield _row("---", "---", "---", *["---:"] * len(ARMS))
    for expectation, looks in product(Expectation, CLAIM_LOOKS):
        for name, (noise, prior, text) in _noises().items():
            found = [worst_rates(expectation, arms, looks, noise, studies, rng, prior, text) for arms in ARMS]
            shares = (" / ".join(f"{100 * rate:.1f}" for rate in own.values()) for own in found)
            yield _row(expectation.value, _looks(looks), name, *shares)


@cache
def _noises() -> dict[str, tuple[Outcomes, Prior, float]]:
    """Return noise distributions for claims with the prior of their variances and the noise of the text.

    The last ones are from committed runs, whose outcomes hold that of the text.
    """
    findings = judge(read_record(project_folder("reports") / REAL))
    study, runs, margin = findings.study, findings.record.runs, findings.margin
    losses = runs.loc[runs["arm"].isin([*study.arms, SAME, EXPLORATION]), study.outcome]
    usual = Prior(study.prior.variance / margin**2, study.prior.df)
    real = empirical(losses, margin)
    return {
        "normal, sd half a margin": (normal(0.5), NO_PRIOR, 0.0),
        f"the same and text, sd {TEXT:g} margins": (normal(0.5), NO_PRIOR, TEXT),
        "unequal spreads": (unequal(usual), usual, 0.0),
        f"{len(losses)} real runs": (real, NO_PRIOR, 0.0),
        f"{len(losses)} real runs, moderated": (real, usual, 0.0),
    }


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
