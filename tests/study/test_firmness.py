"""How firm a finding is: the margins and seeds that change it, and the results of stronger claims."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from bertlab.stats.claim import Finding
from bertlab.study.firmness import NO_RULER, Tipping, materially, tipping, without_each_seed
from bertlab.study.judge import at_margin, judge, without_seed
from bertlab.study.record import Record, canonical

MakeRecord = Callable[..., Record]


def test_a_claim_of_no_harm_tips_where_its_interval_ends(make_record: MakeRecord) -> None:
    found = judge(make_record({"one": 0.03}, sd=0.03, node={"expects": {"one": "not_worse"}}))
    assert found.finding is Finding.SUPPORTED
    below = tipping(found)[0]
    assert below == Tipping(pytest.approx(found.arms["one"].interval.high, rel=1e-3), Finding.UNDECIDED)
    assert at_margin(found, 1.01 * below.margin).finding is Finding.SUPPORTED
    assert at_margin(found, 0.99 * below.margin).finding is Finding.UNDECIDED


def test_another_margin_leaves_the_numbers_as_they_are(make_record: MakeRecord) -> None:
    found = judge(make_record())
    again = at_margin(found, found.margin)
    assert (again.finding, again.p) == (found.finding, found.p)
    assert again.arms["one"].interval == found.arms["one"].interval


def test_a_large_margin_makes_the_harmful_control_too_small_to_see(make_record: MakeRecord) -> None:
    found = judge(make_record())
    assert tipping(found)[-1].finding is Finding.UNDECIDED


def test_a_margin_at_which_a_control_fails_names_the_control(make_record: MakeRecord) -> None:
    found = judge(make_record({"one": 0.03}, sd=0.03, node={"expects": {"one": "not_worse"}}))
    below, above = tipping(found)
    assert (below.control, above.control) == ("", "the harmful control is EQUIVALENT and must be WORSE")
    found = judge(make_record({"one": -0.03}, sd=0.03, node={"expects": {"one": "not_worse"}}))
    assert tipping(found)[0].control == NO_RULER, "the arm stays within every margin, the baseline does not"


def test_without_one_of_three_seeds_nothing_is_judged(make_record: MakeRecord) -> None:
    record = make_record({"one": 0.0}, sd=0.01, node={"expects": {"one": "not_worse"}})
    three = replace(
        record, node={**record.node, "seeds": 3, "looks": [3]}, runs=record.runs[record.runs["seed"].isin([0, 1, 2])]
    )
    assert judge(three).finding is Finding.SUPPORTED
    assert without_each_seed(judge(three)) == {0: None, 1: None, 2: None}


def test_a_finding_that_hangs_on_one_seed_is_lost_without_it(make_record: MakeRecord) -> None:
    record = make_record({"one": 0.05}, sd=0.02)
    assert set(without_each_seed(judge(record)).values()) == {Finding.SUPPORTED}
    runs = record.runs.copy()
    runs.loc[(runs["arm"] == "one") & (runs["seed"] != 3), "eval/mlm_loss"] -= 0.046
    hanging = judge(canonical(replace(record, runs=runs)))
    seeds = without_each_seed(hanging)
    assert list(seeds) == list(range(8))
    assert seeds[3] is without_seed(hanging, 3).finding


def test_the_stronger_claim_is_tested_beyond_the_margin(make_record: MakeRecord) -> None:
    small = judge(make_record({"one": 0.05}))
    assert (small.finding, materially(small)) == (Finding.SUPPORTED, Finding.REFUTED)
    large = judge(make_record({"one": 0.3}))
    assert (large.finding, materially(large)) == (Finding.SUPPORTED, Finding.SUPPORTED)
    assert materially(judge(make_record(node={"expects": {"one": "not_worse"}}))) is None
