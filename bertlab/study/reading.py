"""Readers of values in a study's file, with one-line errors."""

import re
from collections.abc import Mapping, Sequence

from bertlab.config.compose import check
from bertlab.config.errors import InputError
from bertlab.config.reading import written_out

EXAMPLES = {  # by key; test_registration reads a study with all of them
    "id": "mask_rate",
    "arms": "{rate_15: [mask.rate=0.15], rate_05: [mask.rate=0.05], rate_30: [mask.rate=0.3]}",
    "baseline": "rate_15",
    "factors": "[mask.rate]",
    "expects": "{rate_30: not_better}",
    "against": "{rate_05: rate_30}",
    "outcome": "eval/mlm_loss",
    "secondary": "[eval/mlm_accuracy]",
    "margin": "{tokens: 0.25}",
    "family": "masking",
    "ladder": "{nano: 5, study: 3}",
    "seeds": "8",
    "looks": "[5, 8]",
    "axis": "tokens",
    "floor": "0.3",
    "controls": "{same: [redraw=order], harmful: [budget.tokens=1_150_000]}",
    "trend": "{factor: mask.rate, scale: log}",
    "search": "{setting: optimizer.lr, values: [0.001, 0.002, 0.004], seeds: 2}",
    "published": "[{source: Wettig et al. 2023, says: 40 % is better, status: read}]",
    "prior": "{variance: 0.0004, df: 4.2, contrasts: 40}",
    "bank": "16",
    "trunk": "{overrides: [schedule=constant], tokens: 2_300_000}",
    "labels": "{rate_30: a mask rate of 30 %}",
    "labels_zh": "{rate_30: 30% 的遮盖率}",
    "elsewhere": "{rate_30: 'better: slightly better'}",
}


def read_overrides(key: str, values: object) -> tuple[str, ...]:
    """Return the overrides of an arm or a control. Raises InputError."""
    overrides = tuple(written_out(read_texts(key, values), whole=False))
    for override in overrides:
        if not re.fullmatch(r"\+?[\w./@]+=.+", override):
            raise InputError(f"study.{key} must hold key=value, got {override}; write for example mask.rate=0.3")
    check(overrides)  # they do not come from a command line, so check them here
    return overrides


def read_texts(key: str, values: object) -> tuple[str, ...]:
    """Return a list of texts. Raises InputError."""
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise InputError(f"study.{key} must be a list of words, got {values}; put each in quotes if need be")
    return tuple(values)


def read_text(key: str, value: object) -> str:
    """Return a non-empty text. Raises InputError."""
    if not isinstance(value, str) or not value.strip():
        raise InputError(f"study.{key} must be text, got {value}; put it in quotes if need be")
    return " ".join(value.split())


def read_word(key: str, value: object, known: Mapping[str, object] | Sequence[str]) -> str:
    """Return one of the known words. Raises InputError."""
    if isinstance(value, str) and value in known:
        return value
    raise InputError(f"study.{key} must be one of {', '.join(known)}, got {value}; choose one")
