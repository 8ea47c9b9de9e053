"""The model of a finished run: its weights, its tokenizer and its configuration.

Enters: a trained model. Leaves: files in the run's folder; in a store one logged model of MLflow per run, found by the
run that made it; and from there the files again, with the command that trains the run again if one of them is damaged.
torch is imported only where weights are read or written: an upload does not need it.
"""

import shlex
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bertlab.config.errors import InputError
from bertlab.config.redact import redacted_command
from bertlab.tracking.artifacts import (
    READY,
    check_left,
    copy_left,
    find_model,
    find_run,
    holds,
    listed,
    read_config,
    weights_uri,
)
from bertlab.tracking.description import KEY, NOTE, TEXT_LIMIT
from bertlab.tracking.files import refusing, whole
from bertlab.tracking.metrics import Point
from bertlab.tracking.mlflow import Tracker
from bertlab.tracking.run_folder import CONFIG, MODEL
from bertlab.tracking.run_log import RunLog

if TYPE_CHECKING:
    from mlflow.entities import LoggedModel, Run
    from mlflow.tracking import MlflowClient
    from tokenizers import Tokenizer
    from torch import Tensor, nn

WEIGHTS, TOKENIZER = "model.safetensors", "tokenizer.json"
LENGTH = "length"  # key in the metadata of the weights
MEASURES = "eval/"  # prefix of the metrics whose last values are linked to a model
ANEW = ("tracking.experiment=again", "output_dir=again")  # a place without finished runs that would be reused
PLACES = ("data.files", "tokenizer.path")  # paths of files, which are not parameters of a run


def keep(run: RunLog, model: "nn.Module", tokenizer: Path, *, length: int) -> None:
    """Save the weights (shared ones once) with the maximum length of the model, and the tokenizer's file.

    Raises InputError for a full disk.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    folder = run.cell.folder / MODEL
    with refusing(folder):
        folder.mkdir(exist_ok=True)
    with whole(folder / WEIGHTS) as temporary:
        try:
            save_file(by_first_name(model), temporary, {LENGTH: str(length)})
        except SafetensorError as error:  # safetensors' type for errors of the system
            raise OSError(str(error)) from error
    with whole(folder / TOKENIZER) as temporary:
        shutil.copyfile(tokenizer, temporary)


def by_first_name(model: "nn.Module") -> "dict[str, Tensor]":
    """Return the weights; shared ones have the first of their names, which `start=run:ID` expects."""
    names = {name for name, _ in (*model.named_parameters(), *model.named_buffers())}
    return {name: value.contiguous() for name, value in model.state_dict().items() if name in names}


@dataclass(frozen=True)
class SavedModel:
    """A run's model, copied to a folder."""

    run_id: str
    folder: Path
    again: str  # what to do if a file without a known hash is damaged

    @property
    def config(self) -> Mapping[str, Any]:
        """The run's configuration."""
        return read_config(self.folder / CONFIG, self.run_id)

    @property
    def tokenizer(self) -> "Tokenizer":
        """The run's tokenizer. Raises InputError for a damaged file."""
        from tokenizers import Tokenizer

        with self._reading(TOKENIZER):
            return Tokenizer.from_file(str(self.folder / MODEL / TOKENIZER))

    @property
    def length(self) -> int:
        """Maximum sequence length of the model, in tokens. Raises InputError for a damaged file."""
        from safetensors import safe_open

        with self._reading(WEIGHTS), safe_open(self.folder / MODEL / WEIGHTS, "pt") as file:
            return int(file.metadata()[LENGTH])

    def restore(self, model: "nn.Module") -> None:
        """Load the weights into a model built from the run's configuration.

        Raises InputError for a damaged file, and if the weights do not fit.
        """
        from safetensors.torch import load_model

        with self._reading(WEIGHTS):
            try:
                load_model(model, self.folder / MODEL / WEIGHTS)
            except RuntimeError as error:
                raise InputError(
                    f"run={self.run_id} must fit the model that its configuration describes now, got "
                    f"{' '.join(str(error).split())[:200]}; use the version of bertlab that its tag bertlab.version "
                    "names"
                ) from error

    @contextmanager
    def _reading(self, name: str) -> Iterator[None]:
        try:
            yield
        except InputError:
            raise
        except Exception as error:  # each library has its own types
            reason = " ".join(str(error).split())[:200]
            raise InputError(
                f"run={self.run_id} must have kept its {MODEL}/{name}, got a damaged file: {reason}; {self.again}"
            ) from error


