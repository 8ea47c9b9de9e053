"""Synthetic studies: from an effect and a spread per arm to runs and curves, a record, and its findings."""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bertlab.identity.text_and_scoring import PreparedText, Scoring, TextSize
from bertlab.study.judge import Findings, judge
from bertlab.study.record import EXPLORATION, HARMFUL, SAME, Record, canonical
from bertlab.study.regime import Budget, FrozenMargin, ModelSize, Optimizer, Regime

TOKENS = tuple(int(tokens) for tokens in np.geomspace(120_000, 2_400_000, 12))
END, UNIGRAM, SLOPE = 4.0, 6.2, -0.4
RATES = (0.05, 0.15, 0.3)

NODE: Mapping[str, Any] = {
    "id": "mask_rate",
    "question": "Why are 15 % of the tokens predicted, and could it be another share?",
    "claim": "No other rate is materially better than 15 %.",
    "baseline": "rate_15",
    "factors": ["mask.rate"],
    "arms": {
        "rate_15": ["mask.rate=0.15"],
        "rate_05": ["mask.rate=0.05"],
        "rate_30": ["mask.rate=0.3"],
        "rate_60": ["mask.rate=0.6"],
    },
    "expects": {"rate_05": "not_better", "rate_30": "not_better"},
    "outcome": "eval/mlm_loss",
    "secondary": ["eval/mlm_accuracy"],
    "trend": {"factor": "mask.rate", "scale": "log"},
    "margin": {"tokens": 0.25},
    "family": "masking",
    "seeds": 5,
    "looks": [3, 5],
    "axis": "tokens",
    "floor": 0.3,
    "controls": {"same": ["redraw=order"], "harmful": ["budget.tokens=1_150_000"]},
    "published": [
        {"source": "Wettig et al. 2022, large", "says": "15 % 89.05, 40 % 89.25", "status": "read"},
        {"source": "A talk", "says": "40 % is best", "status": "unverified"},
    ],
}
FACTS = {
    "registration": "0123abcd-4567ef01-89abcdef",
    "registered": "2026-01-02T03:04:05+00:00",
    "command": "python -m bertlab.run study=mask_rate",
    "code": "decade",
    "version": "0.1.0",
    "licence": "CC0-1.0",
    "fingerprint": "c0ffee",
}
FROZEN = FrozenMargin(-SLOPE * float(np.log(1.25)), SLOPE, seeds=3)  # margin 0.0893
REGIME = Regime(
    corpus=PreparedText("made-up sentences", TextSize(2_000, 100_000, 2_000_000), TextSize(60, 3_000, 60_000)),
    scoring=Scoring(sequences=256, rate=0.15, texts=0, pairs=0),
    model=ModelSize(layers=2, width=64, heads=2),
    budget=Budget(steps=1_172, sequences=32, length=64),
    optimizer=Optimizer("AdamW", 0.001),
)


@dataclass(frozen=True)
class Arm:
    """Result of an arm's runs against the baseline: mean and spread of the paired differences."""

    effect: float = 0.0
    sd: float = 0.01
    seeds: int = 5
    diverged: Sequence[int] = ()
    missing: Sequence[int] = ()


ARMS: Mapping[str, Arm] = {
    "rate_15": Arm(diverged=()),
    "rate_05": Arm(0.25),
    "rate_30": Arm(0.01),
    "rate_60": Arm(0.4, seeds=3),
    SAME: Arm(0.002),
    HARMFUL: Arm(0.5),
    EXPLORATION: Arm(0.0, seeds=3),
}
HIGHER = ("eval/mlm_accuracy", "eval/pair_accuracy")


def make_record(
    arms: Mapping[str, Mapping[str, Any]] | None = None,
    node: Mapping[str, Any] | None = None,
    gain: float | None = None,
    frozen: FrozenMargin = FROZEN,
    regime: Regime = REGIME,
) -> Record:
    """Make the canonical record of a study; arms, keys and values that are not given are those above."""
    study = {**copy.deepcopy(dict(NODE)), **(node or {})}
    own = {**ARMS, **{name: Arm(**values) for name, values in (arms or {}).items()}}
    runs: list[dict[str, Any]] = []
    curves: list[tuple[Any, ...]] = []
    for arm in [*study["arms"], SAME, HARMFUL, EXPLORATION]:
        _add(runs, curves, arm, own.get(arm, Arm()), study)
    table = pd.DataFrame(runs)
    if gain is not None:
        table["eval/context_gain"] = gain
    points = pd.DataFrame(curves, columns=["run_id", "metric", "step", "tokens", "value"])
    return canonical(Record(study, FACTS, table, points, frozen=frozen, regime=regime))


