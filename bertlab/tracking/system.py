"""What the machine does while a run trains (processor, energy, memory, disk, network, GPUs), by MLflow's own monitor.

It is of the store alone, as metrics `system/...`: a run's files do not hold it, and no result depends on it.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from threading import Thread
from typing import Any

from bertlab.config.errors import InputError, own, true_or_false
from bertlab.tracking.address import address
from bertlab.tracking.energy import Energy
from bertlab.tracking.sender import Sender

FINISH_SECONDS = 10.0  # that a run waits at its end for the last of them


def check_system_metrics(wanted: object, offline: bool) -> bool:
    """Return whether the machine is watched. Raises InputError without a store or without psutil."""
    if not true_or_false("system_metrics", wanted):
        return False
    if offline:
        raise InputError(f"{own('system_metrics')} needs a store, got {own('offline')}=true; leave one of them out")
    if find_spec("psutil") is None:
        raise InputError(f"{own('system_metrics')} needs psutil, which is not installed; pip install '.[system]'")
    return True


@contextmanager
def watched(uri: str, run_id: str, sender: Sender) -> Iterator[None]:
    """Watch the machine during the block, every 10 seconds unless MLflow's own variable says otherwise.

    Nothing of it is sent before the run's outcome: MLflow compares runs by the metric that they sent first. A run that
    goes on continues its count. A store that goes away ends the watch, not the run.
    """
    from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

    logging.getLogger("mlflow.system_metrics.system_metrics_monitor").setLevel(logging.WARNING)
    made: Any = SystemMetricsMonitor  # it has no types
    monitor = made(run_id, resume_logging=True, tracking_uri=address(uri).uri)
    publish, energy = monitor.publish_metrics, Energy()
    monitor.publish_metrics = lambda metrics: publish({**metrics, **energy.metrics()}) if sender.led else None
    monitor.start()
    try:
        yield
    finally:
        ending = Thread(target=monitor.finish, name="bertlab-system", daemon=True)
        ending.start()
        ending.join(FINISH_SECONDS)
