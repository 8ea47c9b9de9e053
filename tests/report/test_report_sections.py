"""What the report says, and what it must never say."""

import dataclasses
import math
import re
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from bertlab.report.run_table import RunTable
from bertlab.report.write import render

MakeTable = Callable[..., RunTable]
RATES = {"mask.rate": ["0.05", "0.15", "0.4"]}


def with_runs(table: RunTable, runs: pd.DataFrame) -> RunTable:
    return dataclasses.replace(table, runs=runs)


def set_loss(table: RunTable, losses: dict[str, float]) -> RunTable:
    runs = table.runs.assign(**{"metrics.eval/mlm_loss": table.runs["run_id"].map(losses)})
    return with_runs(table, runs)


def finding(table: RunTable) -> str:
    found = re.search(r"\*\*Result\.\*\* (.*)", render(table))
    assert found is not None
    return found[1]


def row(report: str, first: str) -> list[str]:
    section = report.partition("## Results")[2].partition("\n## ")[0]
    return next(cells for line in section.splitlines() if (cells := line.strip("| ").split(" | "))[0] == first)


def test_the_first_line_says_that_the_file_is_generated_and_by_what(make_table: MakeTable) -> None:
    first = render(make_table(RATES)).splitlines()[0]
    assert first.startswith("<!-- Generated")
    assert "python -m bertlab.run -m mask.rate=0.1,0.15 seed=0,1" in first
    assert first.endswith("-->")


def test_a_command_cannot_end_the_comment_or_the_code_block(make_table: MakeTable) -> None:
    table = make_table(RATES)
    command = "echo '--> done' ```"
    lines = render(dataclasses.replace(table, facts={**table.facts, "command": command})).splitlines()
    assert lines[0].count("-->") == 1
    assert lines[lines.index(command) - 1] == "````bash"
    assert lines[lines.index(command) + 1] == "````"


def test_the_question_names_factor_model_corpus_budget_and_seeds(make_table: MakeTable) -> None:
    report = render(make_table(RATES, seeds=(0, 1)))
    assert "This sweep sets mask.rate to 0.05, 0.15 and 0.4." in report
    assert "model *small* on corpus *oracle* for 2,000,000 tokens in sequences of 128 tokens" in report
    assert "That is 6 runs: 3 settings with 2 seeds each; all finished." in report
    assert "- Licence: CC0-1.0" in report


def test_turning_the_effect_around_turns_the_sentence_around(make_table: MakeTable) -> None:
    two = {"mask.rate": ["0.15", "0.4"]}
    better = make_table(two, effect=lambda rate: -0.2 * (rate == "0.4"), baseline=["0.15"])
    worse = make_table(two, effect=lambda rate: 0.2 * (rate == "0.4"), baseline=["0.15"])
    assert re.search(
        r"lowest final loss is \d\.\d{3} nats, at mask\.rate=0\.4\. It ends 0\.[12]\d\d nats lower than the reference, "
        r"mask\.rate=0\.15 \(95 % interval of the difference −.* to −.* nats, 3 paired seeds\); the interval excludes",
        finding(better),
    )
    assert re.search(
        r"at mask\.rate=0\.15, the reference\. Next comes mask\.rate=0\.4, which ends 0\.[12]\d\d nats higher than "
        r"the reference \(95 % interval of the difference \+.* to \+.* nats",
        finding(worse),
    )


def test_an_interval_that_includes_zero_tells_nothing_apart(make_table: MakeTable) -> None:
    table = make_table({"mask.rate": ["0.15", "0.4"]}, baseline=["0.15"])
    losses = {"r00s0": 3.0, "r00s1": 3.1, "r00s2": 3.2, "r01s0": 2.9, "r01s1": 3.1, "r01s2": 3.1}
    # differences -.1, 0, -.1: mean -.0667, sd .0577, half-width 4.303 * .0577 / sqrt(3) = .143
    report = render(set_loss(table, losses))
    assert row(report, "0.4")[1:7] == ["lowest loss", "3", "3.033", "−0.067", "−0.210 to +0.077", "3"]
    assert "the interval includes zero: these seeds do not tell the two apart" in report


@pytest.mark.parametrize("effect", [-0.5, 0.0, 0.5])
def test_one_seed_never_claims(make_table: MakeTable, effect: float) -> None:
    table = make_table(RATES, seeds=(7,), effect=lambda rate: effect * float(rate), baseline=["0.15"])
    report = render(table)
    assert "one seed cannot tell a difference from chance" in finding(table)
    assert "**One seed per setting.**" in report
    assert "interval excludes" not in report
    assert "95 % interval" not in report


