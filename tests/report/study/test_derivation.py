"""Every committed status by rule 2, derived a second time from runs.csv with numpy and scipy only.

Nothing from bertlab.stats or bertlab.study.judge is used: priors, intervals, looks, Holm's rule and the A/A control are
written again from STATISTICS in another way (p-values by bisection on the ends of intervals where that is simple).
"""

import json
import math
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
from scipy import optimize, special, stats

from bertlab.config.compose import PACKAGE

REPORTS = PACKAGE.parent / "reports"
STUDIES = sorted(
    path.parent.relative_to(REPORTS).as_posix() for at in ("*", "*/*") for path in REPORTS.glob(f"{at}/study.json")
)
HIGHER = ("accuracy", "score", "finetuned", "frozen", "captured", "gain")  # outcomes for which more is better
SIGN = {"worse": (1, 0), "better": (-1, 0), "materially_worse": (1, 1), "materially_better": (-1, 1)}
WITHIN = {"not_worse": (-1, -1), "not_better": (1, -1)}  # side on which it lies, and the margins it must not fall short


class Arm(NamedTuple):
    """Oriented differences of an arm (positive = worse): mean, seeds, and (standard error, degrees of freedom).

    The errors are that of the seeds and that with the noise of the text: what is said must hold with both.
    """

    mean: float
    n: int
    errors: tuple[tuple[float, float], ...]


@cache
def read(study: str) -> tuple[dict[str, Any], dict[str, Any], pd.DataFrame]:
    about = json.loads((REPORTS / study / "study.json").read_text("utf-8"))
    rule = REPORTS / study / "rule.json"
    return (
        about,
        json.loads(rule.read_text("utf-8")) if rule.is_file() else {},
        pd.read_csv(REPORTS / study / "runs.csv"),
    )


def references(study: str) -> dict[str, str]:
    """Return the reference of each arm and control; tuned arms have a tuned reference."""
    about, _, runs = read(study)
    node, there = about["study"], set(runs["arm"])
    known = {}
    for arm in dict.fromkeys(runs["arm"]):
        if "@" in arm or arm in (node["baseline"], "exploration"):
            continue
        plain = arm.removesuffix("_tuned")
        reference = node.get("against", {}).get(plain, node["baseline"])
        tuned = f"{reference}_tuned"
        known[arm] = tuned if arm.endswith("_tuned") and reference != node["baseline"] and tuned in there else reference
    return known


def differences(study: str, arm: str, outcome: str) -> np.ndarray:
    _, _, runs = read(study)
    by = runs[~runs["diverged"].astype(bool)].pivot_table(index="seed", columns="arm", values=outcome)
    reference = references(study)[arm]
    if arm not in by or reference not in by:
        return np.array([])
    turn = -1 if any(word in outcome for word in HIGHER) else 1
    return turn * (by[arm] - by[reference]).dropna().to_numpy()


def regime_of(about: dict[str, Any]) -> tuple[str, ...]:
    """Return what studies of one regime share."""
    return about["facts"]["fingerprint"], *(json.dumps(about["regime"][name]) for name in ("model", "budget"))


@cache
def prior(regime: tuple[str, ...], outcome: str) -> tuple[float, float]:
    """Return variance and degrees of freedom of a regime by the moments of log variances; 0, 0 below ten contrasts."""
    found: dict[tuple[float, ...], np.ndarray] = {}
    for study in STUDIES:
        about, rule, runs = read(study)
        own = regime_of(about)
        if own != regime or outcome not in runs or not rule:
            continue
        own = {}
        for arm in references(study):
            d = differences(study, arm, outcome)
            if d.size >= 3 and d.std() > 0:
                own[tuple(np.concatenate([differences(study, arm, "eval/mlm_loss")[:3], d[:3]]).round(9))] = d
        found |= {key: max(found.get(key, d[:0]), d, key=len) for key, d in own.items()}
    if len(found) < 10:
        return 0.0, 0.0
    s2, df = np.array([d.var(ddof=1) for d in found.values()]), np.array([d.size - 1.0 for d in found.values()])
    e = np.log(s2) - special.digamma(df / 2) + np.log(df / 2)
    excess = e.var(ddof=1) - special.polygamma(1, df / 2).mean()
    if excess <= 0:
        return float((df * s2).sum() / df.sum()), float(df.sum())
    half = optimize.brentq(lambda x: special.polygamma(1, x) - excess, 1e-4, 1e7)
    return float(np.exp(e.mean() + special.digamma(half)) / half), min(2 * half, float(df.sum()))


