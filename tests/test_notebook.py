"""The notebook of the API runs from its first cell to its last, and the result of each cell can be shown."""

import ast
import json
from pathlib import Path
from typing import Any

import pytest

from bertlab.config.compose import PACKAGE

ROOT = PACKAGE.parent
NOTEBOOK = ROOT / "docs" / "api.ipynb"


def run_cell(source: str, names: dict[str, Any]) -> Any:
    """Run a cell with the names of earlier cells; return the value of its last line, as Jupyter does."""
    tree = ast.parse(source)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "cell", "exec"), names)
    return eval(compile(ast.Expression(last.value), "cell", "eval"), names) if isinstance(last, ast.Expr) else None


@pytest.mark.slow
def test_the_notebook_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "reports").symlink_to(ROOT / "reports")
    monkeypatch.chdir(tmp_path / "docs")
    book = json.loads(NOTEBOOK.read_text("utf-8"))
    cells = ["".join(cell["source"]) for cell in book["cells"] if cell["cell_type"] == "code"]
    names: dict[str, Any] = {"__name__": "__main__"}
    shown = [value for value in (run_cell(cell, names) for cell in cells) if value is not None]
    assert len(shown) >= 8
    assert all(each._repr_html_() for each in shown if not isinstance(each, tuple))
    assert names["verdict"].n == 3
    assert capsys.readouterr().out == "lr is not a key of the configuration; did you mean optimizer.lr?\n"


def test_the_notebook_is_kept_without_outputs() -> None:
    book = json.loads(NOTEBOOK.read_text("utf-8"))
    assert all(not cell.get("outputs") and cell.get("execution_count") is None for cell in book["cells"])
