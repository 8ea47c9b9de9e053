"""What a run reads and what it is scored on: as values, as JSON for a tag, and in words.

Enters: a prepared corpus and the settings of the evaluation. Leaves: `PreparedText` and `Scoring`.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from bertlab.config.redact import redacted_settings
from bertlab.data.store import Tokens, TokenStore
from bertlab.evaluation.curve import PAIRS_A_TEXT

REGIME = "bertlab.regime"  # tag: corpus and scoring as JSON


@dataclass(frozen=True)
class TextSize:
    """How much text a split has."""

    documents: int
    sentences: int
    tokens: int


@dataclass(frozen=True)
class PreparedText:
    """The prepared text: its source in its own words, and the size of its splits."""

    source: str
    train: TextSize
    valid: TextSize


@dataclass(frozen=True)
class Scoring:
    """What the common evaluation scores; `texts` and `pairs` are those at the end of a run, 0 for none."""

    sequences: int  # at most
    rate: float  # share of their tokens that are replaced by [MASK]
    texts: int
    pairs: int


def corpus_of(store: TokenStore) -> PreparedText:
    """Return the values of a prepared corpus, without what looks like a secret."""
    source = redacted_settings({"source": store.facts["source"]})["source"]
    return PreparedText(str(source), *(_size(store.splits[name]) for name in ("train", "valid")))


def scoring_of(evaluation: Mapping[str, Any]) -> Scoring:
    """Return what an evaluation with these settings scores."""
    final = evaluation.get("final", 0)
    return Scoring(evaluation["sequences"], evaluation["rate"], final, PAIRS_A_TEXT * final)


def corpus_words(corpus: PreparedText) -> str:
    """Describe a corpus."""
    return f"{corpus.source}; training {_size_words(corpus.train)}; held out {_size_words(corpus.valid)}"


def yardstick(scoring: Scoring) -> str:
    """Describe the common evaluation, in the words that older runs have too: those of a comparison must agree."""
    share = f"{100 * scoring.rate:g} % of the tokens replaced by [MASK]"
    return f"{scoring.sequences} held-out sequences at most, {share}, the same ones for every run"


def scoring_words(scoring: Scoring) -> str:
    """Describe the common evaluation, and the larger one at the end of a run, if there is one."""
    end = f"; at the end {scoring.texts} texts and {scoring.pairs} pairs" if scoring.texts else ""
    return yardstick(scoring) + end


def as_tag(corpus: PreparedText, scoring: Scoring) -> str:
    """Return both as the JSON text of a tag."""
    return json.dumps({"corpus": asdict(corpus), "scoring": asdict(scoring)})


def read_corpus(node: Mapping[str, Any]) -> PreparedText:
    """Return a corpus from the plain values of `asdict`."""
    return PreparedText(node["source"], TextSize(**node["train"]), TextSize(**node["valid"]))


def _size(split: Tokens) -> TextSize:
    return TextSize(len(split.documents) - 1, len(split.sentences) - 1, len(split.ids))


def _size_words(size: TextSize) -> str:
    return f"{size.documents:,} documents, {size.sentences:,} sentences, {size.tokens:,} tokens"
