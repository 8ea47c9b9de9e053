"""Regimes: model, corpus and budget of a study, their ladders, and the studies that test known answers in them.

Enters: `Findings`. Leaves: words, and studies by regime.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from bertlab.report.layout import token_text
from bertlab.report.stated import source_of, stated
from bertlab.report.study.fitness import FAMILY, is_continued, right_answers
from bertlab.report.study.limits import NOT_RECORDED, epochs
from bertlab.report.words import escape, number
from bertlab.study.judge import Findings
from bertlab.study.ladder import Ladder, is_ladder, read_ladder

TOKENS = "perf/tokens"
USUAL = "adamw"  # the optimiser of BERT, which needs no word


def regime(findings: Findings) -> str:
    """Write model, corpus, tokens, batches and an optimiser other than AdamW; what the record lacks is left out."""
    record = findings.record
    baseline = record.arm(findings.study.baseline)
    tokens = baseline[TOKENS].median() if TOKENS in baseline else float("nan")
    known = [stated(record, "model") + _trained(findings), source_of(record)]
    known += [f"{number(tokens / 1e6, 2)} M tokens"] if tokens > 0 else []
    known.append(stated(record, "budget"))
    known += [f"trained by {name}" for name in other_optimizer(findings)]
    times = epochs(findings)
    known += [f"{number(times, 1)} epochs of the training text"] if times > 0 else []
    return "; ".join(escape(each) for each in known if each) or NOT_RECORDED


def other_optimizer(findings: Findings) -> list[str]:
    """Return the name of the optimiser, if it is known and not the usual one."""
    optimizer = findings.record.regime.optimizer
    return [optimizer.name] if optimizer and optimizer.name != USUAL else []


def _trained(findings: Findings) -> str:
    """Return what the runs start from, if not from random weights."""
    if (trunk := findings.study.trunk) is not None:
        return f", trained on {token_text(trunk.tokens)} tokens before"
    return ", trained before" if is_continued(findings) else ""


def climbed(folder: Path, studies: Mapping[str, Findings]) -> dict[str, Ladder]:
    """Return the ladders among the studies of a folder, by study name."""
    found = {name: read_ladder(folder / name) for name in studies if is_ladder(folder / name)}
    return {name: ladder for name, ladder in found.items() if ladder}


def asked(studies: Mapping[str, Findings], ladders: Mapping[str, Ladder]) -> dict[str, Findings]:
    """Return, by regime, the study that tested known answers; of a ladder every rung."""
    own = {name: findings for name, findings in studies.items() if findings.study.family == FAMILY}
    found = [each for name in own for each in (ladders[name].rungs.values() if name in ladders else [own[name]])]
    return {regime(each): each for each in found}


def with_known(studies: Mapping[str, Findings], known: Mapping[str, Findings]) -> dict[str, Findings]:
    """Return the studies with the known answers that their regimes give; `known` as from `asked`."""
    found = {words: right_answers(each) for words, each in known.items()}
    return {name: replace(findings, known=found.get(regime(findings))) for name, findings in studies.items()}
