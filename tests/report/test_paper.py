"""A study for a paper, and all runs as a data set: tables, figures, a citation, parquet with a card."""

import re
import shutil
import subprocess
from pathlib import Path

import pandas as pd
import pytest

from bertlab.config.compose import PACKAGE
from bertlab.config.errors import InputError
from bertlab.report.__main__ import DEFAULTS, write
from bertlab.report.dataset import OWN, read_all, write_dataset
from bertlab.report.latex import floats
from bertlab.report.study import write_study
from bertlab.report.study.cite import bibtex
from bertlab.study.judge import judge
from tests.report.study.conftest import make_record

MARKDOWN = """\
## Contrasts (nats)

| arm | n | difference |
| --- | ---: | ---: |
| rate_05 | 5 | **+0.636** |
| [a & b](x.md) | 8 | −0.180 |
"""


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reports")
    write_study(judge(make_record()), folder)
    return folder


def asked(**words: str) -> dict[str, str | None]:
    return {**DEFAULTS, **words}


def test_a_table_keeps_its_heading_its_sides_and_its_bold_words() -> None:
    (text,) = floats(MARKDOWN)
    assert "\\caption{Contrasts (nats)}" in text
    assert "\\begin{tabular}{lrr}" in text
    assert "rate\\_05 & 5 & \\textbf{+0.636} \\\\" in text
    assert "a \\& b & 8 & $-$0.180 \\\\" in text
    assert [text.count(rule) for rule in ("\\toprule", "\\midrule", "\\bottomrule")] == [1, 1, 1]
    assert text.count("{") == text.count("}")


@pytest.mark.slow
def test_a_paper_has_every_table_and_figure_of_the_page_and_equal_bytes(reports: Path, tmp_path: Path) -> None:
    first, second = (
        write(asked(study="mask_rate", format="paper", out=str(tmp_path / name), **{"from": str(reports)}))
        for name in ("a", "b")
    )
    files = {path.relative_to(first.parent): path.read_bytes() for path in first.parent.rglob("*") if path.is_file()}
    assert files == {
        path.relative_to(second.parent): path.read_bytes() for path in second.parent.rglob("*") if path.is_file()
    }
    page, text = (reports / "mask_rate.md").read_text("utf-8"), first.read_text("utf-8")
    drawn = re.findall(r"figures/(\w+)\.svg", page)
    assert len(drawn) > 3
    for name in drawn:
        assert files[Path(f"figures/{name}.pdf")].startswith(b"%PDF-")
        assert f"{{figures/{name}.pdf}}" in text
    assert files[Path("tables.tex")].count(b"\\begin{tabular}") == len(re.findall(r"^\| ---", page, re.MULTILINE))
    assert "\\cite{bertlab-mask_rate}" in text


def test_a_citation_has_the_hash_of_the_registration_and_stands_on_the_page(reports: Path) -> None:
    findings = judge(make_record())
    entry = bibtex(findings)
    assert entry.startswith("@misc{bertlab-mask_rate,")
    assert f"registered as {findings.record.facts['registration']}" in entry
    assert entry in (reports / "mask_rate.md").read_text("utf-8")


def test_a_format_that_is_none_and_a_paper_of_nothing_are_said_in_one_line() -> None:
    with pytest.raises(InputError, match="format must be one of page, paper, got pdf"):
        write(asked(study="mask_rate", format="pdf"))
    with pytest.raises(InputError, match="format=paper is of a study, got none"):
        write(asked(format="paper"))


def test_a_data_set_holds_every_run_with_what_its_study_says_of_it(reports: Path, tmp_path: Path) -> None:
    record = make_record()
    card = write_dataset(reports, tmp_path)
    runs, curves = (pd.read_parquet(tmp_path / f"{name}.parquet") for name in ("runs", "curves"))
    assert len(runs) == len(record.runs)
    assert set(OWN) < set(runs.columns)
    assert set(runs.loc[runs["baseline"], "label"]) == {"a mask rate of 15 %"}
    assert runs["eval/mlm_loss"].tolist() == record.runs["eval/mlm_loss"].tolist()
    assert set(curves["run_id"]) <= set(runs["run_id"])
    assert f"{len(runs)} training runs of small BERTs in 1 registered studies" in card.read_text("utf-8")
    before = (tmp_path / "runs.parquet").read_bytes()
    write_dataset(reports, tmp_path)
    assert (tmp_path / "runs.parquet").read_bytes() == before


def test_a_data_set_of_nothing_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="dataset must be a folder with studies that have run"):
        write_dataset(tmp_path, tmp_path / "out")


@pytest.mark.slow
def test_all_committed_runs_are_in_the_data_set(tmp_path: Path) -> None:
    folder = PACKAGE.parent / "reports"
    write_dataset(folder, tmp_path)
    runs = pd.read_parquet(tmp_path / "runs.parquet")
    assert len(runs) == sum(len(record.runs) for _, record in read_all(folder))
    assert not runs.duplicated(["study", "arm", "seed"]).any()


TEX = [path for name in ("pdflatex", "bibtex") if (path := shutil.which(name))]
ODD = "Is 5 % of a_b & #1 {so} $2 ~ ^ \\ < 3 ≈ 4 ± α · β₂ → √x … “é” 40°, µ² ½ ∞?"


@pytest.mark.integration
@pytest.mark.skipif(len(TEX) < 2, reason="no pdflatex is here: apt-get install texlive-latex-recommended")
@pytest.mark.parametrize("study", ["mask_rate", "mask_rate_ladder", "odd"])
def test_a_paper_is_compiled_without_an_error_or_an_open_citation(study: str, tmp_path: Path) -> None:
    if study == "odd":
        record = make_record(node={"question": ODD, "claim": ODD, "labels": {"rate_15": ODD, "rate_30": "a_b & 30 %"}})
        write_study(judge(record), tmp_path / "reports")
    own = PACKAGE.parent / "reports" if study != "odd" else tmp_path / "reports"
    name = study if study != "odd" else "mask_rate"
    text = write(asked(study=name, format="paper", out=str(tmp_path / "paper"), **{"from": str(own)}))
    latex, bibtex = ([TEX[0], "-interaction=nonstopmode", "-halt-on-error", text.name], [TEX[1], text.stem])
    for command in (latex, bibtex, latex, latex):
        done = subprocess.run(command, cwd=text.parent, capture_output=True, check=False)
        said = done.stdout.decode("utf-8", "replace")
        assert done.returncode == 0, said[-2000:]
    assert text.with_suffix(".pdf").read_bytes().startswith(b"%PDF-")
    assert "undefined" not in said
    assert "Missing character" not in said
