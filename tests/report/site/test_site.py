"""The site: complete, the same every time, without outside links to files, and readable without JavaScript."""

import json
import re
import subprocess
import sys
import tarfile
import tomllib
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from bertlab.commands.site import DEFAULTS
from bertlab.config.arguments import parse
from bertlab.config.compose import PACKAGE
from bertlab.config.errors import InputError
from bertlab.report.site.page import HERE, as_json, html, inline
from bertlab.report.site.write import INDEX, VENDOR, site, write_site
from bertlab.study.catalogue import CATALOGUE
from tests.report.site.conftest import EFFECTS, FEW

USED = PACKAGE.parent / "scripts" / "vendor" / "used.js"
RAW, PACKED, VENDORED = 1_200_000, 300_000, 1_000_000  # bytes of the site, of its .tar.xz, of a vendored file
LOADED = re.compile(r'<(?:link|script|img|iframe|source)[^>]*(?:href|src)="([^"]+)"')
LINK = re.compile(r'<a [^>]*href="([^"]+)"')
DATA = re.compile(r'<script type="application/json" id="data">(.*?)</script>', re.DOTALL)


def pages(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): path.read_text("utf-8") for path in folder.rglob("*.html")}


@pytest.mark.slow
def test_equal_reports_give_equal_bytes(reports: Path, small: Path) -> None:
    again = site(reports)
    assert list(again)[-1] == INDEX
    assert {path.relative_to(small).as_posix() for path in small.rglob("*") if path.is_file()} == set(again)
    assert [name for name, content in again.items() if (small / name).read_bytes() != content] == []