@cache
def smallest_p(looks: tuple[int, ...]) -> np.ndarray:
    """Return the smallest one-sided p over looks of studies without an effect, sorted."""
    rng, batches = np.random.default_rng(2027), []
    for _ in range(10):
        d = rng.standard_normal((30_000, looks[-1]))
        p = [stats.t.sf(d[:, :n].mean(1) / d[:, :n].std(1, ddof=1) * math.sqrt(n), n - 1) for n in looks]
        batches.append(np.min(p, axis=0))
    return np.sort(np.concatenate(batches))


def over_looks(p: float, looks: tuple[int, ...]) -> float:
    return p if len(looks) == 1 else max(p, float((smallest_p(looks) < p).mean()))


def of_text(study: str, arm: str) -> tuple[float, float]:
    """Return the variance of a mean difference due to the evaluated text, and its degrees of freedom."""
    about, _, runs = read(study)
    outcome = about["study"]["outcome"]
    parts = [name for name in runs.columns if name.startswith(f"{outcome}.chunk_")]
    if parts:
        mean = [differences(study, arm, part).mean() for part in parts]
        return float(np.var(mean, ddof=1)) / len(parts), len(parts) - 1
    if f"{outcome}.se_items" in runs:
        both = runs[runs["arm"].isin([arm, references(study)[arm]])]
        return float((both[f"{outcome}.se_items"] ** 2).groupby(both["arm"]).mean().sum()), math.inf
    if outcome != "eval/pair_accuracy":
        return 0.0, math.inf
    n = differences(study, arm, outcome).size
    rates = (runs[runs["arm"] == each].sort_values("seed")[outcome][:n] for each in (arm, references(study)[arm]))
    return sum(float(p.mean() * (1 - p.mean())) for p in rates) / 256, math.inf


def measured(study: str, arm: str) -> Arm:
    about, rule, _ = read(study)
    d = differences(study, arm, about["study"]["outcome"])
    usual = rule.get("prior", about["study"].get("prior", {"variance": 0.0, "df": 0.0}))
    df = d.size - 1 + usual["df"]
    variance = (usual["df"] * usual["variance"] + ((d - d.mean()) ** 2).sum()) / df
    seeds, (text, text_df) = variance / d.size, of_text(study, arm)
    both = (seeds + text) ** 2 / (seeds**2 / df + text**2 / text_df)
    return Arm(float(d.mean()), d.size, ((math.sqrt(seeds), df), (math.sqrt(seeds + text), both)))


def ends(arm: Arm, a: float) -> tuple[float, float]:
    half = max(float(stats.t.ppf(1 - a, df)) * se for se, df in arm.errors)
    return arm.mean - half, arm.mean + half


def p_beyond(arm: Arm, side: int, bound: float) -> float:
    """Return the p of a true difference beyond `bound`, counted towards `side`."""
    return max(float(stats.t.sf((side * arm.mean - bound) / se, df)) for se, df in arm.errors)


def p_values(word: str, arm: Arm, margin: float) -> tuple[float, float]:
    if word == "equivalent":
        outside = Arm(abs(arm.mean), *arm[1:])
        within = max(p_beyond(arm, 1, -margin), p_beyond(arm, -1, -margin))
        return within, min(1.0, p_beyond(outside, 1, margin) + p_beyond(outside, 1, -margin))
    side, margins = {**SIGN, **WITHIN}[word]
    return p_beyond(arm, side, margins * margin), p_beyond(arm, -side, -margins * margin)


