"""Text of a sweep's page, and claims that it must never contain."""

import math
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bertlab.identity.text_and_scoring import REGIME, PreparedText, Scoring, TextSize, as_tag
from bertlab.report.gather import regime_of
from bertlab.report.study import write_study
from bertlab.report.study.figures import drawings
from bertlab.report.study.page import page
from bertlab.report.study.sweep import weaknesses
from bertlab.study.exploration import explored
from bertlab.study.judge import judge
from bertlab.study.record import read_record
from bertlab.study.regime import UNKNOWN
from tests.report.conftest import Runs, build

RATES = {"mask.rate": ["0.05", "0.15", "0.4"]}
TWO = {"mask.rate": ["0.15", "0.4"]}
LOSS = "metrics.eval/mlm_loss"
Make = Callable[..., Runs]


def finding(table: Runs) -> str:
    found = re.search(r"\*\*Result\.\*\* (.*)", page(table.findings))
    assert found is not None
    return found[1]


def held(table: Runs, **facts: str) -> str:
    return "\n".join(weaknesses(table._replace(facts={**table.facts, **facts}).findings))


def changed(table: Runs, run_id: str, column: str, value: object) -> Runs:
    runs = table.runs.copy()
    runs.loc[runs["run_id"] == run_id, column] = value
    return table._replace(runs=runs)


def test_a_command_cannot_end_the_comment_or_the_code_block(make_table: Make) -> None:
    command = "echo '--> done' ```"
    table = make_table(RATES)
    lines = page(table._replace(facts={**table.facts, "command": command}).findings).splitlines()
    assert lines[0].startswith("<!-- Generated")
    assert lines[0].count("-->") == 1
    assert lines[lines.index(command) - 1] == "````bash"
    assert lines[lines.index(command) + 1] == "````"


def test_a_run_of_one_setting_is_named_by_its_seed(make_table: Make) -> None:
    record = make_table({"mask.rate": ["0.15"]}, seeds=(0, 1)).findings.record
    text = page(judge(replace(record, runs=record.runs.assign(restarts=["1", ""]))))
    assert "or from the start where there was none: seed 0." in text
    assert "the only setting seed" not in text


def test_the_question_names_factors_values_and_seeds(make_table: Make) -> None:
    text = page(make_table({**TWO, "model.norm": ["rms", "layer"]}, seeds=(0, 1)).findings)
    assert "This sweep sets mask.rate to 0.15 and 0.4, and model.norm to layer and rms: 4 settings with 2 seeds" in text
    assert "Model: small. Budget: 2,000,000 tokens." in text
    assert "- Licence: CC0-1.0" in text
    assert "This sweep varies only the seed: 1 setting with 2 seeds." in page(
        make_table({"mask.rate": ["0.15"]}, seeds=(0, 1)).findings
    )


def test_turning_the_effect_around_turns_the_sentence_around(make_table: Make) -> None:
    better = make_table(TWO, effect=lambda rate: -0.2 * (rate == "0.4"), baseline=["0.15"])
    worse = make_table(TWO, effect=lambda rate: 0.2 * (rate == "0.4"), baseline=["0.15"])
    ends = r"interval of the difference {0}.* to {0}.* nats, 3 paired seeds\); the interval excludes zero"
    assert re.search(rf"at mask\.rate=0\.4\. It ends 0\.[12]\d\d nats lower than .*{ends.format('−')}", finding(better))
    following = r"at mask\.rate=0\.15, the baseline\. Next comes mask\.rate=0\.4, which ends .* nats higher .*"
    assert re.search(following + ends.format("[+]"), finding(worse))


def test_an_interval_that_includes_zero_shows_no_difference(make_table: Make) -> None:
    table = make_table(TWO, baseline=["0.15"])
    table = table._replace(runs=table.runs.assign(**{LOSS: [3.0, 3.1, 3.2, 2.9, 3.1, 3.1]}))
    # differences -.1, 0, -.1: mean -.0667, sd .0577, half-width 2.920 * .0577 / sqrt(3) = .0973
    assert "(90 % interval of the difference −0.164 to +0.031 nats, 3 paired seeds); the interval includes" in finding(
        table
    )
    assert "| eval/mlm_loss (nats) | lower | mask.rate=0.4 | 3 | 3.033 | −0.067 | −0.164 to +0.031 |" in page(
        table.findings
    )


