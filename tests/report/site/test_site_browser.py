"""The site in a browser whose network is cut: charts, judging, filters, keyboard, small screens, accessibility.

`make browser` runs them. Needs the extra `browser` and Debian's `chromium`; skipped if either is missing.
"""

import csv
import shutil
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from bertlab.report.site.lines import CIRCLE, SHAPES
from bertlab.report.site.write import write_site
from bertlab.report.study import write_study
from bertlab.study.judge import judge
from tests.report.site.conftest import EFFECTS
from tests.report.study.test_ladder import rung

playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not here: pip install '.[browser]'")
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not here: pip install '.[browser]'")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium is here: apt-get install chromium"),
]
WIDE, NARROW = {"width": 1280, "height": 900}, {"width": 320, "height": 720}
KINDS = ("index.html", "effects.html", "rule.html", "facts.html")
STUDIES = ("studies/heads.html", "studies/cls.html", "studies/mask_policy_oracle.html")
LADDERS = ("studies/mask_rate_ladder.html", "studies/known_answers.html")
LOCAL = ("file:", "data:", "blob:")
ANSWERS = ("answers/heads.html", "answers/mask_policy.zh.html")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        there = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield there
        there.close()


def opened(browser: Any, path: Path, viewport: dict[str, int] = WIDE, **options: Any) -> Any:
    """Open a page without a network. Its requests for anything except files, and its errors, are in `page.wrong`."""
    context = browser.new_context(offline=True, viewport=viewport, accept_downloads=True, **options)
    page = context.new_page()
    page.wrong = []
    page.on("pageerror", lambda error: page.wrong.append(str(error)))
    page.on("console", lambda said: page.wrong.append(said.text) if said.type in ("error", "warning") else None)
    page.on(
        "request",
        lambda asked: None if asked.url.startswith(("file:", "data:", "blob:")) else page.wrong.append(asked.url),
    )
    page.goto(path.as_uri())
    return page


def show_tables(page: Any) -> None:
    """Press every button that shows a chart as a table; a pressed one has another name."""
    buttons = page.get_by_role("button", name="Show as a table")
    while buttons.count():
        buttons.first.click()


@pytest.fixture
def study(browser: Any, whole: Path) -> Iterator[Any]:
    page = opened(browser, whole / "studies" / "heads.html")
    yield page
    assert page.wrong == []
    page.context.close()


def test_every_page_opens_without_an_error_or_a_request(browser: Any, whole: Path) -> None:
    page = opened(browser, whole / "index.html")
    for path in sorted(whole.rglob("*.html")):
        page.goto(path.as_uri())
        if path.parent.name == "studies":
            assert page.locator("#forest svg circle").count() > 0, path.name
            assert page.locator("figure").count() >= 2, path.name
    assert page.wrong == []
    page.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", [*KINDS, *STUDIES, *LADDERS, *ANSWERS])
