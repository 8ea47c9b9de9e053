"""Pages of the MLflow UI: where to look at an experiment's runs.

MLflow 3 opens an experiment on traces, of which training has none, unless the link says that it is about machine
learning. Its list of experiments goes by the experiment's kind.
"""

from urllib.parse import quote

from bertlab.tracking.description import KIND, OUTCOME

KIND_OF_EXPERIMENT = {"mlflow.experimentKind": "custom_model_development"}  # what its UI sets for "Machine learning"
TRAINING = "workflowType=machine_learning"
LOCAL = "http://127.0.0.1:5000"  # where `mlflow ui` serves unless it is told otherwise


def page(server: str | None, experiment_id: str) -> str:
    """Return the address of an experiment's runs on a server; None: on the UI of this machine."""
    return f"{(server or LOCAL).rstrip('/')}/#/experiments/{experiment_id}?{TRAINING}"


def charts(server: str | None, experiment_id: str) -> str:
    """Return the address of the charts of an experiment's runs, the best first, without the sweeps above them."""
    runs = quote(f"tags.`{KIND}` = 'run'")
    order = f"orderByKey={quote(f'metrics.`{OUTCOME}`')}&orderByAsc=true"  # by time, sweeps would hide their runs
    view = f"{TRAINING}&compareRunsMode=CHART&searchFilter={runs}&{order}"
    return f"{(server or LOCAL).rstrip('/')}/#/experiments/{experiment_id}/runs?{view}"
