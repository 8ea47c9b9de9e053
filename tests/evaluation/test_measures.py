import json
import subprocess
import sys
from pathlib import Path

import pytest

from bertlab.evaluation.measures import MEASURES, measure_of
from scripts import measures as page

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("metric", "row"),
    [
        ("eval/mlm_loss.rate_0.05", "mlm_loss.rate_<rate>"),
        ("eval/mlm_loss.split_80_10_10", "mlm_loss.split_<k>_<k>_<k>"),
        ("eval/token_share", "token_share[.layer_<k>]"),
        ("eval/token_share.layer_0", "token_share[.layer_<k>]"),
        ("eval/finetuned.examples_64", "finetuned[.<task>].examples_<n>"),
        ("eval/finetuned.topic.examples_64.seed_2", "finetuned[.<task>].examples_<n>.seed_<k>"),
        ("eval/tasks.my-task.loss.se_items", "tasks.<task>.loss.se_<source>"),
        ("eval/tasks.my-task.macro_f1.seed_1", "tasks.<task>.<score>[.seed_<k>]"),
    ],
)
def test_a_metric_is_found_by_its_whole_name(metric: str, row: str) -> None:
    found = measure_of(metric)
    assert found is not None
    assert found.name == row
    assert [measure_of(other) for other in (metric + "x", metric.removeprefix("eval/"), metric.replace(".", "_"))] == (
        [None, None, found if "." not in metric else None]
    )


def test_no_metric_has_two_rows() -> None:
    names = [each.name for each in MEASURES]
    assert len(names) == len(set(names))
    for each in MEASURES:
        assert [other.name for other in MEASURES if each.is_one and other.pattern.fullmatch(f"eval/{each.name}")] == (
            [each.name] if each.is_one else []
        )


def test_every_measure_of_a_committed_run_is_in_the_table() -> None:
    heads = [path.read_text("utf-8").partition("\n")[0] for path in (ROOT / "reports").glob("**/runs.csv")]
    names = {name.removeprefix("metrics.") for head in heads for name in head.split(",")}
    measured = {name for name in names if name.startswith("eval/")}
    assert len(measured) > 60
    assert {name for name in measured if measure_of(name) is None} == set()


def test_the_page_is_the_table() -> None:
    assert page.PAGE.read_text("utf-8") == page.page(), "python -m scripts.measures writes it"


def test_reading_the_table_imports_no_torch() -> None:
    code = "import json, sys, bertlab.study.outcome; print(json.dumps('torch' in sys.modules))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert json.loads(said.stdout) is False
