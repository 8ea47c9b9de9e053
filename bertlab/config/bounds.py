"""Bounds of the keys of parts, by the `_target_` of their options; they are checked before torch is imported.

Model parts, objectives, optimisers, the evaluation and the trainer have no others. Parts with light imports, such as
masks and corpora, also check their own values when they are built, as do the readers of the keys in `RUN`. `bounded`
applies the same bounds to parts that are built in Python. `tests/config/test_bounds.py` tries every key of every option
in conf/.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial, wraps
from typing import Any, ParamSpec, TypeVar

from bertlab.config.errors import (
    InputError,
    closed_interval,
    one_of,
    open_interval,
    open_intervals,
    own,
    true_or_false,
    whole_number,
    whole_numbers,
)
from bertlab.config.leaves import written

P = ParamSpec("P")
R = TypeVar("R")
Rule = Callable[[str, Any], object]  # (key, value) -> value; raises InputError
Rules = Mapping[str, Rule]

FLAG: Rule = true_or_false
COUNT: Rule = partial(whole_number, low=1)
COUNT_OR_NONE: Rule = partial(whole_number, low=0)
BETWEEN: Rule = partial(open_interval, low=0, high=1)
SHARE: Rule = partial(closed_interval, low=0, high=1)
WEIGHT: Rule = partial(closed_interval, low=0, high=1e6)
POSITIVE_WEIGHT: Rule = partial(open_interval, low=0, high=1e6)
DEVIATION: Rule = partial(open_interval, low=0, high=10)
DECAY: Rule = partial(closed_interval, low=0, high=0.999999)  # decay of a running mean
LARGE: Rule = partial(closed_interval, low=0, high=1e9)
PRECISIONS = ("32-true", "bf16-mixed", "bf16-products")  # float16 is missing: clipping would need unscaled gradients
MODES = ("reduce-overhead", "max-autotune")  # non-default modes of torch.compile; both make CUDA graphs
TASKS = ("mlm", "pair")


def optional(rule: Rule) -> Rule:
    """Return the rule that also accepts null."""
    return partial(_unless_null, rule)


def _unless_null(rule: Rule, key: str, value: object) -> object:
    return None if value is None else rule(key, value)


def in_words(rule: Rule) -> str:
    """Describe the values that a rule accepts, for the documentation."""
    if rule is true_or_false:
        return "true, false"
    if not isinstance(rule, partial):
        return WORDS[rule]
    if rule.func is _unless_null:
        return f"{in_words(rule.args[0])}; null"
    if rule.func is one_of:
        return ", ".join(written(value) for value in rule.keywords["known"])
    low, high = rule.keywords["low"], rule.keywords.get("high")
    if rule.func in (whole_number, whole_numbers):
        numbers = "whole numbers" if rule.func is whole_numbers else "a whole number"
        return f"{numbers} from {low} to {high}" if high else f"{numbers} from {low} on"
    ends = f"[{low:g}, {high:g}]" if rule.func is closed_interval else f"({low:g}, {high:g})"
    return f"numbers in {ends}" if rule.func is open_intervals else ends


def _betas(key: str, betas: object) -> None:
    if isinstance(betas, str) or not isinstance(betas, Sequence) or len(betas) != 2:
        raise InputError(f"{own(key)} must hold two numbers, got {betas}; choose for example [0.9, 0.98]")
    for beta in betas:
        DECAY(key, beta)


def _order(key: str, order: object) -> None:
    if isinstance(order, str) or not isinstance(order, Sequence) or sorted(map(str, order)) != sorted(TASKS):
        wanted = " and ".join(TASKS)
        raise InputError(f"{own(key)} must hold {wanted}, got {order}; choose [{', '.join(TASKS)}] or the reverse")


def _word(key: str, value: object) -> None:
    if not isinstance(value, str) or not value:
        raise InputError(f"{own(key)} must be a word, got {value}; choose for example cpu")


def _names(key: str, parts: object) -> None:
    if not isinstance(parts, list | tuple) or not all(isinstance(part, str) for part in parts):
        raise InputError(f"{own(key)} must list names of parts, got {parts}; choose an option of model/sharing")


WORDS: Mapping[Rule, str] = {
    _betas: "two numbers in [0, 1)",
    _order: "both tasks",
    _word: "a word",
    _names: "names of parts",
}
ROLES: Rules = {
    **dict.fromkeys(("query", "key", "value"), partial(one_of, known=("query", "key", "value", None))),
    "output": FLAG,
}
WEIGHTS: Rules = {"mlm_weight": WEIGHT, "pair_weight": WEIGHT}
TURNS: Rules = {"order": _order, "mlm_weight": POSITIVE_WEIGHT, "pair_weight": POSITIVE_WEIGHT}
RATE: Rules = {
    "lr": partial(open_interval, low=0, high=1e3),
    "weight_decay": partial(closed_interval, low=0, high=1e3),
}
ADAM: Rules = {**RATE, "betas": _betas, "eps": BETWEEN}
SEGMENT: Rules = {"segment": FLAG}
BASE: Rule = partial(open_interval, low=1, high=1e9)

HARDWARE: Rules = {
    "accelerator": _word,
    "threads": optional(partial(whole_number, low=1, high=1024)),  # too many would kill the process
    "precision": partial(one_of, known=PRECISIONS),
    **dict.fromkeys(("clip", "checkpoint_seconds"), LARGE),
    "points": COUNT,
    "progress": FLAG,
    "compile": partial(one_of, known=(True, False, *MODES)),
    "ahead": COUNT_OR_NONE,
}
EVALUATION: Rules = {
    **dict.fromkeys(("sequences", "finetune_seeds"), COUNT),
    "rate": BETWEEN,
    **dict.fromkeys(("grid", "prune"), partial(open_intervals, low=0, high=1)),
    **dict.fromkeys(("pseudo", "probe", "final"), COUNT_OR_NONE),
    "finetune": partial(whole_numbers, low=1),
    "longest": optional(COUNT),
    "share": SHARE,
}
BERT, REPLACED = "bertlab.model.bert.build", "bertlab.model.replaced.build"
MODERN = "bertlab.model.modern.build"
MODEL: Rules = {
    **dict.fromkeys(("layers", "width", "heads", "inner", "segment_types"), COUNT),
    "head_width": optional(COUNT),
    "dropout": partial(closed_interval, low=0, high=0.99),
    **dict.fromkeys(("embedding_std", "dense_std"), DEVIATION),
    "dense_gain": optional(partial(open_interval, low=0, high=100)),
    **dict.fromkeys(("skip", "padding_mask", "tie_output", "unigram_bias"), FLAG),
}
RUN: Rules = {  # keys that belong to no part; whoever reads them checks them
    "seed": COUNT_OR_NONE,
    **dict.fromkeys(("batch.size", "budget.tokens"), COUNT),
    "batch.length": partial(whole_number, low=8),
    "batch.start_length": optional(partial(whole_number, low=8)),
    "batch.start_share": BETWEEN,
    **dict.fromkeys(("batch.cls", "start.optimizer"), FLAG),
    "start.missing": partial(one_of, known=("refuse", "init")),
}
SIZE: Rule = partial(whole_number, low=1, high=1000)
CORPUS: Rules = {
    "sentence_words": SIZE,
    "documents": partial(whole_number, low=4, high=10_000_000),
    "language_seed": COUNT_OR_NONE,
}
RATED: Rules = {"rate": BETWEEN}
SHORT: Rules = {"short": SHARE}
WARMUP: Rules = {"warmup": SHARE}
TUNING: Rules = {
    "method": partial(one_of, known=("finetune", "probe")),
    **dict.fromkeys(("seeds", "epochs", "size", "patience"), COUNT),
    "rates": partial(open_intervals, low=0, high=1),
    "most": optional(partial(whole_number, low=10)),
}
VOCABULARY: Rules = {"vocab_size": partial(whole_number, low=100), "lowercase": FLAG}
BOUNDS: Mapping[str, Rules] = {
    BERT: MODEL,
    REPLACED: {**MODEL, "generator": COUNT},
    MODERN: {**MODEL, "local_base": optional(BASE)},
    "bertlab.model.attention.SelfAttention": ROLES,
    "bertlab.model.qk_norm.QkNorm": {**ROLES, "start": partial(open_interval, low=0, high=1e3)},
    "bertlab.model.gated.Gated": ROLES,
    "bertlab.model.no_bias.NoBiasAttention": ROLES,
    "bertlab.model.no_bias.layer": {"eps": BETWEEN},
    "bertlab.model.value_residual.share_values": {"share": BETWEEN},
    "bertlab.model.grouped.Grouped": {"groups": COUNT},
    "bertlab.model.local.LocalGlobal": {"window": COUNT, "every": COUNT},
    "bertlab.model.soft_cap.soft_cap": {"cap": partial(open_interval, low=0, high=1e4)},
    "bertlab.model.mixing.FixedRandom": {"std": partial(open_interval, low=0, high=100)},
    "bertlab.model.embedding.Sum": SEGMENT,
    "bertlab.model.embedding.Concat": SEGMENT,
    "bertlab.model.embedding.Untied": SEGMENT,
    "bertlab.model.norm.layer": {"eps": BETWEEN, "affine": FLAG},
    "bertlab.model.norm.rms": {"eps": BETWEEN},
    "bertlab.model.norm.batch": {"eps": BETWEEN, "momentum": BETWEEN},
    "bertlab.model.position.Learned": {"positions": COUNT},
    "bertlab.model.position.SinusoidalStart": {"positions": COUNT, "base": BASE},
    "bertlab.model.position.Sinusoidal": {"base": BASE, "learn_scale": FLAG},
    "bertlab.model.position.Rotary": {"base": BASE},
    "bertlab.model.sharing.share": {"parts": _names},
    "bertlab.objective.joint.Joint": WEIGHTS,
    "bertlab.objective.replaced.Replaced": {"detection_weight": POSITIVE_WEIGHT, "pair_weight": WEIGHT},
    "bertlab.objective.turns.Alternating": {**TURNS, "every": COUNT},
    "bertlab.objective.turns.Sequential": {**TURNS, "share": BETWEEN},
    "bertlab.data.oracle.Oracle": {
        **CORPUS,
        "states": partial(whole_number, low=2, high=1000),
        **dict.fromkeys(("topics", "min_sentences", "max_sentences"), SIZE),
        "words": partial(whole_number, low=1, high=100_000),
    },
    "bertlab.data.translation.Translation": {**CORPUS, "words": partial(whole_number, low=2, high=4900)},
    "bertlab.mask.token.TokenMask": RATED,
    "bertlab.mask.whole_word.WholeWordMask": RATED,
    "bertlab.mask.span.SpanMask": {**RATED, "p": BETWEEN, "longest": partial(whole_number, low=2)},
    "bertlab.mask.apart.Apart": {"prediction_rate": BETWEEN},
    "bertlab.mask.next_token_first.NextTokenFirst": {"share": BETWEEN},
    "bertlab.mask.noise.Noise": {"noise": SHARE},
    "bertlab.mask.scheduled.Scheduled": {"end_rate": BETWEEN},
    "bertlab.mask.static.Static": {"copies": COUNT},
    "bertlab.data.pairs.single.Single": {"shortest": COUNT},
    "bertlab.data.pairs.mixed.Mixed": {"shortest": COUNT},
    "bertlab.data.pairs.nsp.NextSentence": {**SHORT, "random": SHARE},
    "bertlab.data.pairs.sop.SentenceOrder": {**SHORT, "swapped": SHARE},
    "bertlab.data.tokenizer.wordpiece.WordPiece": {**VOCABULARY, "strip_accents": optional(FLAG)},
    "bertlab.data.tokenizer.unigram.Unigram": VOCABULARY,
    "bertlab.data.tokenizer.byte_bpe.ByteBpe": {
        **VOCABULARY,
        "vocab_size": partial(whole_number, low=261),
    },  # 5 special tokens, all bytes
    "bertlab.data.tokenizer.words.Words": {"vocab_size": partial(whole_number, low=6)},
    "bertlab.data.tokenizer.file.FromFile": {"lowercase": optional(FLAG)},
    "bertlab.optim.schedule.Linear": WARMUP,
    "bertlab.optim.schedule.Cosine": WARMUP,
    "bertlab.optim.schedule.Constant": WARMUP,
    "bertlab.optim.schedule.InverseSqrt": WARMUP,
    "bertlab.optim.schedule.CosineFloor": {**WARMUP, "floor": SHARE},
    "bertlab.optim.schedule.Wsd": {**WARMUP, "decay": SHARE, "floor": SHARE},
    "bertlab.tasks.own.Tasks": TUNING,
    "bertlab.tracking.mlflow.Tracker": {
        **dict.fromkeys(("weights", "offline"), FLAG),
        "reuse": partial(one_of, known=("same", "code", "any")),
    },
    "bertlab.optim.optimizer.adamw": ADAM,
    "bertlab.optim.optimizer.adam": ADAM,
    "bertlab.optim.optimizer.adamw_fan_in": {**ADAM, "width": COUNT},
    "bertlab.optim.optimizer.adamw_layers": {**ADAM, "decay": partial(open_interval, low=0, high=1)},
    "bertlab.optim.optimizer.muon": {**ADAM, "momentum": DECAY},
    "bertlab.optim.optimizer.sgd": {**RATE, "momentum": DECAY},
    "bertlab.evaluation.common.Common": EVALUATION,
    "bertlab.evaluation.own.WithTasks": EVALUATION,
    "bertlab.evaluation.detection.Detection": EVALUATION,
    "bertlab.train.fit.Hardware": HARDWARE,
    "bertlab.train.none.NoTraining": HARDWARE,
    "bertlab.train.averaged.Hardware": {**HARDWARE, "decay": DECAY},
    "bertlab.train.keeping.Hardware": {**HARDWARE, "keep_at": partial(whole_numbers, low=1)},
    "bertlab.train.keeping_all.Hardware": {**HARDWARE, "keep_at": partial(whole_numbers, low=1)},
    "bertlab.train.devices.Hardware": {**HARDWARE, "devices": COUNT, "accumulate": COUNT},
}


def check_bounds(target: str, values: Mapping[str, Any]) -> None:
    """Raise InputError for a value out of its bounds, if this table has the part."""
    for key, rule in BOUNDS.get(target, {}).items():
        if key in values:
            rule(key, values[key])
    if target in (BERT, REPLACED, MODERN) and {"width", "heads"} <= set(values):
        width, heads = values["width"], values["heads"]
        if values.get("head_width") is None and width % heads:
            raise InputError(f"{own('heads')} must divide {own('width')} {width}, got {heads}; choose a divisor")
        if width % (times := values.get("generator", 1)):
            raise InputError(f"{own('generator')} must divide {own('width')} {width}, got {times}; choose a divisor")


def bounded(make: Callable[P, R]) -> Callable[P, R]:
    """Decorate a function, or a class whose `__init__` (also of subclasses) is to check its keyword arguments."""

    @wraps(make)
    def checked(*args: P.args, **keywords: P.kwargs) -> R:
        part = type(args[0]) if make.__name__ == "__init__" else make
        check_bounds(f"{part.__module__}.{part.__qualname__}", keywords)
        return make(*args, **keywords)

    return checked
