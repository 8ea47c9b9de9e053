"""Identity: which settings, which code and which environment a result depends on.

A run's key is the hash of its semantic configuration (all that can change a result) and of the data's fingerprint. A
finished run is found by its key, the fingerprint of the code that it uses and the environment that computed it.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from typing import Any

import yaml

from bertlab import __version__
from bertlab.config.cache import digest
from bertlab.config.compose import Typed
from bertlab.config.environment import Environment, environment_of
from bertlab.config.redact import redacted_settings
from bertlab.data.content import content_hash
from bertlab.data.store import TokenStore
from bertlab.data.weights import start_of
from bertlab.identity.code import code_of, source_hash
from bertlab.identity.text_and_scoring import REGIME, as_tag, corpus_of, corpus_words, scoring_of, yardstick
from bertlab.tasks.own import Tasks, names_of
from bertlab.tracking.description import CODE, ENVIRONMENT, KEY, SETTINGS, Dataset, Description, Identity
from bertlab.tracking.run_folder import START_STATE

NOT_SEMANTIC = (
    "data.files",  # path of a corpus; its content is in the fingerprint
    "data.general",  # likewise
    "pairs.general",
    "tokenizer.path",  # likewise
    "output_dir",
    "report_dir",
    "study",
    "tracking",
    "trainer.accelerator",
    "trainer.threads",
    "trainer.points",
    "trainer.checkpoint_seconds",
    "trainer.progress",
    "trainer.compile",
    "trainer.ahead",
    "trainer.devices",
    "trainer.accumulate",
)
BEFORE = {  # what runs did before a setting existed; this value does not change a key
    "model.dense_gain": None,
    "model.unigram_bias": False,
    "batch.start_length": None,
    "batch.start_share": 0.1,
    "data.column": None,
    "tokenizer.strip_accents": None,
    "evaluation.final": 0,
    "evaluation.finetune_seeds": 1,
}
USUAL = (  # main settings: parameters of every run that has them
    *("data", "tokenizer.vocab_size", "pairs", "mask", "mask.rate", "batch.size", "batch.length", "budget.tokens"),
    *("model", "model.layers", "model.width", "model.heads", "model.dropout", "objective"),
    *("optimizer", "optimizer.lr", "schedule", "schedule.warmup", "trainer.precision", "seed"),
)
SOUND = ("unknown", "overlap", "warning")  # facts of a corpus that show whether scores are valid
LISTED = "evaluation.tasks.list"  # the user's own tasks; a run shows their names
CONTINUED = "bertlab.train.continued.state_of"  # function of a run that continues the state of an optimiser
TARGET = "_target_"  # the class or function of a part
_NOTHING = object()  # equal to no setting


def semantic(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of the configuration without what cannot change a result: paths, threads, progress, tracking.

    Newer settings are left out if they have the value of earlier behaviour. Start weights are replaced by their hash.
    So are the user's own tasks, including the content of their files.
    """
    plain = _without(config, "")
    plain.pop("start", None)
    if (start := start_of(config)) is not None:
        plain["start"] = {"from": start.fingerprint, "missing": start.missing}
        if config["start"].get("optimizer"):
            plain["start"]["optimizer"] = {TARGET: CONTINUED, "content": content_hash(start.folder / START_STATE)}
    if asked := plain.get("evaluation", {}).get("tasks"):
        tasks = Tasks(**{key: value for key, value in asked.items() if key != TARGET})
        plain["evaluation"]["tasks"] = {TARGET: asked[TARGET], "content": tasks.fingerprint()}
    return plain


