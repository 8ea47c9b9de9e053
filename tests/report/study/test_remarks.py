"""Handwritten words beside a record: an interval that follows the mean of an arm is one of that arm's intervals.

It may also be one of a table of the page, whose secondary outcomes have means of their own.
"""

import json
import re
from pathlib import Path

import pandas as pd
import pytest

from bertlab.config.compose import PACKAGE

REPORTS = PACKAGE.parent / "reports"
WRITTEN = sorted(
    path.relative_to(REPORTS).as_posix() for name in ("remarks.md", "rule.json") for path in REPORTS.rglob(name)
)
NUMBER = r"[+−-]?\d*\.\d+"
SAID = re.compile(rf"({NUMBER})(?: nats| points)?,? \(?(?:[\d.]+ % interval )?({NUMBER}) to ({NUMBER})")
BETWEEN = re.compile(rf"({NUMBER}) to ({NUMBER})")
EARLIER = {("+0.051", "−0.051", "+0.154")}  # of random_tokens as it was first registered
LINK = re.compile(r"\]\((\w+)\.md")
INTERVALS = ("own_90", "moderated_90", "own_95", "moderated_95", "decision")


def text(path: Path) -> str:
    words = path.read_text("utf-8")
    return words if path.suffix == ".md" else str(json.loads(words).get("why", ""))


def plain(line: str) -> list[tuple[str, str]]:
    """Return the intervals in a line of a table, without plus signs."""
    return [(low.lstrip("+"), high.lstrip("+")) for low, high in BETWEEN.findall(line)]


def rows(folders: list[Path]) -> pd.DataFrame:
    found = [path for folder in folders if (path := folder / "verdicts.csv").is_file()]
    return pd.concat([pd.read_csv(path) for path in found])


def is_close(said: str, true: float) -> bool:
    """Return whether a number is the true one, rounded to as many digits; in per cent too, and of either sign."""
    value, decimals = abs(float(said.replace("−", "-"))), len(said.partition(".")[2])
    return any(abs(value - abs(scale * true)) <= 0.51 * 10**-decimals for scale in (1, 100))


@pytest.mark.parametrize("written", WRITTEN)
def test_an_interval_after_the_mean_of_an_arm_is_one_of_its_own(written: str) -> None:
    path, wrong = REPORTS / written, []
    said = " ".join(text(path).split())
    page = (REPORTS / f"{path.parent.relative_to(REPORTS)}.md").read_text("utf-8")
    shown = {pair for line in page.splitlines() if line.startswith("|") for pair in plain(line)}
    known = rows([path.parent, *(REPORTS / name for name in LINK.findall(said))])
    for mean, low, high in (each for each in SAID.findall(said) if each not in EARLIER):
        pair = (low.lstrip("+"), high.lstrip("+"))
        ends = [
            sorted((abs(row[f"{each}_low"]), abs(row[f"{each}_high"])))
            for _, row in known.iterrows()
            if is_close(mean, row["mean"])
            for each in INTERVALS
        ]
        told = sorted((low, high), key=lambda end: abs(float(end.replace("−", "-"))))
        if ends and pair not in shown and not any(all(map(is_close, told, each)) for each in ends):
            wrong.append(f"{mean} ({low} to {high})")
    assert not wrong