@pytest.mark.parametrize("seeds", [(0,), (0, 1, 2)])
def test_no_report_speaks_of_significance_or_reaches_a_verdict(make_table: MakeTable, seeds: tuple[int, ...]) -> None:
    report = render(make_table(RATES, seeds=seeds, effect=float, baseline=["0.15"]))
    assert "reaches no verdict" in report
    for word in ("significan", "proves", "proof", "BETTER", "WORSE", "EQUIVALENT", "SUPPORTED"):
        assert word not in report


def test_a_choice_among_many_settings_is_admitted(make_table: MakeTable) -> None:
    table = make_table(RATES, effect=lambda rate: -float(rate), baseline=["0.05"], noise=0.001)
    assert "does not allow for having looked at 3 settings" in finding(table)
    assert "**Picked after looking.** The lowest of 3 settings" in render(table)


def test_differences_are_paired_by_seed_even_when_seeds_are_missing(make_table: MakeTable) -> None:
    table = make_table({"mask.rate": ["0.15", "0.4"]}, seeds=(0, 1), baseline=["0.15"])
    table = set_loss(table, {"r00s0": 3.0, "r00s1": 4.0, "r01s0": 3.2, "r01s1": 3.0})
    table.runs.loc[table.runs["run_id"] == "r01s1", "status"] = "KILLED"
    report = render(table)
    # the mean of 0.4 (3.2) lies below that of 0.15 (3.5), but on the shared seed it is .2 higher
    assert row(report, "0.4")[:5] == ["0.4", "lowest loss, 1 killed", "1", "3.200", "+0.200"]
    assert "It ends 0.200 nats higher than the reference, mask.rate=0.15, on one seed" in report
    assert "**Seeds incomplete.** Of the 2 seeds in this sweep, mask.rate=0.4 lacks seed 1." in report


def test_runs_without_a_result_are_listed_with_their_outcome(make_table: MakeTable) -> None:
    runs = make_table(RATES, seeds=(0, 1)).runs
    runs.loc[runs["run_id"] == "r00s1", "status"] = "FAILED"
    runs.loc[runs["run_id"] == "r01s0", "status"] = "KILLED"
    runs.loc[runs["run_id"] == "r02s0", "tags.bertlab.diverged"] = "true"
    report = render(with_runs(make_table(RATES, seeds=(0, 1)), runs))
    assert "3 of 6, which enter no mean" in report
    for run in (
        "mask.rate=0.05 (seed 1), failed",
        "mask.rate=0.15 (seed 0), killed",
        "mask.rate=0.4 (seed 0), diverged",
    ):
        assert run in report
    assert "| mask.rate=0.4 (seed 0) | diverged | r02s0 | – |" in report
    assert row(report, "0.4")[1:3] == ["1 diverged", "1"]


def test_a_setting_that_always_fails_keeps_its_row(make_table: MakeTable) -> None:
    table = make_table(RATES, seeds=(0, 1), baseline=["0.15"])
    table.runs.loc[table.runs["params.mask.rate"] == "0.4", "status"] = "FAILED"
    assert row(render(table), "0.4") == ["0.4", "2 failed", "0", "–", "–", "–", "0", "–", "–", "–"]


def test_without_any_result_the_report_says_so(make_table: MakeTable) -> None:
    table = make_table(RATES)
    assert finding(with_runs(table, table.runs.assign(status="FAILED"))).startswith("No run finished")


def test_a_reference_without_a_result_allows_no_difference(make_table: MakeTable) -> None:
    table = make_table(RATES, baseline=["0.15"])
    table.runs.loc[table.runs["params.mask.rate"] == "0.15", "status"] = "FAILED"
    assert "The reference, mask.rate=0.15, has no finished run, so no difference can be stated." in finding(table)


def test_settings_that_share_no_seed_have_no_difference(make_table: MakeTable) -> None:
    table = make_table({"mask.rate": ["0.15", "0.4"]}, seeds=(0,), effect=lambda r: -float(r), baseline=["0.15"])
    table.runs.loc[table.runs["params.mask.rate"] == "0.4", "params.seed"] = "1"
    assert "It shares no seed with the reference, mask.rate=0.15, so no difference is stated." in finding(table)


def test_two_factors_at_once_have_a_column_each(make_table: MakeTable) -> None:
    report = render(make_table({"mask.rate": ["0.15", "0.4"], "model.norm": ["rms", "layer"]}))
    assert "This sweep sets mask.rate to 0.15 and 0.4, and model.norm to layer and rms." in report
    assert "| mask.rate | model.norm | note |" in report
    assert report.partition("## Results")[2].count("| 0.4 | rms |") == 3  # results, cost and rates


