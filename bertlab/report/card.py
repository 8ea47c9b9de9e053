"""The model card of an exported model, README.md of its folder: training data, settings and scores.

Enters: a finished run's tags and metrics in its store, and its settings. Leaves: Markdown after the YAML header of the
Hugging Face hub (huggingface.co/docs/hub/model-cards).
"""

import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bertlab.study.outcome import outcome_of

HEAD = """---
library_name: transformers
pipeline_tag: {use}
license: other
license_name: see-the-text-it-was-trained-on
tags: [bertlab, {training}]
---"""
MASKED = {"use": "fill-mask", "training": "masked-language-modeling"}
DETECTING = {"use": "feature-extraction", "training": "replaced-token-detection"}
SCORES = ("eval/mlm_loss", "eval/mlm_accuracy", "eval/context_gain", "eval/pair_accuracy")  # of the common evaluation
PLACES = ("data.files", "tokenizer.path", "start.from")  # keys with paths of a person's machine
TASKS, NOISE = "eval/tasks.", (".se_items", ".se_seeds", ".seed_")


def card(
    name: str, run_id: str, tags: Mapping[str, str], metrics: Mapping[str, float], config: Mapping[str, Any], again: str
) -> str:
    """Return the card of the model `name`. `again`: the command that repeats the training."""
    head = HEAD.format(**(DETECTING if "detection_weight" in config.get("objective", {}) else MASKED))
    parts = [head, f"# {name}", "Trained by bertlab, which compares designs of BERT under one yardstick."]
    parts += ["\n".join(f"- **{key}**: {value}" for key, value in _facts(run_id, tags, config))]
    rows = [f"| {said} | {value:.4g} |" for said, value in _scores(metrics)]
    if rows:
        parts += ["## What it reached", "\n".join(["| measure | value |", "|---|---:|", *rows])]
    parts += ["## How to train it again", f"```bash\n{_without_places(again)}\n```"]
    parts += [
        "The licence of the text is that of the corpus; which licence the weights have is for whoever publishes them "
        "to say. Small models like this one serve comparisons, not use."
    ]
    return "\n\n".join(parts) + "\n"


def _facts(run_id: str, tags: Mapping[str, str], config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    model, batch = config["model"], config["batch"]
    yield "Corpus", f"{tags.get('bertlab.data', 'not recorded')} (fingerprint {tags.get('bertlab.corpus', 'unknown')})"
    yield "Licence of the text", tags.get("bertlab.licence", "not stated")
    yield "Model", f"{model['layers']} layers, width {model['width']}, {model['heads']} heads"
    if start := (config.get("start") or {}).get("from"):
        yield "Started from", f"the weights {Path(start).name}, whose own corpus and licence hold too"
    tokens = f"{config['budget']['tokens']:,} token positions"
    yield "Budget", f"{tokens}, in batches of {batch['size']} sequences of {batch['length']}"
    yield "Yardstick", tags.get("bertlab.evaluation", "not recorded")
    if study := tags.get("study"):
        yield "Study", f"{study}, arm {tags.get('arm')}, seed {tags.get('seed')}"
    yield "Run", f"{run_id}, bertlab {tags.get('bertlab.version', 'unknown')}, seed {config['seed']}"


def _scores(metrics: Mapping[str, float]) -> Iterator[tuple[str, float]]:
    for name in filter(metrics.__contains__, SCORES):
        outcome = outcome_of(name)
        yield f"{outcome.words} ({outcome.unit})", metrics[name]
    for name in sorted(metrics):
        if name.startswith(TASKS) and not any(noise in name for noise in NOISE):
            yield name.removeprefix(TASKS), metrics[name]


def _without_places(command: str) -> str:
    """Return a command with placeholders for file paths."""
    split = [(word, *word.partition("=")[:2]) for word in shlex.split(command)]
    return " ".join(f"{key}=..." if key in PLACES else shlex.quote(word) for word, key, _ in split)
