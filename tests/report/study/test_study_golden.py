"""A small report of a study and one of a sweep, kept byte for byte, made from their own data files.

After a wanted change: `make golden`, then read the difference.
"""

import os
import re
from pathlib import Path

import matplotlib as mpl
import pytest

from bertlab.report.study import write_study
from bertlab.study.judge import judge
from bertlab.study.record import read_record

GOLDEN = Path(__file__).parent / "golden"


def files(folder: Path) -> set[Path]:
    return {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()}


def drawn_by(svg: bytes) -> str:
    """Return the matplotlib version that a figure names as its maker."""
    found = re.search(rb"Matplotlib v([^,]+),", svg)
    return found[1].decode() if found else ""


@pytest.mark.parametrize("place", ["study", "sweep"])
def test_a_golden_page_has_not_moved(place: str, tmp_path: Path) -> None:
    (written,) = (GOLDEN / place).glob("*.md")
    findings = judge(read_record(written.with_suffix("")))
    if os.environ.get("BERTLAB_GOLDEN"):
        write_study(findings, GOLDEN / place)
        pytest.skip("the golden page was written anew; read the difference before committing it")
    write_study(findings, tmp_path)
    assert files(tmp_path) == files(GOLDEN / place)
    for name in sorted(files(GOLDEN / place)):
        kept = (GOLDEN / place / name).read_bytes()
        # another matplotlib may write the same picture in other bytes
        if name.suffix != ".svg" or drawn_by(kept) == mpl.__version__:
            assert (tmp_path / name).read_bytes() == kept, f"{name} has changed"
