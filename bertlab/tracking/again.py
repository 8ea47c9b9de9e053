"""The command that trains a finished run again, from what the run's parameters say."""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bertlab.config.errors import InputError
from bertlab.config.redact import redacted_command
from bertlab.tracking.left import read_config

if TYPE_CHECKING:
    from mlflow.entities import Run

ANEW = ("tracking.experiment=again", "output_dir=again")  # where no finished run is found that would be reused
PLACES = ("data.files", "tokenizer.path")  # of files, which are no parameters


def command_again(run: "Run", config: Path) -> str:
    """Return the command that trains a run again, in an experiment and a folder of their own.

    `config` is a copy of the run's settings, which may be damaged: they say where files were, and no more.
    """
    params = {key: value for key, value in run.data.params.items() if "${" not in value}
    words = [f"{key}={'null' if value == 'None' else value}" for key, value in params.items()]
    places = _places(config, run.info.run_id)
    words += [f"{key}={place}" for key, place in places.items() if key not in params]
    return " ".join(["python -m bertlab.run", *map(shlex.quote, [*redacted_command(words), *ANEW])])


def _places(config: Path, run_id: str) -> dict[str, Any]:
    try:
        settings = read_config(config, run_id)
    except InputError:
        return {}
    found = {}
    for key in PLACES:
        group, _, name = key.partition(".")
        part = settings.get(group)
        if isinstance(part, Mapping) and part.get(name):
            found[key] = part[name]
    return found