def _add(
    runs: list[dict[str, Any]], curves: list[tuple[Any, ...]], name: str, arm: Arm, study: Mapping[str, Any]
) -> None:
    first = 1000 if name == EXPLORATION else 0
    wobble = np.random.default_rng(sum(map(ord, name))).standard_normal(max(arm.seeds, 2))
    wobble = (wobble - wobble.mean()) / wobble.std(ddof=1)  # mean and spread are exactly those asked for
    for seed in range(arm.seeds):
        if seed in arm.missing:
            continue
        is_baseline = name in (study["baseline"], EXPLORATION)
        luck = float(np.random.default_rng(seed).normal(0, 0.05))
        apart = 0.0 if is_baseline else arm.effect + arm.sd * float(wobble[seed])
        run_id, gone = f"{name}.{seed}", seed in arm.diverged
        about = {"arm": name, "seed": first + seed, "run_id": run_id, "diverged": gone, "code": "decade"}
        about |= {"corpus": "c0ffee", "evaluation": "e5", "perf/tokens": float(TOKENS[-1]), "perf/flops": 1.5e12}
        runs.append(about | ({} if gone else _metrics(END + luck, apart, study["outcome"])))
        curves += _curve(run_id, luck, apart, gone, study["outcome"])


def _metrics(base: float, apart: float, outcome: str) -> dict[str, float]:
    loss = base + (apart if outcome == "eval/mlm_loss" else 0.0)
    metrics = {"eval/mlm_loss": loss, "eval/unigram_loss": UNIGRAM, "eval/context_gain": UNIGRAM - loss}
    metrics |= {"eval/mlm_accuracy": 0.9 - loss / 8}
    metrics |= {f"eval/mlm_loss.rate_{rate:g}": loss + rate - 0.15 for rate in RATES}
    return metrics | ({outcome: 0.4 + base / 100 + apart} if outcome in HIGHER else {})


def _curve(run_id: str, luck: float, apart: float, diverged: bool, outcome: str) -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = []
    for step, tokens in enumerate(TOKENS[: 4 if diverged else None]):
        behind = float(np.log(TOKENS[-1] / tokens))
        grown = 1 - 0.5 * behind / np.log(TOKENS[-1] / TOKENS[0])
        loss = END + luck - SLOPE * behind + (grown * apart if outcome == "eval/mlm_loss" else 0.0)
        rows.append((run_id, "eval/mlm_loss", step, tokens, loss))
        if outcome in HIGHER:
            rows.append((run_id, outcome, step, tokens, 0.8 + (END + luck) / 100 - 0.05 * behind + grown * apart))
    return rows


def mirrored(record: Record) -> Record:
    """Mirror every paired difference of the study's own arms: arm -> 2 * baseline - arm."""
    study, runs, curves = record.study, record.runs.copy(), record.curves.copy()
    baseline = runs[runs["arm"] == study.baseline].set_index("seed")
    for i, run in runs.iterrows():
        if run["arm"] in study.arms and run["arm"] != study.baseline and not run["diverged"]:
            base = baseline.loc[run["seed"]]
            runs.loc[i, study.outcome] = 2 * base[study.outcome] - run[study.outcome]
            for j in curves.index[(curves["run_id"] == run["run_id"]) & (curves["metric"] == study.outcome)]:
                same = (curves["run_id"] == base["run_id"]) & (curves["tokens"] == curves.loc[j, "tokens"])
                value = curves.loc[same & (curves["metric"] == study.outcome), "value"].iloc[0]
                curves.loc[j, "value"] = 2 * value - curves.loc[j, "value"]
    return canonical(replace(record, runs=runs, curves=curves))


MakeFindings = Callable[..., Findings]


@pytest.fixture(scope="session")
def make_findings() -> MakeFindings:
    """Return a function that makes a record and judges it."""
    return lambda *args, **keywords: judge(make_record(*args, **keywords))


@pytest.fixture(scope="session")
def mirror() -> Callable[[Findings], Findings]:
    """Return a function that mirrors a study's differences and judges it again."""
    return lambda findings: judge(mirrored(findings.record))
