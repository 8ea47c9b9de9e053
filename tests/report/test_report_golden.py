"""A small report kept byte for byte, made from the twins that lie beside it.

After a wanted change: `BERTLAB_GOLDEN=1 pytest tests/report/test_report_golden.py`, then read the difference.
"""

import os
import re
from pathlib import Path

import matplotlib as mpl
import pytest

from bertlab.report.run_table import read_table
from bertlab.report.write import write_report

GOLDEN = Path(__file__).parent / "golden"


def files(folder: Path) -> set[Path]:
    return {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()}


def drawn_by(svg: bytes) -> str:
    """Return the matplotlib version that a figure names as its maker."""
    found = re.search(rb"Matplotlib v([^,]+),", svg)
    return found[1].decode() if found else ""


def test_the_golden_report_has_not_moved(tmp_path: Path) -> None:
    if os.environ.get("BERTLAB_GOLDEN"):
        write_report(read_table(GOLDEN), GOLDEN)
        pytest.skip("the golden report was written anew; read the difference before committing it")
    write_report(read_table(GOLDEN), tmp_path)
    assert files(tmp_path) == files(GOLDEN)
    for name in sorted(files(GOLDEN)):
        kept = (GOLDEN / name).read_bytes()
        # another matplotlib may write the same picture in other bytes
        if name.suffix != ".svg" or drawn_by(kept) == mpl.__version__:
            assert (tmp_path / name).read_bytes() == kept, f"{name} has changed"
