"""The pages that people read first: short, and every link has a target."""

import re
from pathlib import Path

import pytest

from bertlab.stats.rule import Kind, kind

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


def test_the_page_of_verdicts_has_every_verdict_in_the_order_in_which_they_are_tried() -> None:
    rows = re.findall(
        r"^\| ([A-Z][A-Z].*?) \| (.+) \|$", (ROOT / "docs" / "verdicts.md").read_text("utf-8"), re.MULTILINE
    )
    assert [word for word, _ in rows] == [kind.value for kind in Kind]


@pytest.mark.parametrize(
    ("word", "low", "high"),  # the row of the page, and an interval for which it says so, at a margin of 1
    [
        ("WORSE (material)", 1.1, 3),
        ("BETTER (material)", -3, -1.1),
        ("EQUIVALENT", -0.9, 0.9),
        ("WORSE, AT THE MARGIN", 0.6, 1.4),
        ("BETTER, AT THE MARGIN", -1.4, -0.6),
        ("WORSE (size unresolved)", 0.1, 2),
        ("BETTER (size unresolved)", -2, -0.1),
        ("NON-INFERIOR", -2, 0.5),
        ("NON-SUPERIOR", -0.5, 2),
        ("INCONCLUSIVE", -2, 2),
    ],
)
def test_a_verdict_is_reached_as_the_page_says(word: str, low: float, high: float) -> None:
    assert kind(low, high, 1.0).value == word