def test_nothing_is_loaded_from_elsewhere(small: Path) -> None:
    for name, text in pages(small).items():
        loaded = [each for each in LOADED.findall(text) if each != "data:,"]
        assert loaded, name
        for each in loaded:
            assert ((small / name).parent / each).is_file(), (name, each)
    ours = [path for path in (HERE / "static").iterdir() if path.suffix in (".js", ".css")]
    assert len(ours) > 5
    for path in ours:
        text = path.read_text("utf-8").replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?:|@import|fetch\(|XMLHttpRequest|import\(|url\(|sendBeacon|WebSocket", text), path


def test_every_link_leads_somewhere(small: Path) -> None:
    ids = {name: set(re.findall(r'id="([^"]+)"', text)) for name, text in pages(small).items()}
    for name, text in pages(small).items():
        for link in LINK.findall(text):
            file, _, place = link.partition("#")
            target = (small / name).parent.joinpath(file).resolve() if file else small / name
            assert target.is_file(), (name, link)
            assert not place or place in ids[target.relative_to(small.resolve()).as_posix()], (name, link)


def test_the_board_says_what_holds_without_a_script(small: Path) -> None:
    board = pages(small)[INDEX]
    for question in CATALOGUE:
        assert f'id="{question.id}"' in board
    line = next(each for each in re.findall(r"<li class=.*?</li>", board) if "studies/heads.html" in each)
    for words in ("supported", "one head", "8 seeds", "WORSE (size unresolved)", "q ", "margin 0.145"):
        assert words in line
    told = next(each for each in re.findall(r"<li class=.*?</li>", board) if "studies/cls.html" in each)
    assert "could not be judged: the harmful control is NON-SUPERIOR and must be WORSE" in told
    assert "not yet run" in board


def test_runs_that_never_began_to_use_context_are_named(small: Path) -> None:
    board, study = (pages(small)[name] for name in (INDEX, "studies/mask_policy_oracle.html"))
    line = next(each for each in re.findall(r"<li class=.*?</li>", board) if "studies/mask_policy_oracle.html" in each)
    assert re.search(r"\d of \d runs with .* never used context\.", line)
    assert re.search(r"<dt>When learning starts</dt><dd>.*; never with .* \(4 of 8 runs\)", study)


def test_a_study_page_holds_what_the_report_says(small: Path) -> None:
    for name in FEW:
        text = pages(small)[f"studies/{name}.html"]
        verdict = json.loads((PACKAGE.parent / "reports" / name / "verdict.json").read_text("utf-8"))
        found = DATA.search(text)
        assert found
        data = json.loads(found[1])
        rows = [
            dict(zip(data[kind]["columns"], row, strict=True))
            for kind in ("contrasts", "controls")
            for row in data[kind]["rows"]
        ]
        factor = 100 if data["unit"] == "percentage points" else 1
        for row, told in zip(rows, verdict["contrasts"], strict=True):
            assert (row["arm"], row["n"]) == (told["arm"], told["n"])
            assert row["mean"] == pytest.approx(factor * told["mean"], rel=1e-5)
        assert re.search(r'<code id="command">python -m bertlab.run study=\w+', text)


def test_the_first_seed_of_a_curve_is_whole_and_the_others_are_differences_from_it(small: Path) -> None:
    found = DATA.search(pages(small)["studies/heads.html"])
    assert found
    data = json.loads(found[1])
    (curve,) = data["curves"]
    assert (curve["words"], curve["lower"]) == ("loss on held-out tokens behind [MASK]", True)
    for arm, (first, *rest) in curve["arms"].items():
        ends = [first[-1], *(first[-1] + line[-1] for line in rest)]
        assert [end / 1000 for end in ends] == pytest.approx(data["values"]["arms"][arm], abs=6e-4)


def test_a_ladder_has_its_rungs_predictions_and_band(small: Path) -> None:
    found = DATA.search(pages(small)["studies/mask_rate.html"])
    assert found
    ladder = json.loads(found[1])["ladder"]
    assert [rung[0] for rung in ladder["arms"]["rate_05"]["rungs"]] == ["nano", "tiny", "mini"]
    assert ladder["arms"]["rate_05"]["trend"] == "shrinks"
    assert [each[:2] for each in ladder["predicted"]] == [[arm, "mini"] for arm in ladder["arms"]]
    for _, mean, low, high in ladder["arms"]["rate_05"]["band"]:
        assert low < mean < high


def test_the_board_begins_with_what_holds_at_which_scale(small: Path) -> None:
    board = pages(small)[INDEX]
    assert board.index('id="scale"') < board.index('class="tiles"')
    head, *rows = re.findall(r"<tr>(.*?)</tr>", board[board.index('id="scale"') :].partition("</table>")[0])
    cells = [re.sub("<[^>]+>", " ", cell).strip() for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", rows[0])]
    assert [rung.partition("<")[0] for rung in re.findall(r'<th scope="col">(.*?)</th>', head)[1:4]] == list(EFFECTS)
    assert [float(cell.partition(" ")[0].replace("−", "-")) < 0 for cell in cells[1:4]] == [True] * 3
    assert cells[-1] == "shrinks"
    assert "huge" not in head
    assert "shown to equal itself there. Not run yet: huge.</p>" in board
    assert " of the tokens at nano" in next(
        line for line in board.split("<li ")[1:] if "studies/mask_rate.html" in line
    )


@pytest.mark.slow
def test_pages_of_an_earlier_site_go_and_other_folders_are_left_alone(reports: Path, tmp_path: Path) -> None:
    out = tmp_path / "site"
    write_site(reports, out)
    (out / "studies" / "gone.html").write_text("x", "utf-8")
    write_site(reports, out)
    assert not (out / "studies" / "gone.html").exists()
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "thesis.html").write_text("mine", "utf-8")
    with pytest.raises(InputError, match="out must be a new folder or an earlier site"):
        write_site(reports, tmp_path / "work")
    assert [path.name for path in (tmp_path / "work").iterdir()] == ["thesis.html"]
    with pytest.raises(InputError, match="reports must be a folder that is there"):
        write_site(tmp_path / "nowhere", tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_an_empty_folder_of_reports_claims_nothing(tmp_path: Path) -> None:
    (tmp_path / "reports").mkdir()
    index = write_site(tmp_path / "reports", tmp_path / "site").read_text("utf-8")
    assert "<b>0</b> <span>supported</span>" in index
    assert "studies/" not in index


@pytest.mark.slow
def test_the_command_line_takes_two_keys_and_answers_in_one_line(tmp_path: Path) -> None:
    assert parse(DEFAULTS, "", ["out=x"]) == {"reports": "reports", "out": "x"}
    command = [sys.executable, "-m", "bertlab.site", f"reports={tmp_path / 'none'}"]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=tmp_path, env={"PYTHONPATH": str(PACKAGE.parent)}
    )
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "reports must be a folder that is there" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["</script><script>alert(1)</script>", "<!--", "<img src=x onerror=alert(1)>"])
def test_no_text_becomes_code(text: str) -> None:
    assert json.loads(as_json({"a": text})) == {"a": text}
    assert "<" not in as_json({"a": text})
    assert "<script" not in html(text, {}) + inline(text)
    assert "<img" not in html(text, {}) + inline(text)


def test_links_of_reports_stay_inside_the_site() -> None:
    text = html("[a](../heads.md) [b](x.md#here) [c](https://example.org)", {"../heads.md": "../studies/heads.html"})
    assert text == '<p><a href="../studies/heads.html">a</a> b c\n'


def test_pages_leave_out_what_html_implies_and_no_space_between_words() -> None:
    text = html("# A\n\none *two*\n**three**\n\n- four\n- five\n\n```\n<p>\n\n</p>\n```\n\n| a |\n|---|\n| b |\n", {})
    assert "one <em>two</em>\n<strong>three</strong><ul><li>four<li>five</ul><pre" in text
    assert "<code>&lt;p&gt;\n\n&lt;/p&gt;\n</code></pre>" in text
    assert "<table><thead><tr><th>a<tbody><tr><td>b</table></div>" in text


def test_what_is_vendored_is_small_has_its_licences_and_all_that_the_charts_use() -> None:
    (script,) = VENDOR.glob("*.js")
    assert script.stat().st_size < VENDORED
    packages = re.findall(r"(\S+)@([\d.]+)(?= )", script.read_text("utf-8").partition("\n")[0])
    licences = (VENDOR / "LICENSES.txt").read_text("utf-8")
    assert len(packages) > 10
    assert [f"{name} {version}" for name, version in packages if f"{name} {version}" not in licences] == []
    ours = "".join(path.read_text("utf-8") for path in (HERE / "static").glob("*.js"))
    for name, exported in re.findall(r"globalThis\.(\w+) = \{(.*)\}", USED.read_text("utf-8")):
        assert set(re.findall(rf"\b{name}\.(\w+)", ours)) == set(re.findall(r"(\w+)(?:: \w+)?", exported))


def test_an_installed_package_has_everything_that_a_site_is_made_of() -> None:
    """Hatch packs every file of a package but those that git ignores."""
    root = PACKAGE.parent
    build = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["tool"]["hatch"]["build"]
    wheel: dict[str, Any] = build["targets"]["wheel"]
    assert "bertlab" in wheel["packages"]
    assert not {"exclude", "include", "only-include"} & {*wheel, *build}
    if not (root / ".git").exists():
        pytest.skip("not a checkout of git, which says what it ignores")
    files = [str(path) for path in HERE.rglob("*") if path.suffix != ".pyc" and path.is_file()]
    assert len(files) > 20
    ignored = subprocess.run(["git", "check-ignore", "--no-index", *files], capture_output=True, text=True, cwd=root)
    assert ignored.stdout == ""


@pytest.mark.integration
def test_the_whole_site_is_small(whole: Path) -> None:
    """Where studies make it larger, site/data.py keeps fewer points of each curve."""
    files = sorted(path for path in whole.rglob("*") if path.is_file())
    packed = BytesIO()
    with tarfile.open(fileobj=packed, mode="w:xz") as archive:
        for path in files:
            archive.add(path, path.relative_to(whole))
    assert sum(path.stat().st_size for path in files) <= RAW
    assert len(packed.getvalue()) <= PACKED
    assert len(pages(whole)) > 100


@pytest.mark.integration
def test_every_link_of_the_whole_site_leads_somewhere(whole: Path) -> None:
    test_every_link_leads_somewhere(whole)
    test_nothing_is_loaded_from_elsewhere(whole)
