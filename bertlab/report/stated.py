"""What a record states about its runs, in words.

Enters: a `Record`. Leaves: text without markup. A study records values, of which this makes the words; a sweep records
the names of options, as its runs have them.
"""

from collections.abc import Iterator

from bertlab.identity.text_and_scoring import corpus_words, scoring_words
from bertlab.study.record import Record
from bertlab.study.regime import ModelSize, Regime


def stated(record: Record, name: str) -> str:
    """Return a fact of the record in words; "" if it has none."""
    return record.facts.get(name) or dict(_words(record.regime)).get(name, "")


def source_of(record: Record) -> str:
    """Return the source of the training text, without that of general text which was added; "" if not recorded."""
    corpus = record.regime.corpus
    return (corpus.source if corpus else record.facts.get("corpus", "")).partition(";")[0]


def size_words(shape: ModelSize) -> str:
    """Describe the depth and the width of a model."""
    return f"{shape.layers} layers, width {shape.width}"


def _words(regime: Regime) -> Iterator[tuple[str, str]]:
    """Yield the recorded parts of a regime, each with the name of its fact."""
    if regime.corpus:
        yield "corpus", corpus_words(regime.corpus)
    if regime.scoring:
        yield "evaluation", scoring_words(regime.scoring)
    if model := regime.model:
        yield "model", f"{size_words(model)}, {model.heads} heads"
    if budget := regime.budget:
        yield "budget", f"{budget.steps:,} steps of {budget.sequences} sequences of {budget.length} tokens"
    if optimizer := regime.optimizer:
        yield "optimizer", f"{optimizer.name}, learning rate {optimizer.rate:g}"
