"""The reports in the repository follow from the numbers next to them."""

import json
import math
import re
from pathlib import Path

import pytest
import yaml

from bertlab.config.compose import PACKAGE
from bertlab.identity.text_and_scoring import scoring_of
from bertlab.report.ladder import FIGURE, write_ladder
from bertlab.report.layout import LINES, title_lines
from bertlab.report.study import write_study
from bertlab.report.study.contrasts import in_order
from bertlab.report.study.figures import drawings
from bertlab.report.study.scale import outcome_scale
from bertlab.study.judge import Findings, judge
from bertlab.study.ladder import fingerprint, read_ladder
from bertlab.study.record import FILES, PREDICTED, read_published, read_record, read_rule
from bertlab.study.values import sources
from bertlab.tracking.archive import ARCHIVE, unpack
from bertlab.tracking.run_folder import run_folders_in
from tests.report.study.axes import assert_fits

REPORTS = PACKAGE.parent / "reports"
STUDIES = sorted(
    path.parent.relative_to(REPORTS).as_posix() for at in ("*", "*/*") for path in REPORTS.glob(f"{at}/{FILES[0]}")
)
LADDERS = sorted({path.parents[1].name for path in REPORTS.glob(f"*/*/{FILES[0]}")})
QUICK = ("again", "key_value", "mask_rate")  # those that the default suite looks at
EACH = [pytest.param(study, marks=[] if study in QUICK else [pytest.mark.slow]) for study in STUDIES]
FOLDER = re.compile(rb"files\W+/|/home/|/Users/")  # an absolute path of a corpus, in YAML or JSON, or somebody's files
EVALUATION = re.compile(r"^evaluation:\n(?:[ -].*\n)+", re.MULTILINE)  # a part of a run's configuration
LARGEST = 2 << 20  # bytes of a study


def files(folder: Path, study: str) -> dict[str, bytes]:
    paths = [folder / f"{study}.md", *(path for path in (folder / study).rglob("*") if path.is_file())]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths if path.name != ARCHIVE}


@pytest.fixture(scope="module", params=EACH)
def study(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def found(study: str) -> Findings:
    return judge(read_record(REPORTS / study))


@pytest.fixture(scope="module")
def unpacked(study: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    """Unpack the archive of a study; return its folder and the number of runs."""
    folder = tmp_path_factory.mktemp("cells")
    return folder, unpack(REPORTS / study / ARCHIVE, folder)


def test_a_report_is_rebuilt_byte_for_byte(study: str, found: Findings, tmp_path: Path) -> None:
    """After a wanted change of reports: `python -m bertlab.report study=ID` for each, then `book=reports`."""
    write_study(found, tmp_path)
    assert files(REPORTS, study) == files(tmp_path, study)


def test_titles_are_short_and_a_forest_cuts_no_interval_and_is_not_left_half_empty(found: Findings) -> None:
    every = drawings(found)
    assert [drawing.name for drawing in every if len(title_lines(drawing.finding)) > LINES] == []
    (drawing,) = [drawing for drawing in every if drawing.name == "forest"]
    scale, shown = outcome_scale(found), [judged for judged in in_order(found) if judged.contrast.n]
    ends = [end for judged in shown for end in (judged.interval.low, judged.interval.high, judged.contrast.mean)]
    ends += [seed for judged in shown for seed in judged.contrast.differences] + [-found.margin, found.margin]
    assert_fits(drawing.draw().axes[0], [scale.factor * end for end in ends if math.isfinite(end)])


def test_the_runs_of_a_report_are_finished_wherever_its_archive_is_unpacked(
    found: Findings, unpacked: tuple[Path, int]
) -> None:
    (folder, count), record = unpacked, found.record
    assert count == record.runs["run_id"].nunique()
    assert all(cell.record() for cell in run_folders_in(folder))
    of_study = {record.facts["code"]}  # the hash over what each arm uses; earlier one hash over all code
    assert set(record.runs["code"]) in (of_study, {cell.code for cell in run_folders_in(folder)})


def test_a_report_says_how_much_was_scored_at_the_end_of_its_runs(found: Findings, unpacked: tuple[Path, int]) -> None:
    configs = [path.read_text("utf-8") for path in unpacked[0].rglob("config.yaml")]
    settings = {part for config in configs for part in EVALUATION.findall(config)}
    assert sum(len(EVALUATION.findall(config)) for config in configs) == len(configs)
    told = {scoring_of(yaml.safe_load(part)["evaluation"]) for part in settings}
    assert told == {found.record.regime.scoring}


def test_a_report_is_small_and_names_no_folder_of_a_machine(study: str, unpacked: tuple[Path, int]) -> None:
    held, folder = files(REPORTS, study), unpacked[0]
    assert sum(map(len, held.values())) + (REPORTS / study / ARCHIVE).stat().st_size < LARGEST
    held |= {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert [name for name, content in held.items() if FOLDER.search(content)] == []


@pytest.mark.parametrize("study", STUDIES)
def test_every_published_result_says_whether_it_agrees_and_at_what_size(study: str) -> None:
    about = json.loads((REPORTS / study / FILES[0]).read_text("utf-8"))["study"]
    again = read_rule(REPORTS / study).get("published", about.get("published") or [])
    for source in sources(list(read_published(REPORTS / study) or again)):
        assert source.agrees, f"write reports/{study}/published.json with a word on {source.source}"
        assert source.size or not re.search(r"\b(base|large)\b", source.source), source.source


@pytest.mark.parametrize("study", LADDERS)
def test_a_ladder_is_rebuilt_byte_for_byte(study: str, tmp_path: Path) -> None:
    """After a wanted change: `python -m bertlab.report study=ID`."""
    page = write_ladder(REPORTS, study, tmp_path)
    assert (REPORTS / f"{study}.md").read_bytes() == page.read_bytes()
    assert (REPORTS / study / FIGURE).read_bytes() == (tmp_path / study / FIGURE).read_bytes()


@pytest.mark.parametrize("study", LADDERS)
def test_a_rung_was_predicted_before_its_runs_or_not_at_all(study: str) -> None:
    ladder = read_ladder(REPORTS / study)
    assert ladder is not None
    for rung, findings in ladder.rungs.items():
        known = [each for each in ladder.predictions if each.rung == rung]
        stated = findings.record.facts.get(PREDICTED)
        assert stated == (fingerprint(ladder.predictions, rung) if known else None)
        assert all(set(each.below) < set(ladder.study.ladder) for each in known)
