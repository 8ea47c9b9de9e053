"""Identity: which settings and which code a result depends on.

A run's key is the hash of its semantic configuration (all that can change a result) and of the data's fingerprint.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from bertlab import __version__
from bertlab.cache import digest
from bertlab.data.store import TokenStore
from bertlab.tracking.description import Dataset, Description

NOT_SEMANTIC = (
    "data.files",  # where a corpus lies; what it holds is in its fingerprint
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
)
BEFORE = {  # what runs did before a setting existed; one that says so leaves keys as they were
    "model.dense_gain": None,
    "model.unigram_bias": False,
    "batch.start_length": None,
    "batch.start_share": 0.1,
}
IDENTIFYING = ("data", "model", "seed", "budget.tokens")  # parameters of every run
RESULT_ROOMS = ("data", "tokenizer", "pairs", "mask", "model", "objective", "evaluation", "train")
RESULT_MODULES = ("streams.py", "batch.py", "optimizer.py", "schedule.py", "job.py", "ledger/checkpoint.py")
PACKAGE = Path(__file__).parents[1]
_NOTHING = object()  # what no setting is


def semantic(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of the configuration without what cannot change a result: paths, threads, progress, tracking.

    Settings that came later are left out where they say what runs did before.
    """
    return _without(config, "")


def _without(config: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    return {
        name: _without(value, f"{prefix}{name}.") if isinstance(value, Mapping) else value
        for name, value in config.items()
        if f"{prefix}{name}" not in NOT_SEMANTIC and BEFORE.get(f"{prefix}{name}", _NOTHING) != value
    }


def run_key(config: Mapping[str, Any], data_fingerprint: str) -> str:
    """Return the key of a run: equal keys, equal results (with equal code)."""
    return digest(semantic(config), data_fingerprint)


def result_modules(package: Path = PACKAGE) -> list[Path]:
    """Return the files of every module of a package that can change a result."""
    paths = [package / name for name in RESULT_MODULES]
    return sorted(paths + [path for room in RESULT_ROOMS for path in (package / room).rglob("*.py")])


def code_fingerprint(package: Path | None = None) -> str:
    """Return the fingerprint of the code that this process runs, or hash a package as it lies on disk now."""
    if package is None:
        return _RUNNING
    total = hashlib.sha256()
    for path in result_modules(package):
        total.update(
            f"{path.relative_to(package).as_posix()} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode()
        )
    return total.hexdigest()[:16]


_RUNNING = code_fingerprint(PACKAGE)  # at import: what is edited on disk later is not what this process runs


def describe(
    config: Mapping[str, Any], chosen: Mapping[str, str], overrides: Sequence[str], store: TokenStore
) -> Description:
    """Name a run by what sets it apart, and say what it is made of.

    `chosen` holds the option of each config group, `overrides` what was said on the command line.
    """
    said = dict.fromkeys(override.lstrip("+~").partition("=")[0] for override in overrides)
    own = [key for key in said if not _is_under(key, (*NOT_SEMANTIC, "hydra")) and key != "trainer"]
    factors = config["tracking"]["factors"]
    params = {as_param(key): _value(key, config, chosen) for key in (*IDENTIFYING, *own, *factors)}
    named = [as_param(key) for key in factors or own]
    fingerprint = store.fingerprint
    tags = {
        "bertlab.key": run_key(config, fingerprint),
        "bertlab.config": digest(config),
        "bertlab.code": code_fingerprint(),
        "bertlab.version": __version__,
        "bertlab.corpus": fingerprint,
        "bertlab.data": f"{store.facts['source']}; training {store.facts['train']}; held out {store.facts['valid']}",
        "bertlab.licence": store.facts.get("licence", "not stated"),
        "bertlab.evaluation": yardstick(config["evaluation"]),
        "bertlab.length": str(config["batch"]["length"]),
    }
    if (arm := config["tracking"]["arm"]) is not None:  # the short names are for grouping in the UI
        tags |= {"study": config["tracking"]["study"], "arm": arm, "seed": str(config["seed"])}
    if config["tracking"]["baseline"] is not None:
        tags["bertlab.baseline"] = str(config["tracking"]["baseline"]).lower()
    profile = json.dumps(dict(store.facts))
    data = Dataset(chosen["data"], fingerprint, "bertlab", json.dumps({"data": config["data"]}), profile=profile)
    name = " ".join(f"{key}={params[key]}" for key in named) or "default"
    name = name if arm is None else f"{arm} seed {config['seed']}"
    return Description(name, params, tags, yaml.safe_dump(dict(config), sort_keys=False), data)


def as_param(key: str) -> str:
    """Name the parameter of an override: MLflow takes no `@`, and what follows it is the place in the configuration."""
    return key.rpartition("@")[2]


def _is_under(key: str, places: Sequence[str]) -> bool:
    return any(key == place or key.startswith((f"{place}.", f"{place}/")) for place in places)


def _value(key: str, config: Mapping[str, Any], chosen: Mapping[str, str]) -> str:
    if key in chosen:
        return chosen[key]
    value: Any = config
    for part in key.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return str(value)


def yardstick(evaluation: Mapping[str, Any]) -> str:
    """Say in words what runs are judged on."""
    share = f"{100 * evaluation['rate']:g} % of the tokens replaced by [MASK]"
    return f"{evaluation['sequences']} held-out sequences at most, {share}, the same ones for every run"