def test_a_constant_factor_is_stated_and_makes_no_column(make_table: MakeTable) -> None:
    report = render(make_table({"mask.rate": ["0.15", "0.4"], "model.norm": ["layer"]}))
    assert "It keeps model.norm at layer." in report
    assert "| mask.rate | note |" in report


def test_a_single_setting_reports_its_mean_and_compares_nothing(make_table: MakeTable) -> None:
    report = render(set_loss(make_table({"mask.rate": ["0.15"]}, seeds=(0, 1)), {"r00s0": 3.0, "r00s1": 3.2}))
    assert "The final loss is 3.100 nats, the mean of 2 seeds (95 % interval 1.829 to 4.371)." in report
    assert "vs reference" not in report
    assert "This sweep varies only the seed." in report


def test_a_missing_measure_is_a_dash_and_a_measure_nobody_has_is_no_column(make_table: MakeTable) -> None:
    table = make_table({"pairs": ["none", "nsp"]}, seeds=(0,))
    table.runs.loc[table.runs["params.pairs"] == "none", "metrics.eval/pair_accuracy"] = math.nan
    assert row(render(table), "none")[-1] == "–"
    assert "pair accuracy" not in render(make_table(RATES, pairs=False))


def test_markdown_in_names_cannot_break_a_table(make_table: MakeTable) -> None:
    report = render(make_table({"mask.policy": ["80|10*10", "<b>[x](y)"]}, seeds=(0,)))
    widths = {len(re.findall(r"(?<!\\)\|", line)) for line in report.splitlines() if line.startswith("| 80")}
    assert len(widths) == 3  # results, cost and rates: as many cells as their headers, no more
    assert r"80\|10\*10" in report
    assert r"\<b\>\[x\](y)" in report


def test_the_rate_matrix_marks_the_lowest_of_each_column(make_table: MakeTable) -> None:
    table = make_table({"mask.rate": ["0.15", "0.4"]}, seeds=(0,))
    table.runs["metrics.eval/mlm_loss.rate_0.05"] = [3.0, 3.1]
    table.runs["metrics.eval/mlm_loss.rate_0.4"] = [3.9, 3.8]
    matrix = render(table).partition("## Loss at other masking rates")[2]
    assert "| mask.rate | 5 % masked | 15 % masked | 40 % masked |" in matrix
    assert re.search(r"\| 0\.15 \| \*\*3\.000\*\* \| .* \| 3\.900 \|", matrix)
    assert re.search(r"\| 0\.4 \| 3\.100 \| .* \| \*\*3\.800\*\* \|", matrix)


def test_what_states_hold_is_shown_where_they_were_probed(make_table: MakeTable) -> None:
    table = make_table({"mask.rate": ["0.15", "0.4"]}, seeds=(0,))
    assert "## Visible text" not in render(table)
    table.runs["metrics.eval/moved_accuracy"] = [0.58, 0.5]
    table.runs["metrics.eval/moved_accuracy.layer_0"] = 0.5
    table.runs["metrics.eval/token_share"] = [0.9, math.nan]
    matrix = render(table).partition("## Visible text")[2]
    assert "| mask.rate | moved words told (%) | explained by the word alone (%) |" in matrix
    assert "| 0.15 | 58.0 | 90.0 |" in matrix
    assert "| 0.4 | 50.0 | – |" in matrix


def test_thousands_are_separated_and_units_stand_in_the_header(make_table: MakeTable) -> None:
    report = render(make_table({"mask.rate": ["0.15"]}))
    assert "| setting | tokens | predicted tokens | compute (TFLOP) | minutes | tokens/s |" in report
    assert "| mask.rate=0.15 | 2,000,000 | 300,000 | 48.0 | 5.2 | 6,400 |" in report


def test_every_run_can_be_found_again(make_table: MakeTable) -> None:
    table = make_table(RATES)
    report = render(table)
    for text in ("Code fingerprint: decade", "Corpus fingerprint: c0ffee", "bertlab version: 0.1.0"):
        assert text in report
    assert all(f"| {run_id} |" in report for run_id in table.runs["run_id"])


def test_an_origin_that_nobody_recorded_is_a_dash(make_table: MakeTable) -> None:
    table = make_table(RATES)
    assert "- Code fingerprint: –\n" in render(with_runs(table, table.runs.drop(columns="tags.bertlab.code")))


def test_rows_in_any_order_give_the_same_report(make_table: MakeTable) -> None:
    table = make_table({"mask.rate": ["0.05", "0.15", "0.4"], "model.norm": ["layer", "rms"]}, baseline=["0.15", "rms"])
    rng = np.random.default_rng(3)
    shuffled = RunTable(
        table.runs.iloc[rng.permutation(len(table.runs))],
        table.curves.iloc[rng.permutation(len(table.curves))],
        table.facts,
    )
    assert render(shuffled) == render(table)
