"""The model of a finished run, kept with the run in MLflow: its weights, its tokenizer, its configuration."""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_model, save_file
from tokenizers import Tokenizer
from torch import Tensor, nn

from bertlab.config.errors import InputError
from bertlab.ledger.files import refusing, whole
from bertlab.ledger.run_folder import CONFIG
from bertlab.ledger.run_folder import MODEL as FOLDER
from bertlab.tracking.again import command_again
from bertlab.tracking.artifacts import listed
from bertlab.tracking.description import KIND
from bertlab.tracking.left import check_left, copy_left, read_config
from bertlab.tracking.mlflow import Tracker
from bertlab.tracking.models import weights_uri
from bertlab.tracking.run_log import RunLog

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient

WEIGHTS, TOKENIZER = "model.safetensors", "tokenizer.json"
LENGTH = "length"  # in the metadata of the weights
LATEST = "latest"


def keep(run: RunLog, model: nn.Module, tokenizer: Path, *, length: int) -> None:
    """Keep the weights, what is shared once, with the length that the model is made for, and the tokenizer's file.

    Raises InputError for a full disk.
    """
    folder = run.cell.folder / FOLDER
    with refusing(folder):
        folder.mkdir(exist_ok=True)
    with whole(folder / WEIGHTS) as temporary:
        try:
            save_file(by_first_name(model), temporary, {LENGTH: str(length)})
        except SafetensorError as error:  # its own, for what the system refuses
            raise OSError(str(error)) from error
    with whole(folder / TOKENIZER) as temporary:
        shutil.copyfile(tokenizer, temporary)


def by_first_name(model: nn.Module) -> dict[str, Tensor]:
    """Return the weights; what several parts share bears the first of its names, which `start=run:ID` looks for."""
    names = {name for name, _ in (*model.named_parameters(), *model.named_buffers())}
    return {name: value.contiguous() for name, value in model.state_dict().items() if name in names}


@dataclass(frozen=True)
class Stored:
    """A run's model as it lies on disk."""

    run_id: str
    folder: Path
    again: str  # what to do where a file is damaged that no hash is known of

    @property
    def config(self) -> Mapping[str, Any]:
        """The run's configuration."""
        return read_config(self.folder / CONFIG, self.run_id)

    @property
    def tokenizer(self) -> Tokenizer:
        """The run's tokenizer. Raises InputError for a damaged file."""
        with self._reading(TOKENIZER):
            return Tokenizer.from_file(str(self.folder / FOLDER / TOKENIZER))

    @property
    def length(self) -> int:
        """The longest sequence that the model is made for, in tokens. Raises InputError for a damaged file."""
        with self._reading(WEIGHTS), safe_open(self.folder / FOLDER / WEIGHTS, "pt") as file:
            return int(file.metadata()[LENGTH])

    def restore(self, model: nn.Module) -> None:
        """Load the weights into a model built from the run's configuration.

        Raises InputError for a damaged file, and where they do not fit.
        """
        with self._reading(WEIGHTS):
            try:
                load_model(model, self.folder / FOLDER / WEIGHTS)
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
        except Exception as error:  # every library has its own
            reason = " ".join(str(error).split())[:200]
            raise InputError(
                f"run={self.run_id} must have kept its {FOLDER}/{name}, got a damaged file: {reason}; {self.again}"
            ) from error


def connect(uri: str | None) -> "MlflowClient":
    """Return a client of a store that is there already. Raises InputError."""
    return Tracker(uri=uri, experiment=None).existing()


def fetch(client: "MlflowClient", name: str, folder: Path) -> Stored:
    """Copy the model of the run `name` into a folder.

    Raises InputError for a run that did not keep it, or of which the store has other files than the run left.
    """
    run = find_run(client, name)
    run_id, status = run.info.run_id, run.info.status
    if not any(found.name == WEIGHTS for found in listed(client, weights_uri(client, run))):
        raise InputError(
            f"run={name} must have kept its weights, got {run_id} ({status.lower()}) without; runs keep them when they "
            "finish without diverging and tracking.weights is true"
        )
    copy_left(client, run, (CONFIG, FOLDER), folder)
    again = f"train it again: {command_again(run, folder / CONFIG)}"
    check_left(run, folder, (CONFIG, FOLDER), again)
    return Stored(run_id, folder, again)


def find_run(client: "MlflowClient", name: str) -> "Run":
    """Return the one run that `name` stands for, in any experiment. Raises InputError."""
    wanted = f"tags.`{KIND}` = 'run'"
    if name != LATEST:
        wanted += f" and attributes.run_id LIKE '{name}%'"
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    order = ["attributes.start_time DESC"]
    found = client.search_runs(experiments, wanted, order_by=order, max_results=2) if name.isalnum() else []
    if not found or (len(found) > 1 and name != LATEST):
        count = "several" if found else "none"
        raise InputError(
            f"run={name} must be the id of one run in the store, or how only one begins, got {count}; MLflow's UI "
            f"shows the ids, and run={LATEST} is the newest run"
        )
    run: Run = found[0]
    return run
