"""The pages that people read first: short, and every link has a target."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NAMES = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "reports/README.md")
PAGES = [*(ROOT / name for name in NAMES), *sorted((ROOT / "docs").glob("*.md"))]
LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)")
LINES, PICTURE = 120, 300_000  # of the README; bytes


def test_the_readme_is_short_and_its_picture_small() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    assert len(text.splitlines()) <= LINES
    assert "docs/comparison.png" in text
    assert (ROOT / "docs" / "comparison.png").stat().st_size < PICTURE


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    links = LINK.findall(page.read_text("utf-8"))
    assert [link for link in links if not (page.parent / link.strip()).exists()] == []


def test_every_study_with_a_page_is_in_the_answer_book() -> None:
    studies = {path.parent.name for path in (ROOT / "reports").glob("*/study.json")}
    book = (ROOT / "reports" / "README.md").read_text("utf-8")
    assert {study for study in studies if f"({study}.md)" not in book} == set()
