"""Screenshots of MLflow for the docs: `python -m scripts.screenshot [uri=URI] [to=FOLDER]`.

  uri=URI    a store with a sweep, sqlite:///mlflow.db by default; the latest sweep is shown
  to=FOLDER  docs by default: comparison.png of its runs, runs.png of the list, charts.png, run.png of one run and
             model.png of its weights
Needs the extra `browser` and Chromium (Debian: apt-get install chromium), which runs without a window.
"""

import io
import json
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote
from urllib.request import urlopen

from mlflow.entities import Run
from mlflow.tracking import MlflowClient
from PIL import Image

from bertlab.commands.server.processes import free_port, running, wait_for
from bertlab.commands.server.tracking import LOOPBACK
from bertlab.config.arguments import parse
from bertlab.config.error_messages import one_line_errors
from bertlab.config.errors import InputError
from bertlab.tracking.address import TRAINING, charts, page
from bertlab.tracking.artifacts import find_model
from bertlab.tracking.description import KIND, OUTCOME, PARENT

DEFAULTS: dict[str, Any] = {"uri": "sqlite:///mlflow.db", "to": "docs"}
WIDTH, HEIGHT, BESIDE = 1640, 720, 426  # pixels: the window, and the width of MLflow's assistant on its right
PATIENCE = 600_000  # milliseconds for the content of a page, which takes a few seconds on an idle machine
COLOURS = 256  # number of colours of a file, for less than 200 kB
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
CHART = ".js-plotly-plot .main-svg"
EXPAND = ".ag-row [data-component-id*=runnamecellrenderer]"
NAMES = '.ag-header-cell[col-id*="Run Name"] .ag-header-cell-resize'  # the right edge of the column of names
FIND, CURVE = "input[placeholder='Search metric charts']", f"{OUTCOME}$"
WIDER = 180  # pixels by which that column grows, so that names are not cut


class Page(NamedTuple):
    """A page of MLflow, and its content once it is drawn: texts, and an element by a CSS selector."""

    address: str
    texts: tuple[str, ...]
    drawn: str = "body"
    opened: str | None = None  # selector of the element to click first
    widened: str | None = None  # selector of an edge to drag to the right
    typed: tuple[str, str] | None = None  # selector of a field, and the text for it


def main() -> None:
    """Enter from the command line."""
    with one_line_errors():
        arguments = parse(DEFAULTS, __doc__, sys.argv[1:])
        found = browser()
        pictures(found, pages(arguments["uri"]), arguments["uri"], Path(arguments["to"]))


def browser() -> str:
    """Return the path of a browser. Raises InputError if it or Playwright is not installed."""
    if find_spec("playwright") is None:
        raise InputError("Playwright must be installed, found none; pip install '.[browser]'")
    if found := next(filter(None, map(shutil.which, BROWSERS)), None):
        return found
    raise InputError("a browser must be installed, found no chromium; apt-get install chromium")


def pages(uri: str) -> dict[str, Page]:
    """Return pages about a store's latest sweep by the names of their files. Raises InputError if there is none."""
    client = MlflowClient(uri)
    everywhere = [found.experiment_id for found in client.search_experiments()]

    def runs(wanted: str) -> list[Run]:
        return list(client.search_runs(everywhere, wanted, order_by=["attributes.start_time DESC"]))

    sweeps = runs(f"tags.`{KIND}` = 'sweep'")
    if not sweeps:
        raise InputError(f"uri must name a store that holds a sweep, got {uri}; run one first")
    experiment = sweeps[0].info.experiment_id
    chosen = runs(f"tags.`{PARENT}` = '{sweeps[0].info.run_id}'")
    runs_, experiments = (quote(json.dumps(ids)) for ids in ([run.info.run_id for run in chosen], [experiment]))
    names, last = tuple(str(run.info.run_name) for run in chosen), chosen[0]
    beside = {}
    if model := find_model(client, last):
        about = (str(model.model_id), OUTCOME)
        beside["model"] = Page(f"/#/experiments/{experiment}/models/{model.model_id}?{TRAINING}", about)
    return {
        "comparison": Page(f"/#/compare-runs?runs={runs_}&experiments={experiments}&{TRAINING}", (), CHART),
        "runs": Page(page("/", experiment), names, opened=EXPAND, widened=NAMES),
        "charts": Page(charts("/", experiment), names[:1], CHART, typed=(FIND, CURVE)),
        "run": Page(f"/#/experiments/{experiment}/runs/{last.info.run_id}?{TRAINING}", (names[0], OUTCOME)),
        **beside,
    }


def pictures(browser: str, pages: Mapping[str, Page], uri: str, folder: Path) -> None:
    """Serve the store, let the browser draw each page, and keep it without the assistant."""
    from playwright.sync_api import sync_playwright

    folder.mkdir(parents=True, exist_ok=True)
    with served(uri) as address, sync_playwright() as started:
        window = started.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        tab = window.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        tab.set_default_timeout(PATIENCE)
        for title, wanted in pages.items():
            tab.goto(f"{address}{wanted.address}", wait_until="domcontentloaded")
            keep(drawn(tab, wanted), folder / f"{title}.png")
        window.close()


@contextmanager
def served(uri: str) -> Iterator[str]:
    """Serve a store and yield the address of its UI."""
    port = free_port()
    address, words = f"http://{LOOPBACK}:{port}", ["--host", LOOPBACK, "--port", str(port), "--workers", "1"]
    with tempfile.TemporaryDirectory() as name:
        command, log = [sys.executable, "-m", "mlflow", "ui", *words, "--backend-store-uri", uri], Path(name) / "log"
        with running(command, log, signal.SIGTERM) as process:
            wait_for(process, log, lambda: _answers(address), PATIENCE / 1000)
            yield address


def drawn(tab: Any, wanted: Page) -> bytes:
    """Wait for the content of a page; return its picture when two in a row are equal: charts and spinners move."""
    if wanted.opened:
        tab.locator(wanted.opened).first.click()
    if wanted.typed:
        tab.locator(wanted.typed[0]).first.fill(wanted.typed[1])
    for text in wanted.texts:
        tab.get_by_text(text).locator("visible=true").first.wait_for()
    shown = tab.locator(wanted.drawn).locator("visible=true").first
    shown.wait_for()
    shown.scroll_into_view_if_needed()
    if wanted.widened:
        widen(tab, wanted.widened)
    before, ends = b"", time.monotonic() + PATIENCE / 1000
    while (picture := tab.screenshot(animations="disabled")) != before and time.monotonic() < ends:
        before = picture
        tab.wait_for_timeout(1500)
    return picture


def widen(tab: Any, selector: str) -> None:
    """Drag an edge to the right, in steps as a hand does."""
    edge = tab.locator(selector).first.bounding_box()
    x, y = edge["x"] + 2, edge["y"] + edge["height"] / 2  # its right half is below the next column
    tab.mouse.move(x, y)
    tab.mouse.down()
    tab.mouse.move(x + WIDER, y, steps=10)
    tab.mouse.up()
    tab.mouse.move(0, 0)


def keep(picture: bytes, to: Path) -> None:
    """Save a picture of a window with few colours."""
    with Image.open(io.BytesIO(picture)) as image:
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
