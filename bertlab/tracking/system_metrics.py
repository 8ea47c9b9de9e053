"""Load of the machine while a run trains (processor, energy, memory, disk, network, GPUs), by MLflow's monitor.

It is only in the store, as metrics `system/...`: a run's files do not contain it, and no result depends on it. The
processor's energy is added if RAPL, of Intel and AMD, shows it: a package counts microjoules and restarts at its range
(docs.kernel.org/power/powercap/powercap.html). The energy is that of all programs on the processor, not only of this
run, without memory and GPUs. On most systems only root can read it.
"""

import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from threading import Thread
from typing import Any

from bertlab.config.errors import InputError, own, true_or_false
from bertlab.tracking.address import address
from bertlab.tracking.upload_thread import UploadThread

FINISH_SECONDS = 10.0  # time that a run waits at its end for the last of them
POWERCAP = Path("/sys/class/powercap")
PACKAGE = re.compile(r"[a-z-]*rapl(?:-msr)?:\d+")  # intel-rapl:0, which includes its parts such as intel-rapl:0:0
MICRO = 1e-6


def check_system_metrics(wanted: object, offline: bool) -> bool:
    """Return whether to monitor the machine. Raises InputError without a store or without psutil."""
    if not true_or_false("system_metrics", wanted):
        return False
    if offline:
        raise InputError(f"{own('system_metrics')} needs a store, got {own('offline')}=true; leave one of them out")
    if find_spec("psutil") is None:
        raise InputError(f"{own('system_metrics')} needs psutil, which is not installed; pip install '.[system]'")
    return True


@contextmanager
def watched(uri: str, run_id: str, sender: UploadThread) -> Iterator[None]:
    """Monitor the machine during the block, every 10 seconds unless MLflow's variable sets another interval.

    Nothing is sent before the run's outcome: MLflow compares runs by the metric that was sent first. A continued run
    continues its step count. If the store goes away, the monitoring ends but the run goes on.
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


class Energy:
    """Joules since construction, over all packages whose counter can be read."""

    def __init__(self, folder: Path = POWERCAP) -> None:
        found = sorted(folder.iterdir()) if folder.is_dir() else []
        self._range = {
            path: _number(path / "max_energy_range_uj")
            for path in found
            if PACKAGE.fullmatch(path.name) and os.access(path / "energy_uj", os.R_OK)
        }
        self._last = {path: _number(path / "energy_uj") for path in self._range}
        self._micro = 0

    def metrics(self) -> dict[str, float]:
        """Return `energy_joules`; empty if no processor shows it. Call it at least once per cycle of the counter."""
        for path, last in self._last.items():
            now = _number(path / "energy_uj")
            self._micro += now - last if now >= last else now - last + self._range[path]
            self._last[path] = now
        return {"energy_joules": MICRO * self._micro} if self._range else {}


def _number(path: Path) -> int:
    return int(path.read_text("ascii"))
