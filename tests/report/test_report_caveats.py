"""A caveat is printed when, and only when, its condition holds."""

import dataclasses
from collections.abc import Callable

import pandas as pd

from bertlab.report.caveats import CAVEATS
from bertlab.report.run_table import RunTable, canonical
from bertlab.report.settings import sweep_of

MakeTable = Callable[..., RunTable]
RATES = {"model.heads": ["1", "2", "4"]}


def held(table: RunTable, **facts: str) -> dict[str, str]:
    sweep = sweep_of(canonical(dataclasses.replace(table, facts={**table.facts, **facts})))
    return {caveat.__name__: text for caveat in CAVEATS if (text := caveat(sweep))}


def changed(table: RunTable, run_id: str, column: str, value: object) -> RunTable:
    runs = table.runs.copy()
    runs.loc[runs["run_id"] == run_id, column] = value
    return dataclasses.replace(table, runs=runs)


def middle_best(heads: str) -> float:
    return 0.2 * (heads != "2")


def test_a_sound_sweep_of_small_models_has_two_caveats(make_table: MakeTable) -> None:
    assert set(held(make_table(RATES, effect=middle_best))) == {"picked", "regime"}


def test_a_run_below_the_context_floor_is_named_with_its_gain(make_table: MakeTable) -> None:
    table = changed(make_table(RATES), "r01s2", "metrics.eval/context_gain", 0.123)
    text = held(table)["on_plateau"]
    assert "1 of 9 finished runs gained less than 0.80 nats" in text
    assert "model.heads=2 (seed 2): 0.123" in text
    assert "on_plateau" not in held(table, floor="0.1")


def test_one_seed_is_said_only_when_no_setting_has_two(make_table: MakeTable) -> None:
    one = make_table(RATES, seeds=(0,))
    assert "one_seed" in held(one)
    assert "one_seed" not in held(make_table(RATES, seeds=(0, 1)))


def test_unlike_fingerprints_are_listed(make_table: MakeTable) -> None:
    table = changed(make_table(RATES), "r01s2", "tags.bertlab.code", "beef")
    assert "code (beef and decade)" in held(table)["fingerprints"]


def test_settings_may_use_other_code_but_no_run_another_environment(make_table: MakeTable) -> None:
    table = make_table(RATES)
    by_setting = table.runs["params.model.heads"].map(lambda heads: f"used with {heads}")
    assert "fingerprints" not in held(
        dataclasses.replace(table, runs=table.runs.assign(**{"tags.bertlab.code": by_setting}))
    )
    several = table.runs.assign(**{"tags.bertlab.environment": by_setting})
    assert "environment (" in held(dataclasses.replace(table, runs=several))["fingerprints"]


def test_unlike_budgets_are_stated_but_padding_is_not(make_table: MakeTable) -> None:
    table = make_table(RATES)
    assert "between 1,000,000 and 2,000,000" in held(changed(table, "r01s2", "metrics.perf/tokens", 1e6))["budgets"]
    assert "budgets" not in held(changed(table, "r01s2", "metrics.perf/tokens", 1.99e6))


def test_the_best_value_at_the_edge_is_named(make_table: MakeTable) -> None:
    text = held(make_table(RATES, effect=lambda heads: -float(heads)))["edge"]
    assert "model.heads=4 is the largest value that was tried" in text
    assert "edge" not in held(make_table({"model.heads": ["1", "2"]}, effect=lambda heads: -float(heads)))
    assert "edge" not in held(make_table({"model.norm": ["a", "b", "c"]}, effect=lambda norm: -float(norm == "a")))


def test_training_losses_are_incomparable_when_masks_differ(make_table: MakeTable) -> None:
    text = held(make_table({"mask.rate": ["0.1", "0.15"]}))["training_losses"]
    assert "because mask.rate changes what is predicted" in text


def test_repeats_of_a_seed_are_counted(make_table: MakeTable) -> None:
    table = changed(make_table(RATES), "r01s2", "params.seed", "1")
    caveats = held(table)
    assert "model.heads=2, seed 1: 2 runs" in caveats["repeated_runs"]
    assert "model.heads=2 lacks seed 2" in caveats["incomplete_seeds"]


def test_a_parameter_that_differs_inside_a_setting_is_named(make_table: MakeTable) -> None:
    table = changed(make_table(RATES), "r01s2", "params.model", "large")
    assert "model (large and small)" in held(table)["mixed_settings"]


def test_a_parameter_that_copies_the_seed_is_no_mixture(make_table: MakeTable) -> None:
    table = make_table(RATES)
    runs = table.runs.assign(**{"params.streams.seed": table.runs["params.seed"]})
    assert "mixed_settings" not in held(dataclasses.replace(table, runs=pd.DataFrame(runs)))


def test_a_corpus_that_weakens_the_comparison_is_said_to(make_table: MakeTable) -> None:
    text = held(make_table(RATES), warning="9.1% of the held-out tokens are [UNK], which no arm can read")["corpora"]
    assert text.startswith("**The corpus weakens the comparison:** 9.1% of the held-out tokens are")


def test_the_small_regime_gives_its_distance_from_bert(make_table: MakeTable) -> None:
    table = make_table(RATES)
    # 1,000,000 x 128,000 / 2,000,000 = 64,000
    assert "about 64,000 times as many" in held(table)["regime"]
    runs = table.runs.assign(**{"metrics.perf/tokens": 1.28e10})
    assert "regime" not in held(dataclasses.replace(table, runs=runs))


def test_runs_that_lost_their_process_and_were_started_again_are_named(make_table: MakeTable) -> None:
    table = make_table(RATES)
    assert "started_again" not in held(table)
    table = changed(changed(table, "r01s2", "tags.bertlab.restarts", "1"), "r00s1", "tags.bertlab.restarts", "2")
    text = held(table)["started_again"]
    assert text.startswith("**Started again.** 2 of 9 finished runs lost the process that trained it and went on from ")
    assert "model.heads=1 (seed 1), 2 times; model.heads=2 (seed 2), 1 time." in text
