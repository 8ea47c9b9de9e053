"""Screenshots of a sweep in MLflow, made in a browser by `make browser`; skipped if none is installed."""

import shutil
from pathlib import Path

import pytest
from PIL import Image

pytest.importorskip("playwright.sync_api", reason="Playwright is not here: pip install '.[browser]'")
from scripts import screenshot
from tests.command import exit_code

pytestmark = [
    pytest.mark.integration,
    pytest.mark.timeout(3600),  # seconds; two minutes on an idle machine, and every wait is for content of a page
    pytest.mark.skipif(
        not any(map(shutil.which, screenshot.BROWSERS)), reason="no chromium is here: apt-get install chromium"
    ),
]
LARGEST = 200_000  # bytes of a picture


def test_pictures_show_the_list_the_comparison_the_charts_a_run_and_its_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    small = ("data=oracle", "data.documents=60", "batch.size=4", "batch.length=35", "budget.tokens=700")
    words = (*small, "evaluation.sequences=8", "evaluation.pseudo=0", "trainer.progress=false")
    assert exit_code("-m", "mask.rate=0.15,0.3", *words) == 0
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    screenshot.pictures(screenshot.browser(), screenshot.pages(uri), uri, tmp_path / "docs")
    drawn = {path.stem: path for path in (tmp_path / "docs").glob("*.png")}
    assert drawn.keys() == {"comparison", "runs", "charts", "run", "model"}
    for path in drawn.values():
        assert path.stat().st_size < LARGEST
        with Image.open(path) as image:
            greys = image.convert("L").resize((64, 32)).getcolors() or []
            assert len(greys) > 20, f"{path.stem} is a blank page"