def test_axe_finds_nothing_and_nothing_is_wider_than_a_small_screen(
    browser: Any, whole: Path, name: str, scheme: str
) -> None:
    for viewport in (WIDE, NARROW):
        page = opened(browser, whole / name, viewport, color_scheme=scheme)
        show_tables(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
        assert page.wrong == []  # before axe, which asks for the style sheet in its own way
        found = axe.Axe().run(page)
        assert found.violations_count == 0, found.generate_report()
        page.context.close()


def test_a_ladder_is_drawn(browser: Any, small: Path) -> None:
    page = opened(browser, small / "studies" / "mask_rate.html")
    page.locator("#ladder").get_by_role("button", name="Show as a table").click()
    rows = page.locator("#ladder tbody tr").all_inner_texts()
    assert len(rows) == 9
    assert sum("yes" in row or "no" in row.split("\t")[-1] for row in rows) == 3
    assert page.locator('#ladder path[fill-opacity="0.13"], #ladder g[fill-opacity="0.13"] path').count() == 3
    assert page.wrong == []
    page.context.close()


@pytest.mark.parametrize("rungs", [1, 2])
def test_a_ladder_of_few_rungs_is_drawn_without_a_line_through_them(browser: Any, tmp_path: Path, rungs: int) -> None:
    for name, effects in list(EFFECTS.items())[:rungs]:
        write_study(judge(rung(name, *effects)), tmp_path / "reports")
    path = write_site(tmp_path / "reports", tmp_path / "site").parent / "studies" / "mask_rate.html"
    for viewport in (WIDE, NARROW):
        page = opened(browser, path, viewport)
        ladder = page.locator("#ladder")
        assert ladder.locator("svg circle").count() == 3 * rungs
        assert ladder.locator('path[fill-opacity="0.13"], g[fill-opacity="0.13"] path').count() == 0
        ladder.get_by_role("button", name="Show as a table").click()
        assert ladder.locator("tbody tr").count() == 3 * rungs
        assert "NaN" not in ladder.inner_text()
        assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
        assert page.wrong == []
        page.context.close()


def test_every_chart_has_a_table(study: Any) -> None:
    charts = study.locator("figure")
    assert charts.count() == 3
    for chart in charts.all():
        button = chart.get_by_role("button", name="Show as a table")
        button.focus()
        study.keyboard.press("Enter")
        assert chart.locator("tbody tr").count() > 0
        assert chart.get_by_role("button", name="Hide the table").get_attribute("aria-expanded") == "true"


def test_the_margin_judges_again_and_says_that_it_explores(study: Any) -> None:
    status, slider = study.locator("#forest [role=status]"), study.get_by_label("Margin", exact=True)
    assert "The claim is SUPPORTED at the registered margin" in status.inner_text()
    slider.focus()
    for _ in range(12):  # 0.145 * 2 ** -0.6 = 0.096
        study.keyboard.press("ArrowLeft")
    assert "0.096 nats" in slider.evaluate("each => each.parentNode.innerText")
    assert "Exploration." in status.inner_text()
    assert "registered: 0.145 nats, SUPPORTED" in status.inner_text()
    assert slider.evaluate("each => document.activeElement === each")
    same = study.locator("#forest .verdict").nth(3).inner_text()
    assert same.startswith("EQUIVALENT")
    study.keyboard.press("Home")  # an eighth: the baseline no longer equals itself
    assert "UNDECIDED" in status.inner_text() or "SUPPORTED" in status.inner_text()
    assert "registered: EQUIVALENT" in study.locator("#forest .verdict").nth(3).inner_text()
    study.get_by_role("button", name="Back to the registered margin").click()
    assert "at the registered margin" in status.inner_text()


def test_curves_have_an_axis_of_flops_and_can_be_read_by_pointing(study: Any) -> None:
    curves = study.locator("#curves")
    curves.get_by_label("Axis").select_option("flops")
    assert "FLOPs" in curves.locator("svg").text_content()
    curves.get_by_label("one head").uncheck()
    curves.locator("svg").scroll_into_view_if_needed()
    box = curves.locator("svg").bounding_box()
    study.mouse.move(box["x"] + box["width"] - 30, box["y"] + box["height"] * 0.5)
    chart = curves.locator("svg")
    playwright.expect(chart).to_contain_text("after 2.3 M tokens")
    assert "four heads: 5.363" in chart.text_content()
    assert "one head:" not in chart.text_content()
    curves.get_by_label("minus the baseline").check()
    assert "minus the baseline" in curves.locator("svg").text_content()


def test_of_many_arms_only_the_baseline_the_best_and_the_one_pointed_at_are_coloured(browser: Any, whole: Path) -> None:
    page = opened(browser, whole / "studies" / "norm.html")
    curves = page.locator("#curves")
    drawn = lambda: curves.locator("svg path[stroke^='var(--']").evaluate_all(  # noqa: E731
        "all => all.map((each) => each.getAttribute('stroke')).filter((ink) => ink !== 'var(--open)').sort()"
    )
    assert drawn() == ["var(--a2)", "var(--ink)"]
    curves.locator(".key label").nth(3).hover()
    assert drawn() == ["var(--a1)", "var(--a2)", "var(--ink)"]
    assert page.wrong == []
    page.context.close()


def test_a_verdict_has_a_shape_of_its_own_on_every_page(browser: Any, whole: Path) -> None:
    board = (whole / "index.html").read_text("utf-8")  # without JavaScript too
    assert all(f'{shape}"/>' in board for shape in (*SHAPES.values(), CIRCLE))
    page = opened(browser, whole / "effects.html")
    for verdict, symbol in {"worse": "triangle", "better": "triangle", "same": "square", "open": "circle"}.items():
        assert page.evaluate(f"charts.SHAPES.{verdict}[0]") == symbol
        assert page.evaluate(f"document.querySelectorAll(`.key path[d='${{charts.SHAPES.{verdict}[2]}}']`).length") == 1
    turned = page.locator("#sorted path[fill='var(--worse)'][transform*='rotate(180)']")
    assert turned.count() > 20
    assert page.wrong == []
    page.context.close()


def test_what_is_downloaded_says_what_the_page_says(study: Any) -> None:
    def saved(name: str) -> str:
        with study.expect_download() as waiting:
            study.get_by_role("button", name=name).click()
        return Path(waiting.value.path()).read_text("utf-8")

    rows = {row["arm"]: row for row in csv.DictReader(StringIO(saved("CSV")))}
    assert [row["role"] for row in rows.values()] == ["primary", "exploratory", "exploratory", "control", "control"]
    assert (rows["heads_1"]["verdict"], rows["heads_1"]["finding"]) == ("WORSE (size unresolved)", "SUPPORTED")
    assert float(rows["heads_1"]["low"]) == pytest.approx(0.0016, abs=1e-3)
    assert "one head & 8 & +0.081 & [+0.002, +0.160] & WORSE (size unresolved)" in saved("LaTeX")
    assert saved("BibTeX").startswith("@misc{bertlab-heads,\n  author = {{The bertlab developers}},")


def test_the_board_finds_filters_and_keeps_its_view_in_the_address(browser: Any, whole: Path) -> None:
    page = opened(browser, whole / "index.html")
    shown = lambda: page.locator(".line:visible").count()  # noqa: E731
    everything = shown()
    page.locator("#search").fill("warm-up")
    assert 0 < shown() < everything
    assert page.locator(".question:visible").first.inner_text().startswith("What is warm-up")
    page.locator("#search").fill("")
    page.locator(".tile.refuted").click()
    assert {each.inner_text() for each in page.locator(".line:visible .chip").all()} == {"refuted"}
    page.locator("#order").select_option("regime")
    assert page.locator(".chapter:visible h2").first.inner_text().startswith("R1:")
    again = opened(browser, whole / "index.html")
    again.goto(page.url)
    again.reload()
    assert again.locator(".tile.refuted").get_attribute("aria-pressed") == "true"
    assert 0 < again.locator(".line:visible").count() == shown() < everything
    page.locator("#search").fill("no such thing")
    page.get_by_role("button", name="Show all").click()
    assert shown() == everything
    assert page.wrong == again.wrong == []
    page.context.close()
    again.context.close()


def test_without_javascript_the_list_is_there(browser: Any, whole: Path) -> None:
    page = opened(browser, whole / "index.html", java_script_enabled=False)
    assert page.locator(".line:visible").count() > 60
    page.locator('a[href="studies/heads.html"]').click()
    assert "one head is worse than four" in page.locator("main").inner_text()
    page.context.close()


def test_the_rule_moves_with_its_numbers(browser: Any, whole: Path) -> None:
    page = opened(browser, whole / "rule.html")
    for words, kind in {"Clearly worse": "WORSE (material)", "The same, shown": "EQUIVALENT"}.items():
        page.get_by_role("button", name=words).click()
        assert page.locator(".verdict-now").inner_text() == kind
        assert page.locator("#list li[aria-current]").inner_text().startswith(kind)
    page.locator("[name=n]").focus()
    for _ in range(5):
        page.keyboard.press("ArrowLeft")
    assert page.locator(".verdict-now").inner_text() == "EQUIVALENT"
    page.locator("[name=sd]").focus()
    page.keyboard.press("End")
    assert page.locator(".verdict-now").inner_text() == "INCONCLUSIVE"
    page.locator("#map svg").click(position={"x": 60, "y": 200})
    assert page.locator(".verdict-now").inner_text() == "BETTER (material)"
    assert page.wrong == []
    page.context.close()
