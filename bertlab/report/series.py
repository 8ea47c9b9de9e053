"""From runs to lines: the curves and profiles of a sweep, one per setting, ready to draw.

Enters: a `Sweep`. Leaves: `Curve`s with a name, an ink, the mean over seeds, single seeds, and runs without a result.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from bertlab.report.draw import DASHES, NAMED, Curve, Points, colours
from bertlab.report.layout import Ink
from bertlab.report.run_table import as_number, natural
from bertlab.report.settings import LOSS, Setting, Sweep, is_numeric
from bertlab.report.words import DASH

BINS = 120  # equal steps in log(tokens) over which training losses are averaged
LONGEST = 30  # characters of a setting's name in a figure


def curves_of(sweep: Sweep, metric: str, scale: float = 1.0) -> list[Curve]:
    """Return the metric against tokens, times `scale`; none when nothing was measured twice.

    Settings without a counted run are left out.
    """
    points = _finite(sweep, metric)
    points = points.assign(value=scale * points["value"])
    curves = []
    for setting, ink in zip(sweep.settings, _inks(sweep), strict=True):
        lost = setting.runs["run_id"][setting.runs["outcome"] != "finished"]
        broken = [_pair(points[points["run_id"] == run].set_index("tokens")["value"]) for run in lost]
        curves.append(_curve(name_of(sweep, setting), ink, _seeds(points, setting), broken))
    return _drawable(curves)


def differences_of(sweep: Sweep, metric: str) -> list[Curve]:
    """Return setting minus reference after as many tokens, per shared seed, the reference interpolated where needed."""
    points = _finite(sweep, metric)
    base = _seeds(points, sweep.reference)
    curves = []
    for setting, ink in zip(sweep.settings, _inks(sweep), strict=True):
        if setting is sweep.reference or base.empty:
            continue
        values = _seeds(points, setting)
        inside = values[(values.index >= base.index.min()) & (values.index <= base.index.max())]
        shared = [seed for seed in inside.columns if seed in base.columns]
        # evaluations of the two need not fall on the same token counts
        apart = {seed: inside[seed] - np.interp(inside.index, base.index, base[seed]) for seed in shared}
        curves.append(_curve(name_of(sweep, setting), ink, pd.DataFrame(apart), ()))
    return _drawable(curves)


def profiles_of(sweep: Sweep, position: int) -> list[Curve]:
    """Return the final loss against the numeric factor at `position`, one profile per value of the other factors."""
    groups: dict[tuple[str, ...], dict[float, Setting]] = {}
    for setting in sweep.settings:
        if len(setting.counted):
            others = setting.values[:position] + setting.values[position + 1 :]
            groups.setdefault(others, {})[as_number(setting.values[position])] = setting
    inks = [Ink(colour) for colour in colours(len(groups), ordered=False)]
    named = names(list(groups))
    return [_profile(named[others], ink, groups[others]) for others, ink in zip(groups, inks, strict=True)]


def smooth(curve: Curve) -> Curve:
    """Average a curve over equal steps in log(tokens), each placed at its end, and drop what stands behind it."""
    x = np.log(curve.main[0])
    bins = np.digitize(x, np.linspace(x[0], x[-1], BINS + 1)[1:-1])
    steps = pd.DataFrame({"x": curve.main[0], "y": curve.main[1]}).groupby(bins)
    return Curve(curve.name, curve.ink, (steps["x"].max().tolist(), steps["y"].mean().tolist()))


def name_of(sweep: Sweep, setting: Setting) -> str:
    """Name a setting by its values (the factors stand above), and say which one is the reference."""
    name = names([one.values for one in sweep.settings])[setting.values] or setting.label
    return f"{name} (reference)" if setting is sweep.reference and len(sweep.settings) > 1 else name


def names(keys: Sequence[tuple[str, ...]]) -> dict[tuple[str, ...], str]:
    """Join each key's values to one line beside a figure; long names lose what all begin with, then their middle."""
    whole = [" ".join(", ".join(value or DASH for value in key).split()) for key in keys]
    alike = [len(set(letters)) == 1 for letters in zip(*whole, strict=False)]
    start = (*alike, False).index(False) if len(whole) > 1 and max(map(len, whole)) > LONGEST else 0
    cut = [f"…{name[start:]}" if start > 1 else name for name in whole]
    return dict(zip(keys, map(_middle_cut, cut), strict=True))


def _middle_cut(name: str) -> str:
    return name if len(name) <= LONGEST else f"{name[: LONGEST // 2]}…{name[1 - LONGEST // 2 :]}"


def _profile(name: str, ink: Ink, settings: dict[float, Setting]) -> Curve:
    finals = pd.DataFrame({x: setting.by_seed(LOSS) for x, setting in sorted(settings.items())})
    return Curve(name, ink, _pair(finals.mean()), [_pair(row) for _, row in finals.iterrows()])


def _finite(sweep: Sweep, metric: str) -> pd.DataFrame:
    # a logarithmic axis has no place for the evaluation before the first token
    curves = sweep.curves[(sweep.curves["metric"] == metric) & (sweep.curves["tokens"] > 0)]
    return curves[curves["value"].abs() < np.inf]


def _seeds(points: pd.DataFrame, setting: Setting) -> pd.DataFrame:
    # rows tokens, columns seeds; only steps that every seed has, else the mean would jump where one ends
    runs = setting.counted[["run_id", "params.seed"]].rename(columns={"params.seed": "seed"})
    own = points.merge(runs, on="run_id")
    wide: pd.DataFrame = own.pivot_table(index="step", columns="seed", values="value", aggfunc="mean").dropna()
    wide.index = pd.Index(own.groupby("step")["tokens"].mean()[wide.index], name="tokens")
    return wide


def _curve(name: str, ink: Ink, seeds: pd.DataFrame, broken: Sequence[Points]) -> Curve:
    x: list[float] = seeds.index.tolist()
    faint = [(x, y) for y in seeds.to_numpy().T.tolist()] if len(seeds.columns) > 1 else []
    return Curve(name, ink, _pair(seeds.mean(axis=1)), faint, broken)


def _drawable(curves: list[Curve]) -> list[Curve]:
    shown = [curve for curve in curves if curve.main[0]]
    return shown if any(len(curve.main[0]) > 1 for curve in shown) else []


def _pair(values: "pd.Series[float]") -> Points:
    return [float(x) for x in values.index], [float(y) for y in values]


def _inks(sweep: Sweep) -> list[Ink]:
    # the factor with most values takes the colours, the others the dashes; alone, it repeats colours with new dashes
    found = [sorted({setting.values[i] for setting in sweep.settings}, key=natural) for i in range(len(sweep.factors))]
    if not found:
        return [Ink(NAMED[0], bold=True) for _ in sweep.settings]
    first = max(range(len(found)), key=lambda i: len(found[i]))
    ordered = len(found[first]) > 2 and is_numeric(found[first])
    palette = colours(len(found[first]), ordered=ordered)
    others = [setting.values[:first] + setting.values[first + 1 :] for setting in sweep.settings]
    solid = sweep.reference.values[:first] + sweep.reference.values[first + 1 :]
    dashed = list(dict.fromkeys([solid, *others]))
    inks = []
    for setting, other in zip(sweep.settings, others, strict=True):
        rank = found[first].index(setting.values[first])
        turn = dashed.index(other) if len(found) > 1 else rank // len(NAMED) * (not ordered)
        inks.append(Ink(palette[rank], DASHES[turn % len(DASHES)], setting is sweep.reference))
    return inks