@pytest.mark.parametrize("effect", [-0.5, 0.0, 0.5])
def test_one_seed_never_claims(make_table: Make, effect: float) -> None:
    table = make_table(RATES, seeds=(7,), effect=lambda rate: effect * float(rate), baseline=["0.15"])
    assert "one seed cannot tell a difference from chance" in finding(table)
    assert "**One seed per setting.**" in held(table)
    assert "excludes zero" not in page(table.findings)


@pytest.mark.parametrize("seeds", [(0,), (0, 1, 2)])
def test_no_sweep_speaks_of_significance_or_reaches_a_verdict(make_table: Make, seeds: tuple[int, ...]) -> None:
    text = page(make_table(RATES, seeds=seeds, effect=float, baseline=["0.15"]).findings)
    assert "reaches no verdict" in text
    for word in ("significan", "proves", "proof", "BETTER", "WORSE", "EQUIVALENT", "SUPPORTED", "margin"):
        assert word not in text


def test_a_choice_among_many_settings_is_admitted(make_table: Make) -> None:
    table = make_table(RATES, effect=lambda rate: -float(rate), baseline=["0.05"], noise=0.001)
    assert "does not allow for having looked at 3 settings" in finding(table)
    assert "**Picked after looking.** The lowest of 3 settings" in held(table)
    assert "**Best at the edge of the grid.** A better value may lie beyond mask.rate=0.4." in held(table)
    assert "edge" not in held(make_table(RATES, effect=lambda rate: float(rate != "0.15")))


def test_differences_are_paired_by_seed_even_when_seeds_are_missing(make_table: Make) -> None:
    table = make_table(TWO, seeds=(0, 1), baseline=["0.15"])
    table = table._replace(runs=table.runs.assign(**{LOSS: [3.0, 4.0, 3.2, 3.0]}))
    table = changed(table, "r01s1", "status", "KILLED")
    # the mean of 0.4 (3.2) lies below that of 0.15 (3.5), but on the shared seed it is .2 higher
    assert "It ends 0.200 nats higher than the baseline, mask.rate=0.15, on one seed" in finding(table)
    assert "**Seeds incomplete.** mask.rate=0.4 lacks seed 1." in held(table)
    assert "mask.rate=0.4 (seed 1), killed" in held(table)


def test_settings_without_a_result_allow_no_difference(make_table: Make) -> None:
    table = make_table(RATES, baseline=["0.15"])
    assert finding(table._replace(runs=table.runs.assign(status="FAILED"))).startswith("No run finished")
    status = table.runs["status"].where(table.runs["params.mask.rate"] != "0.15", "FAILED")
    gone = table._replace(runs=table.runs.assign(status=status))
    assert "The baseline, mask.rate=0.15, has no finished run, so no difference can be stated." in finding(gone)
    apart = make_table(TWO, seeds=(0,), effect=lambda rate: -float(rate), baseline=["0.15"])
    assert "It shares no seed with the baseline" in finding(changed(apart, "r01s0", "params.seed", "1"))


def test_runs_that_differ_in_what_was_not_swept_are_named(make_table: Make) -> None:
    table = make_table(RATES)
    assert "Unlike" not in held(table)
    assert "model (large, small)" in held(changed(table, "r01s2", "params.model", "large"))
    assert "code (beef, decade)" in held(changed(table, "r01s2", "tags.bertlab.code", "beef"))
    by_setting = {"tags.bertlab.code": table.runs["params.mask.rate"], "params.streams.seed": table.runs["params.seed"]}
    assert "Unlike" not in held(table._replace(runs=table.runs.assign(**by_setting)))


def test_a_corpus_that_weakens_the_comparison_is_reported(make_table: Make) -> None:
    assert "**The corpus weakens the comparison:** 9 % are \\[UNK\\]" in held(
        make_table(RATES), warning="9 % are [UNK]"
    )


