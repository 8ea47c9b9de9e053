"""Pictures of MLflow as people meet it, for README and docs: `python -m scripts.screenshot [uri=URI] [to=FOLDER]`.

  uri=URI    a store that holds a sweep, sqlite:///mlflow.db by default; the latest sweep is shown
  to=FOLDER  docs by default: comparison.png of its runs, runs.png of the list, charts.png, and run.png of one run
Needs Chromium (Debian: apt-get install chromium), which is run without a window.
"""

import json
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote
from urllib.request import urlopen

from mlflow.entities import Run
from mlflow.tracking import MlflowClient
from PIL import Image

from bertlab.commands.server import LOOPBACK, free_port, running, wait_for
from bertlab.config.arguments import parse
from bertlab.config.error_messages import one_line_errors
from bertlab.config.errors import InputError
from bertlab.tracking.description import KIND, PARENT
from bertlab.tracking.page import TRAINING, charts, page

DEFAULTS: dict[str, Any] = {"uri": "sqlite:///mlflow.db", "to": "docs"}
WIDTH, HEIGHT, BESIDE = 1440, 660, 376  # pixels: the window, and what MLflow's assistant takes of it at the right
PATIENCE = 40_000  # milliseconds for the page to draw
COLOURS = 256  # of the file, which stays below 300 kB
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def main() -> None:
    """Enter from the command line."""
    with one_line_errors():
        arguments = parse(DEFAULTS, __doc__, sys.argv[1:])
        browser = next(filter(None, map(shutil.which, BROWSERS)), None)
        if browser is None:
            raise InputError("a browser must be installed, found no chromium; apt-get install chromium")
        pictures(browser, pages(arguments["uri"]), arguments["uri"], Path(arguments["to"]))


def pages(uri: str) -> dict[str, str]:
    """Return pages about a store's latest sweep by the names of their pictures. Raises InputError without one."""
    client = MlflowClient(uri)
    everywhere = [found.experiment_id for found in client.search_experiments()]

    def runs(wanted: str) -> list[Run]:
        return list(client.search_runs(everywhere, wanted, order_by=["attributes.start_time DESC"]))

    sweeps = runs(f"tags.`{KIND}` = 'sweep'")
    if not sweeps:
        raise InputError(f"uri must name a store that holds a sweep, got {uri}; run one first")
    experiment = sweeps[0].info.experiment_id
    chosen = [run.info.run_id for run in runs(f"tags.`{PARENT}` = '{sweeps[0].info.run_id}'")]
    runs_, experiments = (quote(json.dumps(ids)) for ids in (chosen, [experiment]))
    return {
        "comparison": f"/#/compare-runs?runs={runs_}&experiments={experiments}&{TRAINING}",
        "runs": page("/", experiment),
        "charts": charts("/", experiment),
        "run": f"/#/experiments/{experiment}/runs/{chosen[0]}?{TRAINING}",
    }


def pictures(browser: str, pages: Mapping[str, str], uri: str, folder: Path) -> None:
    """Serve the store, have the browser draw each page, and keep what it shows without the assistant beside it."""
    port = free_port()
    address, words = f"http://{LOOPBACK}:{port}", ["--host", LOOPBACK, "--port", str(port), "--workers", "1"]
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        log, drawn = Path(name) / "mlflow.log", Path(name) / "page.png"
        served = [sys.executable, "-m", "mlflow", "ui", *words, "--backend-store-uri", uri]
        with running(served, log, signal.SIGTERM) as process:
            wait_for(process, log, lambda: _answers(address))
            window = ["--headless=new", "--no-sandbox", "--hide-scrollbars", f"--window-size={WIDTH},{HEIGHT}"]
            own = [f"--screenshot={drawn}", f"--virtual-time-budget={PATIENCE}", f"--user-data-dir={name}/browser"]
            for title, path in pages.items():
                subprocess.run([browser, *window, *own, f"{address}{path}"], check=True, capture_output=True)
                keep(drawn, folder / f"{title}.png")


def keep(drawn: Path, to: Path) -> None:
    """Keep a picture of a window, in few colours."""
    with Image.open(drawn) as image:
        image.crop((0, 0, WIDTH - BESIDE, HEIGHT)).convert("RGB").quantize(COLOURS).save(to, optimize=True)
    print(f"{to}: {to.stat().st_size / 1000:.0f} kB")  # noqa: T201


def _answers(address: str) -> bool:
    try:
        with urlopen(f"{address}/health", timeout=5):
            return True
    except OSError:
        return False


if __name__ == "__main__":
    main()