def connect(uri: str | None) -> "MlflowClient":
    """Return a client of an existing store. Raises InputError."""
    return Tracker(uri=uri, experiment=None).existing()


def fetch(client: "MlflowClient", name: str, folder: Path) -> SavedModel:
    """Copy the model of the run `name` into a folder.

    Raises InputError if the run did not keep it, or if the store's files are not those of the run.
    """
    run = find_run(client, name)
    run_id, status = run.info.run_id, run.info.status
    if not any(found.name == WEIGHTS for found in listed(client, weights_uri(client, run))):
        raise InputError(
            f"run={name} must have kept its weights, got {run_id} ({status.lower()}) without; runs keep them when they "
            "finish without diverging and tracking.weights is true"
        )
    copy_left(client, run, (CONFIG, MODEL), folder)
    again = f"train it again: {command_again(run, folder / CONFIG)}"
    check_left(run, folder, (CONFIG, MODEL), again)
    return SavedModel(run_id, folder, again)


def forget_model(client: "MlflowClient", run: "Run") -> None:
    """Delete the logged model of a run that another run replaced."""
    try:
        model = find_model(client, run)
    except LookupError:
        return
    if model:
        client.delete_logged_model(model.model_id)


def keep_model(
    client: "MlflowClient", run_id: str, folder: Path, about: Mapping[str, Any], points: Sequence[Point]
) -> None:
    """Upload a run's weights to a store, with its parameters and its last measures; existing files are not replaced.

    Raises OSError if the store has other weights than it was given: those in `folder` must stay.
    """
    if not any(folder.glob("*")):  # weights may be deleted here after their upload
        return
    run = client.get_run(run_id)
    try:
        model = find_model(client, run) or _made(client, run, about)
    except LookupError:
        model = None
    uri = model.artifact_location if model else f"{run.info.artifact_uri}/{MODEL}"
    if not holds(client, uri, folder):
        upload_weights(client, model.model_id if model else None, run_id, folder)
    if not holds(client, uri, folder):
        raise OSError(f"the store has other weights of run {run_id} than it was given")
    if model and model.status != READY:
        _make_ready(client, model.model_id, run, points)


def upload_weights(client: "MlflowClient", model_id: str | None, run_id: str, folder: Path) -> None:
    """Upload weights to a logged model, or to the run if there is none."""
    if model_id:
        client.log_model_artifacts(model_id, str(folder))
    else:
        client.log_artifacts(run_id, str(folder), MODEL)


def _made(client: "MlflowClient", run: "Run", about: Mapping[str, Any]) -> "LoggedModel":
    """Create the logged model of a run. It has the folder's name, so that runs:/<run>/model is the weights."""
    from bertlab.tracking.retry import asking_once

    command = f"bertlab export run={run.info.run_id} to=FOLDER"
    told = f"Weights of run **{about['name']}**. `{command}` writes a folder that transformers loads."
    own = {NOTE: told, **{name: text for name, text in about["tags"].items() if name == KEY}}
    params = {name: text[:TEXT_LIMIT] for name, text in about["params"].items()}
    with asking_once():
        return client.create_logged_model(
            run.info.experiment_id, name=MODEL, source_run_id=run.info.run_id, tags=own, params=params
        )


def _make_ready(client: "MlflowClient", model_id: str, run: "Run", points: Sequence[Point]) -> None:
    """Link a model to its run and to the run's last measures, which are existing points of the run."""
    from mlflow.entities import LoggedModelOutput, Metric

    last = {name: (p, value) for p in points for name, value in p.numbers.items() if name.startswith(MEASURES)}
    step = max((p.step for p in points), default=0)
    linked = run.outputs.model_outputs if run.outputs else []
    if all(output.model_id != model_id for output in linked):
        client.log_outputs(run.info.run_id, [LoggedModelOutput(model_id, step)])
    measures = [Metric(name, value, p.time, p.step, model_id=model_id) for name, (p, value) in last.items()]
    client.log_batch(run.info.run_id, metrics=measures)
    client.finalize_logged_model(model_id, READY)


def command_again(run: "Run", config: Path) -> str:
    """Return the command that trains a run again, in a separate experiment and folder.

    `config` is a copy of the run's settings and may be damaged: only the paths of input files are read from it.
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