def test_markdown_in_names_cannot_break_a_table(make_table: Make) -> None:
    text = page(make_table({"mask.policy": ["80|10*10", "<b>[x](y)"]}, seeds=(0,)).findings)
    rows = [line for line in text.splitlines() if line.startswith(r"| mask.policy=80\|10\*10 |")]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in rows} == {7, 6, 5}  # cost, runs, rates
    assert r"\<b\>\[x\](y)" in text


def test_a_score_on_a_task_has_the_error_over_items_and_seeds(make_table: Make) -> None:
    own = "metrics.eval/tasks.own.accuracy"
    table = make_table(TWO, seeds=(0,))
    assert "## Tasks" not in page(table.findings)
    scores = {own: [0.7, 0.5], f"{own}.se_items": [0.03, 0.01], f"{own}.se_seeds": [0.04, math.nan]}
    text = page(table._replace(runs=table.runs.assign(**scores)).findings)
    assert "| own | accuracy | 0.700 ± 0.050 | 0.500 ± 0.010 |" in text
    assert text.count("\n| own") == 1, "errors have no row of their own"


def test_the_score_of_the_most_frequent_sense_stands_on_the_page_as_a_reference(make_table: Make) -> None:
    table, own = make_table(TWO, seeds=(0,)), "metrics.eval/tasks.own."
    scores = {f"{own}accuracy": [0.7, 0.5], f"{own}most_frequent": [0.6, 0.6], f"{own}most_frequent.se_items": 0.01}
    text = page(table._replace(runs=table.runs.assign(**scores)).findings)
    assert "| eval/tasks.own.most_frequent (%) |  | every arm |  | 60.0 | reference |  |" in text


def test_figures_are_those_of_a_study(make_table: Make) -> None:
    names = ["forest", "convergence", "pair_accuracy_convergence", "difference", "trend"]
    assert [each.name for each in drawings(make_table(RATES).findings)] == names
    assert [each.name for each in drawings(make_table(RATES, pairs=False, evaluations=1).findings)] == [
        "forest",
        "trend",
    ]
    assert "trend" not in [each.name for each in drawings(make_table({"model.norm": ["a", "b", "c"]}).findings)]


@pytest.mark.slow
def test_a_page_written_from_its_twins_in_any_order_is_the_same_to_the_byte(make_table: Make, tmp_path: Path) -> None:
    table = make_table({**RATES, "model.norm": ["layer", "rms"]}, seeds=(0, 1), baseline=["0.15", "rms"])
    rng = np.random.default_rng(1)
    shuffled = Runs(*(frame.iloc[rng.permutation(len(frame))] for frame in table[:2]), *table[2:])
    write_study(table.findings, tmp_path / "first")
    write_study(shuffled.findings, tmp_path / "shuffled")
    write_study(judge(read_record(tmp_path / "first" / "report")), tmp_path / "again")
    first, shuffled_files, again = (contents(tmp_path / name) for name in ("first", "shuffled", "again"))
    assert first == shuffled_files == again
    assert {"report.md", "report/runs.csv", "report/figures/forest.svg"} <= first.keys()


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_sweep_counts_epochs_where_all_its_runs_state_how_much_text_they_read() -> None:
    """The tag of a run holds numbers, as `bertlab.identity.text_and_scoring` writes them."""
    text = PreparedText("a list", TextSize(10, 100, 500_000), TextSize(1, 10, 5_000))
    tag = as_tag(text, Scoring(sequences=256, rate=0.15, texts=0, pairs=0))
    assert regime_of([{REGIME: tag}, {REGIME: tag}]).corpus == text
    assert regime_of([{REGIME: tag}, {}]) == regime_of([{}]) == UNKNOWN
    runs = build({"mask.rate": ["0.1", "0.4"]})
    findings = judge(explored(*runs, regime_of([{REGIME: tag}])))
    assert "Budget: 2,000,000 tokens, 4.0 epochs of the training text." in page(findings)
    assert "epochs" not in page(runs.findings)
