"""Synthetic sweeps: losses that fall from the uniform loss through the unigram plateau to a floor set per setting."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest

from bertlab.study.exploration import explored
from bertlab.study.judge import Findings, judge

UNIGRAM = 6.0
TOKENS = 2_000_000
RATES = (0.05, 0.15, 0.4)


class Runs(NamedTuple):
    """The input of `explored` for a record."""

    runs: pd.DataFrame
    curves: pd.DataFrame
    facts: dict[str, str]
    factors: Sequence[str] | None

    @property
    def findings(self) -> Findings:
        """The sweep as its page sees it."""
        return judge(explored(*self))


MakeTable = Callable[..., Runs]


def build(
    factors: Mapping[str, Sequence[str]],
    *,
    seeds: Sequence[int] = (0, 1, 2),
    effect: Callable[..., float] = lambda *values: 0.0,
    baseline: Sequence[str] | None = None,
    pairs: bool = True,
    noise: float = 0.01,
    evaluations: int = 20,
) -> Runs:
    """Make one finished run per setting and seed; `effect(*values)` is added to the final loss of 3.2 nats."""
    rng = np.random.default_rng(11)
    seed_luck = {seed: rng.normal(0, 0.05) for seed in seeds}
    runs, curves = [], []
    for i, values in enumerate(itertools.product(*factors.values())):
        for seed in seeds:
            final = 3.2 + effect(*values) + seed_luck[seed] + rng.normal(0, noise)
            run_id = f"r{i:02d}s{seed}"
            runs.append(
                _run(run_id, dict(zip(factors, values, strict=True)), seed, final, pairs, list(values) == baseline)
            )
            curves += _curve(run_id, final, pairs, rng, evaluations)
    facts = {
        "title": "A synthetic sweep",
        "command": "python -m bertlab.run -m mask.rate=0.1,0.15 seed=0,1",
        "corpus": "generated sentences, 2 M tokens",
        "licence": "CC0-1.0",
        "evaluation": "512 held-out sequences, 15 % of tokens replaced by [MASK], the same for every run",
    }
    return Runs(
        pd.DataFrame(runs),
        pd.DataFrame(curves, columns=["run_id", "metric", "step", "tokens", "value"]),
        facts,
        [*factors, "seed"],
    )


def _run(
    run_id: str, params: Mapping[str, str], seed: int, final: float, pairs: bool, baseline: bool
) -> dict[str, object]:
    row: dict[str, object] = {
        "run_id": run_id,
        "name": ",".join(f"{key}={value}" for key, value in params.items()),
        "status": "FINISHED",
        "params.seed": str(seed),
        "params.model": "small",
        "params.data": "oracle",
        "params.budget.tokens": str(TOKENS),
        **{f"params.{key}": value for key, value in params.items()},
        "tags.bertlab.baseline": str(baseline).lower(),
        "tags.bertlab.corpus": "c0ffee",
        "tags.bertlab.code": "decade",
        "tags.bertlab.version": "0.1.0",
        "metrics.eval/mlm_loss": final,
        "metrics.eval/mlm_accuracy": float(np.exp(-final / 3)),
        "metrics.eval/unigram_loss": UNIGRAM,
        "metrics.eval/context_gain": UNIGRAM - final,
        **{f"metrics.eval/mlm_loss.rate_{rate:g}": final + 2 * (rate - 0.15) for rate in RATES},
        "metrics.perf/tokens": float(TOKENS),
        "metrics.perf/predicted_tokens": 0.15 * TOKENS,
        "metrics.perf/flops": 6.0 * 4e6 * TOKENS,
        "metrics.perf/seconds": 312.5,
        "metrics.perf/tokens_per_second": TOKENS / 312.5,
    }
    if pairs:
        row |= {"metrics.eval/pair_loss": 0.4, "metrics.eval/pair_accuracy": 0.9 - final / 30}
    return row


def _curve(run_id: str, final: float, pairs: bool, rng: np.random.Generator, n: int) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = []
    for step in range(0, n + 1):
        share = step / n
        loss = final + (UNIGRAM - final) * np.exp(-6 * share) * (1 - share) + 3 * np.exp(-60 * share)
        points = {"eval/mlm_loss": loss, "train/mlm_loss": loss + rng.normal(0, 0.1)}
        if pairs:
            points["eval/pair_accuracy"] = 0.5 + (0.4 - final / 30) * share**0.7
        rows += [(run_id, metric, 10 * step, step * TOKENS // n, value) for metric, value in points.items()]
    return rows


@pytest.fixture
def make_table() -> MakeTable:
    return build