def _without(config: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    return {
        name: _without(value, f"{prefix}{name}.") if isinstance(value, Mapping) else value
        for name, value in config.items()
        if f"{prefix}{name}" not in NOT_SEMANTIC and BEFORE.get(f"{prefix}{name}", _NOTHING) != value
    }


def key_of(settings: Mapping[str, Any], data_fingerprint: str) -> str:
    """Return the key of a run: equal keys mean equal results (with equal code, in an equal environment).

    For parts only the names count, not their modules: these are in the code's fingerprint.
    """
    return digest(_named(settings), data_fingerprint)


def _named(settings: Any) -> Any:
    if not isinstance(settings, Mapping):
        return settings
    return {name: value.rpartition(".")[2] if name == TARGET else _named(value) for name, value in settings.items()}


def identify(config: Mapping[str, Any], data_fingerprint: str) -> Identity:
    """Return the identity of the run that this process would make from a configuration."""
    return _identity(semantic(config), environment_of(config["trainer"]), data_fingerprint)


def _identity(settings: Mapping[str, Any], environment: Environment, data_fingerprint: str) -> Identity:
    code = code_of(frozenset(_targets(settings))).fingerprint
    return Identity(key_of(settings, data_fingerprint), code, str(environment))


def code_fingerprint(config: Mapping[str, Any]) -> str:
    """Return the fingerprint of the code that a run of this configuration uses."""
    return code_of(targets(config)).fingerprint


def targets(config: Mapping[str, Any]) -> frozenset[str]:
    """Return the full names of all chosen parts of a configuration that can change a result."""
    return frozenset(_targets(semantic(config)))


def _targets(settings: Any) -> Iterator[str]:
    if isinstance(settings, Mapping) and TARGET in settings:
        yield settings[TARGET]
    inner = settings.values() if isinstance(settings, Mapping) else settings if isinstance(settings, list) else ()
    for value in inner:
        yield from _targets(value)


def describe(config: Mapping[str, Any], asked: Typed, store: TokenStore) -> Description:
    """Name a run by its overrides, and describe its settings, as typed in `asked`."""
    said = dict.fromkeys(override.lstrip("+~").partition("=")[0] for override in asked.overrides)
    own = [key for key in said if not _is_under(key, (*NOT_SEMANTIC, "hydra")) and key not in ("trainer", "evaluation")]
    factors = config["tracking"]["factors"]
    params = {as_param(key): _value(key, asked) for key in USUAL if _has(key, config)}
    params |= {as_param(key): _value(key, asked) for key in (*own, *factors)}
    named = [as_param(key) for key in factors or own]
    fingerprint, facts = store.fingerprint, redacted_settings(dict(store.facts))
    lasting, environment = semantic(config), environment_of(config["trainer"])
    identity = _identity(lasting, environment, fingerprint)
    corpus, scoring = corpus_of(store), scoring_of(config["evaluation"])
    tags = {
        KEY: identity.key,
        CODE: identity.code,
        ENVIRONMENT: identity.environment,
        "bertlab.processor": environment.processor,
        "bertlab.source": source_hash(),
        SETTINGS: digest(asked.settings),
        "bertlab.version": __version__,
        "bertlab.corpus": fingerprint,
        "bertlab.data": corpus_words(corpus),
        "bertlab.licence": facts.get("licence", "not stated"),
        **{f"bertlab.{name}": facts[name] for name in SOUND if name in facts},
        "bertlab.evaluation": yardstick(scoring),
        REGIME: as_tag(corpus, scoring),
        "bertlab.length": str(config["batch"]["length"]),
    }
    if (arm := config["tracking"]["arm"]) is not None:  # short names for grouping in the UI
        tags |= {"study": config["tracking"]["study"], "arm": arm, "seed": str(config["seed"])}
    if config["tracking"]["baseline"] is not None:
        tags["bertlab.baseline"] = str(config["tracking"]["baseline"]).lower()
    source = json.dumps({"data": asked.settings["data"]})
    data = Dataset(asked.options["data"], fingerprint, "bertlab", source, profile=json.dumps(facts))
    name = " ".join(f"{key}={params[key]}" for key in named) or "default"
    name = name if arm is None else f"{arm} seed {config['seed']}"
    origin = {"code": dict(code_of(frozenset(_targets(lasting))).modules), "environment": asdict(environment)}
    return Description(name, params, tags, as_yaml(asked.settings), data, origin)


def as_yaml(settings: Mapping[str, Any]) -> str:
    """Write settings as YAML. A section that many runs of a sweep share is formatted only once."""
    return "".join(_written(_Section(repr((name, value)), {name: value})) for name, value in settings.items())


@dataclass(frozen=True)
class _Section:
    """A section of the settings; equal sections have the same text."""

    spelled: str
    value: Mapping[str, Any] = field(compare=False)


@lru_cache(1000)
def _written(section: _Section) -> str:
    return str(yaml.safe_dump(section.value, sort_keys=False))


def as_param(key: str) -> str:
    """Return the parameter name of an override: MLflow allows no `@`, and the place in the configuration follows it.

    The user's own tasks have the name that was typed.
    """
    return re.sub(r"^evaluation\.tasks(\.list$)?", "tasks", key.rpartition("@")[2])


def _is_under(key: str, places: Sequence[str]) -> bool:
    return any(key == place or key.startswith((f"{place}.", f"{place}/")) for place in places)


def _has(key: str, config: Mapping[str, Any]) -> bool:
    group, _, name = key.partition(".")
    return not name or name in config[group]


def _value(key: str, asked: Typed) -> str:
    if key in asked.options:
        return asked.options[key]
    value: Any = asked.settings
    for part in key.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return str(names_of(value) if key == LISTED else value)
