"""List, filter and remove runs: `bertlab runs [from=outputs] [key=value ...] [remove=true]`.

Reads the files of the runs; needs no MLflow store. Prints one line per run, the oldest first: id, status, seed, loss on
held-out text, name. A run is listed if it matches every key=value.
  from=FOLDER   the output_dir of the runs
  run=ID        an id or its first characters
  status=WORD   finished, diverged, running, failed or killed
  study=ID      runs of a study; arm=NAME: of one of its arms
  key=value     a key of bertlab run, or an option that can change results: mask.rate=0.3, model=tiny
  remove=true   remove the listed runs: their folders, and the runs in MLflow (they go to its trash)
  uri=URI       the MLflow store for remove=true; else MLFLOW_TRACKING_URI, else mlflow.db in the working directory

  bertlab runs status=failed
  bertlab runs model=tiny mask.rate=0.3 seed=0
  bertlab runs status=killed remove=true
"""

import difflib
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from bertlab.config.arguments import answer
from bertlab.config.error_messages import one_line_errors
from bertlab.config.errors import InputError
from bertlab.config.leaves import leaves, written
from bertlab.tracking.files import read_sealed
from bertlab.tracking.metrics import read_points
from bertlab.tracking.run_folder import CONFIG, FINISHED, POINTS, RECORD, RUNNING, RunFolder, run_folders_in

if TYPE_CHECKING:
    from bertlab.tracking.mlflow import Tracker

DEFAULTS = {"from": "outputs", "run": None, "status": None, "study": None, "arm": None, "remove": "false", "uri": None}
STATUSES = ("finished", "diverged", "running", "failed", "killed")
LOSS = "eval/mlm_loss"


def main(words: Sequence[str]) -> None:
    """Run the command."""
    with one_line_errors(words):
        answer(__doc__, words)
        for line in runs(words):
            print(line)  # noqa: T201


@dataclass(frozen=True)
class Listed:
    """What a line shows of a run, and the values that filters compare."""

    cell: RunFolder
    run_id: str
    status: str
    loss: float | None
    name: str
    settings: Mapping[str, str]  # by key and by group

    def __str__(self) -> str:
        loss = "" if self.loss is None else f"{self.loss:.4f}"
        return f"{self.run_id[:12]:<12}  {self.status:<8}  {self.settings.get('seed', ''):>5}  {loss:>8}  {self.name}"


def runs(words: Sequence[str]) -> Iterator[str]:
    """Yield a line for each run that matches, and for each removal. Raises InputError."""
    arguments, wanted = _parsed(words)
    folder = Path(arguments["from"])
    found = [_listed(cell) for cell in run_folders_in(folder)]
    if not found:
        raise InputError(f"from must be the output_dir of some runs, got {folder} without any; name another")
    known = sorted({key for each in found for key in each.settings})
    if unknown := [key for key in wanted if key not in known]:
        near = difflib.get_close_matches(unknown[0], known, n=1)
        raise InputError(
            f"{unknown[0]} is not a key of these runs; " + (f"did you mean {near[0]}?" if near else "--help lists keys")
        )
    chosen = [each for each in found if _is_chosen(each, arguments, wanted)]
    if arguments["remove"] == "true":
        yield from _removed(chosen, arguments["uri"])
    else:
        yield f"{'run':<12}  {'status':<8}  {'seed':>5}  {'loss':>8}  name"
        yield from map(str, chosen)
    yield f"{len(chosen)} of {len(found)} runs of {folder}"


def _parsed(words: Sequence[str]) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the command's own keys, and the filters. Raises InputError."""
    arguments, wanted = dict[str, Any](DEFAULTS), dict[str, str]()
    for word in words:
        key, equals, value = word.partition("=")
        if not equals:
            raise InputError(f"arguments must be key=value, got {word}; --help lists the keys")
        (arguments if key in DEFAULTS else wanted)[key] = value
    if arguments["status"] not in (None, *STATUSES):
        raise InputError(f"status must be {', '.join(STATUSES)}, got {arguments['status']}; choose one")
    if arguments["remove"] not in ("true", "false"):
        raise InputError(f"remove must be true or false, got {arguments['remove']}; choose one")
    if arguments["remove"] == "true" and not wanted and not any(map(arguments.get, ("run", "status", "study", "arm"))):
        raise InputError("remove needs a filter, got none; add one, such as status=failed")
    return arguments, wanted


def _listed(cell: RunFolder) -> Listed:
    state, record = cell.state(), read_sealed(cell.folder / RECORD) or {}
    status = str(state.get("status", "")).lower()
    if status == RUNNING.lower():
        with cell.held(0) as held:
            status = "killed" if held and cell.vanished() else status
    elif state.get("status") == FINISHED and record.get("diverged"):
        status = "diverged"
    numbers = (point.numbers for point in reversed(read_points(cell.folder / POINTS)[0]) if LOSS in point.numbers)
    loss = next(numbers, {}).get(LOSS)
    name = str(state.get("description", {}).get("name", cell.folder.name))
    return Listed(cell, str(state.get("run_id") or state.get("token", "")), status, loss, name, _settings(cell))


def _settings(cell: RunFolder) -> dict[str, str]:
    """Return the settings of a run, its options, and its study tags."""
    described, path = cell.state().get("description", {}), cell.folder / CONFIG
    config = yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else {}
    tags = {key: text for key, text in described.get("tags", {}).items() if key in ("study", "arm")}
    return {**{key: written(value) for key, value in leaves(config) if key}, **described.get("params", {}), **tags}


def _is_chosen(one: Listed, arguments: Mapping[str, Any], wanted: Mapping[str, str]) -> bool:
    own = {"status": one.status, **{key: one.settings.get(key) for key in ("study", "arm")}}
    return (
        one.run_id.startswith(arguments["run"] or "")
        and all(arguments[key] in (None, value) for key, value in own.items())
        and all(key in one.settings and _same(one.settings[key], value) for key, value in wanted.items())
    )


def _same(one: str, other: str) -> bool:
    """Compare two values, as numbers if both are numbers."""
    try:
        return float(one) == float(other)
    except ValueError:
        return one.lower() == other.lower()


def _removed(chosen: Sequence[Listed], uri: str | None) -> Iterator[str]:
    """Remove runs, and yield a line for each. Raises InputError before any removal if the store does not answer."""
    from bertlab.tracking import connection
    from bertlab.tracking.mlflow import Tracker

    first = Tracker(uri=uri, experiment=None)
    if chosen and connection.is_there(first.uri):
        first.connect()
    for one in chosen:
        with one.cell.held(0) as held:
            if not held:
                yield f"{one}  kept: it trains"
                continue
            tracker = Tracker(uri=uri, experiment=one.cell.state().get("experiment"))
            yield f"{one}  removed{_from_store(tracker, one)}"
            shutil.rmtree(one.cell.folder)


def _from_store(tracker: "Tracker", one: Listed) -> str:
    """Move the run to the trash of its store; return a message about it."""
    from bertlab.tracking import connection

    state = one.cell.state()
    if not state.get("run_id"):
        return ""
    if state.get("place") != tracker.place or not connection.is_there(tracker.uri):
        return ", but not from its store, which is another; name it with uri="
    tracker.connect().delete_run(one.run_id)
    return ", in MLflow too"