def looks_of(node: dict[str, Any]) -> tuple[int, ...]:
    """Return the looks; of a rung those up to its own number of seeds."""
    if "rung" not in node:
        return tuple(node["looks"])
    seeds = node["ladder"][node["rung"]]
    return (*(look for look in node["looks"] if look < seeds), seeds)


def status(study: str) -> tuple[str, list[str]]:
    """Return the status of a study and the findings of its primary arms."""
    about, _, runs = read(study)
    node, margin = about["study"], about["frozen"]["margin"]
    looks = looks_of(node)
    words = {**node["expects"]}
    words |= {f"{arm}_tuned": word for arm, word in node["expects"].items() if f"{arm}_tuned" in set(runs["arm"])}
    gain = runs.loc[runs["arm"] == node["baseline"], "eval/context_gain"].mean()
    assert gain > node["floor"]
    if not ends(measured(study, "harmful"), 0.05)[0] > 0:  # it shows nothing then
        return "UNDECIDED", ["UNDECIDED"] * len(words)
    same = ends(measured(study, "same"), 0.05)
    assert same[0] <= margin
    assert same[1] >= -margin
    coarse = not (-margin < same[0] and same[1] < margin)
    supports, refutes = [], []
    for name, word in words.items():
        arm = measured(study, name)
        support, refute = (over_looks(p, looks) for p in p_values(word, arm, margin))
        if coarse:
            level = 0.05 if len(looks) == 1 else float(np.quantile(smallest_p(looks), 0.05))
            low, high = ends(arm, level)
            worse, better = low > max(0, same[1]), high < min(0, same[0])
            side = {**SIGN, **WITHIN}.get(word, (0, 0))[0]
            support = support if (worse if side > 0 else better if side < 0 else False) else 1.0
            refute = refute if (better if side > 0 else worse if side < 0 else worse or better) else 1.0
        supports.append(support)
        refutes.append(refute)
    found = ["SUPPORTED" if p <= 0.05 else "UNDECIDED" for p in supports]
    for rank, k in enumerate(np.argsort(refutes)):  # Holm, step by step
        if refutes[k] > 0.05 / (len(refutes) - rank):
            break
        found[k] = "REFUTED"
    whole = "REFUTED" if "REFUTED" in found else "SUPPORTED" if set(found) == {"SUPPORTED"} else "UNDECIDED"
    return whole, found


@pytest.mark.parametrize("study", STUDIES)
def test_the_status_on_a_page_is_what_a_second_derivation_finds(study: str) -> None:
    stated = json.loads((REPORTS / study / "verdict.json").read_text("utf-8"))
    primary = [row["finding"] for row in stated["contrasts"] if row["role"] == "primary"]
    assert (stated["finding"], primary) == status(study)


@pytest.mark.parametrize("study", STUDIES)
@pytest.mark.slow
def test_the_prior_that_a_study_was_judged_again_with_is_that_of_its_regime(study: str) -> None:
    about, rule, _ = read(study)
    if not rule:
        pytest.skip("judged by the rule of its registration, with the prior that it was registered with")
    regime = regime_of(about)
    variance, df = prior(regime, about["study"]["outcome"])
    stated = rule.get("prior", {"variance": 0.0, "df": 0.0})
    assert (stated["variance"], stated["df"]) == pytest.approx((variance, df), rel=1e-4)


def test_the_second_derivation_shares_no_code_with_the_first() -> None:
    imported = [line for line in Path(__file__).read_text("utf-8").splitlines() if line.startswith(("import", "from"))]
    assert [line for line in imported if "bertlab" in line] == ["from bertlab.config.compose import PACKAGE"]
