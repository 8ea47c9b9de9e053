"""Records of studies that never ran: outcomes are made from effects and spreads that the test sets."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bertlab.study.record import Record, canonical
from bertlab.study.regime import FrozenMargin

NODE: dict[str, Any] = {
    "id": "heads",
    "question": "Do several heads help?",
    "claim": "One head is worse than two.",
    "baseline": "two",
    "factors": ["model.heads"],
    "arms": {"two": ["model.heads=2"], "one": ["model.heads=1"], "four": ["model.heads=4"]},
    "expects": {"one": "worse"},
    "outcome": "eval/mlm_loss",
    "margin": {"nats": 0.1},
    "family": "attention",
    "seeds": 8,
    "looks": [5, 8],
    "axis": "tokens",
    "floor": 0.3,
    "controls": {"same": ["redraw=order"], "harmful": ["budget.tokens=1_150_000"]},
}
EFFECT = {"one": 0.3, "four": 0.0, "same": 0.0, "harmful": 0.4}  # nats above the baseline
TOKENS = (250_000, 500_000, 1_000_000, 1_400_000, 2_000_000, 2_300_000)
UNIGRAM = 6.6
MakeRecord = Callable[..., Record]


@pytest.fixture(scope="session")
def make_record() -> MakeRecord:
    """Make a record: `effect` in nats by arm, `sd` of the paired differences, `gain` of the baseline at its end.

    `tuned` and `trials` are arms that a search adds to those of the study.
    """

    def make(
        effect: Mapping[str, float] = {},
        *,
        sd: float = 0.02,
        gain: float = 1.1,
        seeds: int = 8,
        node: Mapping[str, Any] = {},
        gone: Sequence[tuple[str, int]] = (),
        diverged: Sequence[tuple[str, int]] = (),
        tuned: Sequence[str] = (),
        trials: Sequence[str] = (),
    ) -> Record:
        rng, study = np.random.default_rng(7), {**NODE, **node}
        effects, rows, points = {**EFFECT, **effect}, [], []
        arms = [*study["arms"], *tuned, *study["controls"]]
        cells = [(arm, seed) for arm in arms for seed in range(seeds)] + [("exploration", 1000 + k) for k in range(3)]
        cells += [(name, 1000 + k) for name in trials for k in range(2)]
        of_seed = {seed: 0.05 * value for seed, value in enumerate(rng.standard_normal(seeds))}
        noise = {arm: _centred(rng.standard_normal(seeds)) for arm in arms}
        for arm, seed in cells:
            own = sd * noise[arm][seed] if arm != study["baseline"] and arm in noise else 0.0
            end = UNIGRAM - gain + of_seed.get(seed, 0.0) + effects.get(arm, 0.0) + own
            run, bad = f"{arm}-{seed}", (arm, seed) in diverged
            about = {"arm": arm, "seed": seed, "run_id": run, "diverged": bad}
            about |= {"code": "c", "corpus": "d", "evaluation": "e"}
            metrics = {} if bad else {study["outcome"]: end, "eval/context_gain": UNIGRAM - end}
            if (arm, seed) not in gone:
                rows.append({**about, **metrics})
                curve = [end + 0.46 * np.log(TOKENS[-1] / tokens) for tokens in TOKENS]
                points += [(run, study["outcome"], k, t, y) for k, (t, y) in enumerate(zip(TOKENS, curve, strict=True))]
        curves = pd.DataFrame(points, columns=["run_id", "metric", "step", "tokens", "value"])
        frozen = FrozenMargin(next(iter(study["margin"].values())), -0.46)
        return canonical(Record(study, {}, pd.DataFrame(rows), curves, frozen))

    return make


def _centred(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return values of mean 0 and standard deviation 1, so that a test knows the interval."""
    return (values - values.mean()) / values.std(ddof=1)
