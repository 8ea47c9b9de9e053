"""A search: another Hydra sweeper, such as Optuna's, chooses the values; its runs have one parent.

A search fits its values to its seeds, so arms must not be judged on them: seeds start at 1000 here, as in a study's own
search.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml

from bertlab.config.building import build_part
from bertlab.config.cache import digest
from bertlab.config.compose import load, resolved
from bertlab.config.errors import InputError
from bertlab.config.reading import overrides_in, parsed
from bertlab.config.redact import recorded_command, redacted_command
from bertlab.sweep.logbook import open_logbook
from bertlab.tracking.description import KIND, OUTCOME, SWEEP_KEY
from bertlab.tracking.mlflow import Tracker
from bertlab.train.early import check_card, check_early

EXPLORATION = 1000  # first seed that no contrast uses
CHOOSES = "hydra/sweeper="
FOUND = "optimization_results.yaml"  # file of Optuna's sweeper
BEST = "bertlab.best"  # tag of the search's parent run with the best values


@dataclass(frozen=True)
class SearchEnd:
    """The result of a search: the best values, their outcome, and lines that say how to look at the runs."""

    best: Mapping[str, Any]
    where: str

    @property
    def in_words(self) -> str:
        """The best values and their outcome, in words."""
        values = " ".join(f"{key}={value}" for key, value in self.best.get("best_params", {}).items())
        return f"{values}, {OUTCOME} {self.best.get('best_value', float('nan')):.3f}"


def engine_of(words: Sequence[str]) -> str | None:
    """Return the sweeper chosen instead of bertlab's own. Raises InputError if it is not installed."""
    named = next((word.removeprefix(CHOOSES) for word in words if word.startswith(CHOOSES)), "bertlab")
    if named == "bertlab":
        return None
    if find_spec(named) is None:
        raise InputError(
            f"{CHOOSES}{named} needs a package that is not installed; type pip install 'bertlab-ablations[{named}]'"
        )
    return named


def search(words: Sequence[str], multirun: Callable[[list[str]], object]) -> SearchEnd:
    """Let the chosen sweeper run its trials, by `multirun`, under one parent. Raises InputError."""
    overrides = [parsed(word) for word in overrides_in(words)]
    varied = [each for each in overrides if each.is_sweep_override()]
    factors = [each.get_key_element() for each in varied]
    fixed = [str(each.input_line) for each in overrides if not each.is_sweep_override()]
    if not factors:
        raise InputError(
            f"{CHOOSES}optuna needs something to choose, got none; write optimizer.lr='interval(1e-4,1e-2)'"
        )
    seed = [] if any(word.startswith("seed=") for word in words) else [f"seed={EXPLORATION}"]
    config = resolved(load([word for word in [*fixed, *seed] if not word.startswith("hydra")]))
    if "seed" in factors or int(config["seed"]) < EXPLORATION or config.get("study"):
        raise InputError(
            f"seed must be one of at least {EXPLORATION} in a search, which is no study, got {config['seed']}; "
            "leave it out"
        )
    check_early([config])
    check_card(config)
    tracker: Tracker = build_part(config, "tracking")
    tracker.look()
    output_dir = str(config["output_dir"])
    folder = Path(output_dir) / "sweeps" / f"{datetime.now():%Y-%m-%d_%H-%M-%S-%f}"
    folder.mkdir(parents=True)
    logbook = open_logbook(tracker, output_dir, folder)
    command = " ".join(recorded_command(words))
    tags = {KIND: "search", SWEEP_KEY: digest(sorted(words)), "bertlab.factors": " ".join(factors)}
    tags |= {"bertlab.command": f"python -m bertlab.run -m {command}"}
    with logbook.sweep(" ".join(redacted_command([str(each.input_line) for each in varied])), tags) as parent:
        own = [f"hydra.sweep.dir='{folder}'", f"tracking.parent={parent}", f"tracking.factors=[{','.join(factors)}]"]
        drawn = (
            [] if any("sampler.seed" in word for word in words) else [f"hydra.sweeper.sampler.seed={config['seed']}"]
        )
        try:
            multirun([*words, *seed, *drawn, *own])
        except ValueError as error:  # raised by Optuna if no trial has a value
            raise InputError(f"the search found nothing: {error}; look at the runs that failed") from error
        found = folder / FOUND
        end = SearchEnd(yaml.safe_load(found.read_text("utf-8")) if found.is_file() else {}, tracker.where(output_dir))
        logbook.tag(BEST, end.in_words)
    return end
