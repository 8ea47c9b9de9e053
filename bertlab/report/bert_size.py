"""The section of a ladder's page on models of BERT's size: what others found, and where the ladder's line leads.

Enters: a `Ladder`. Leaves: a section in markdown; none if nobody else compared its arms.
"""

import math

from bertlab.report.answers.english import ENGLISH
from bertlab.report.answers.sentences import agreement
from bertlab.report.table import Table
from bertlab.report.words import DASH, count, escape, number
from bertlab.stats.interval import Interval
from bertlab.stats.ladder import PREDICTED
from bertlab.study.labels import elsewhere, elsewhere_words, label
from bertlab.study.ladder import HOLDS, Ladder
from bertlab.study.onset import onsets_in

BERT_BASE = 2.38e19  # FLOPs of BERT-base: 900,000 steps of 256 x 128 tokens and 100,000 of 256 x 512
SMALLEST, LARGEST = 0.001, 1000.0  # multiples of the tokens that are written as numbers
CREDIBLE = math.log(100)  # ln multiplier; a line that ends beyond it has left what an arm can be worth
HEADER = ["arm", "others found it", "the highest rung", "by the line (times the tokens)", "the line"]


def at_bert_size(ladder: Ladder) -> str:
    """Return the section: what others found, the highest rung and the line through the rungs."""
    rows = [_row(ladder, arm) for arm in ladder.arms if ladder.arms[arm] and elsewhere(ladder.study, arm)]
    if not rows:
        return ""
    highest = max(rung.compute for rungs in ladder.arms.values() for rung in rungs.values())
    text = (
        f"Others trained models of BERT's size. BERT-base took about {BERT_BASE:.1e} FLOPs, "
        f"{number(BERT_BASE / highest / 1e6, 1)} million times those of the highest rung. *By the line*: the "
        "effect that the line through the rungs gives there, as an 80 % interval, and whether it agrees with what "
        "others found. So far beyond what was measured a line says little; one whose whole interval lies beyond a "
        "factor of 100 is not credible."
    )
    sources = [
        f"- {escape(source.source)}{f' ({escape(source.size)})' if source.size else ''}: {escape(source.says)}"
        f"{f' (against the highest rung: {escape(source.agrees)})' if source.agrees else ''}"
        for source in ladder.study.published
    ]
    return "\n\n".join(["## At BERT's size", text, Table(HEADER, rows).markdown(), "\n".join(sources)])


def _row(ladder: Ladder, arm: str) -> list[str]:
    found = elsewhere(ladder.study, arm)
    name, rung = [*ladder.arms[arm].items()][-1]
    told = agreement(ladder.rungs[name].arms[arm], found)
    alike = f"{found} too" if found != "same" else "no difference either"
    here = alike if told == "same" else ENGLISH.agreement[told]
    cells = [escape(label(ladder.study, arm)), escape(elsewhere_words(ladder.study, arm)), here]
    if onsets_in(ladder.rungs[name], arm).is_unstarted:
        return [*cells, DASH, "not begun at the highest rung"]
    line = ladder.line(arm)
    if line is None:
        return [*cells, DASH, DASH]
    ends = line.predicted(BERT_BASE, rung.se, PREDICTED)
    return [*cells, f"{_times(ends.low)} to {_times(ends.high)}", _agrees(ends, found)]


def _agrees(ends: Interval, found: str) -> str:
    """Describe whether an interval of ln multipliers agrees with worse, better or same."""
    if ends.low > CREDIBLE or ends.high < -CREDIBLE:
        return "not credible"
    if max(abs(ends.low), abs(ends.high)) < HOLDS:
        direction = "same"
    elif ends.low > 0 or ends.high < 0:
        direction = "better" if ends.low > 0 else "worse"
    else:
        return "cannot be told"
    return "agrees" if direction == found else "disagrees"


def _times(multiplier: float) -> str:
    times = math.exp(min(multiplier, 99.0))
    if not SMALLEST <= times <= LARGEST:
        return f"under ×{SMALLEST}" if times < SMALLEST else f"over ×{count(LARGEST)}"
    return f"×{number(times, 0 if times >= 10 else 2 if times >= 0.1 else 3)}"
