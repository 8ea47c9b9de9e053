"""A search: every arm at every value on separate seeds, then each at the baseline's best value and at its own."""

from collections.abc import Callable
from typing import Any

import pytest

from bertlab.config.errors import InputError
from bertlab.stats.claim import Expectation
from bertlab.stats.rule import Kind
from bertlab.study.design import Search, Study
from bertlab.study.judge import judge
from bertlab.study.record import Record
from bertlab.study.registration import read_study
from bertlab.study.search import all_values, at_most, best_values, beyond_ends, of_trials, settled, trial, tried_values

MakeRecord = Callable[..., Record]
SEARCH = {"setting": "optimizer.lr", "values": [0.001, 0.002, 0.004], "seeds": 2}
ARMS = {
    "post": ["schedule.warmup=0.1"],
    "post_0": ["schedule.warmup=0"],
    "pre": ["model/block=pre"],
    "pre_0": ["model/block=pre", "schedule.warmup=0"],
}
NODE: dict[str, Any] = {
    "baseline": "post",
    "factors": ["schedule.warmup", "model/block"],
    "arms": ARMS,
    "against": {"pre_0": "pre"},
    "expects": {"post_0": "worse", "pre_0": "not_worse"},
    "search": SEARCH,
}
TRIALS = [f"{arm}@{value:g}" for arm in ARMS for value in SEARCH["values"]]  # type: ignore[attr-defined]
BEST = {"post": 0.002, "post_0": 0.001, "pre": 0.004, "pre_0": 0.002}
FOUND = {f"{arm}@{value:g}": -0.1 for arm, value in BEST.items()}  # nats against the arm's other trials
TUNED = ["post_0_tuned", "pre_tuned", "pre_0_tuned"]


@pytest.fixture
def study(make_record: MakeRecord) -> Study:
    return record(make_record).registered


def record(make_record: MakeRecord, **made: Any) -> Record:
    effect = {**FOUND, **made.pop("effect", {})}
    return make_record(**{"effect": effect, "node": NODE, "trials": TRIALS, "tuned": TUNED, **made})


def test_every_arm_is_tried_at_every_value_and_nothing_is_claimed_of_a_trial(study: Study) -> None:
    trials = of_trials(study)
    assert list(trials.arms) == TRIALS
    assert trials.arms["pre_0@0.004"] == ("model/block=pre", "schedule.warmup=0", "optimizer.lr=0.004")
    assert trials.baseline in trials.arms
    assert not trials.expects
    assert not trials.against


def test_the_best_value_of_an_arm_is_that_of_its_best_mean(make_record: MakeRecord) -> None:
    made = record(make_record)
    assert best_values(made.registered, made.runs) == BEST


def test_a_value_at_which_one_trial_diverged_is_never_the_best(make_record: MakeRecord) -> None:
    made = record(make_record, diverged=[("post_0@0.001", 1001)], tuned=["pre_tuned", "pre_0_tuned"])
    assert best_values(made.registered, made.runs)["post_0"] == 0.002


def test_of_values_that_all_diverged_the_smallest_is_taken(make_record: MakeRecord) -> None:
    everywhere = [(f"post_0@{value:g}", 1000) for value in (0.001, 0.002, 0.004)]
    made = record(make_record, diverged=everywhere)
    assert best_values(made.registered, made.runs)["post_0"] == 0.001


def test_missing_trials_are_named(make_record: MakeRecord) -> None:
    with pytest.raises(InputError, match=r"must hold the trials of the search, pre_0@0.004 among them, got none"):
        record(make_record, trials=TRIALS[:-1])


def test_arms_are_confirmed_at_the_baselines_best_and_at_their_own(study: Study) -> None:
    confirmed = settled(study, BEST)
    assert list(confirmed.arms) == [*ARMS, *TUNED]
    assert {arm: overrides[-1] for arm, overrides in confirmed.arms.items()} == {
        **dict.fromkeys(ARMS, "optimizer.lr=0.002"),
        **{"post_0_tuned": "optimizer.lr=0.001", "pre_tuned": "optimizer.lr=0.004"},
        "pre_0_tuned": "optimizer.lr=0.002",  # its own is the baseline's; what it is compared with has another
    }
    assert confirmed.factors == (*NODE["factors"], "optimizer.lr")


def test_tuned_arms_are_compared_with_tuned_arms_and_expected_the_same_of(study: Study) -> None:
    confirmed = settled(study, BEST)
    assert confirmed.against == {"pre_0": "pre", "pre_0_tuned": "pre_tuned"}
    assert confirmed.reference("post_0_tuned") == "post"
    worse, fine = Expectation.WORSE, Expectation.NOT_WORSE
    assert confirmed.expects == {"post_0": worse, "pre_0": fine, "post_0_tuned": worse, "pre_0_tuned": fine}


def test_where_one_value_is_best_for_all_no_arm_is_added(study: Study) -> None:
    assert list(settled(study, dict.fromkeys(ARMS, 0.004)).arms) == list(ARMS)


def test_a_plan_counts_every_arm_at_two_values(study: Study) -> None:
    assert len(at_most(study).arms) == 2 * len(ARMS) - 1


def test_a_record_is_judged_at_the_values_that_its_trials_found(make_record: MakeRecord) -> None:
    found = judge(
        record(make_record, effect={"post_0": 0.5, "post_0_tuned": 0.3, "pre_tuned": -0.2, "pre_0_tuned": -0.2})
    )
    assert set(found.arms) == {"post_0", "pre", "pre_0", *TUNED}
    assert found.primary["post_0"].verdict.kind is found.primary["post_0_tuned"].verdict.kind is Kind.WORSE_MATERIAL
    assert found.primary["pre_0_tuned"].contrast.mean == pytest.approx(0, abs=1e-5)
    assert found.finding.value == "SUPPORTED"


def test_an_arm_that_the_search_did_not_leave_is_refused(make_record: MakeRecord) -> None:
    with pytest.raises(InputError, match=r"runs.arm must be an arm of study heads, got post_tuned; choose one of "):
        record(make_record, tuned=[*TUNED, "post_tuned"])


@pytest.mark.parametrize(
    ("search", "words"),
    [
        ({"setting": "optimizer.lr"}, "must hold setting, values and seeds, got {'setting': 'optimizer.lr'}; write "),
        (SEARCH | {"setting": "schedule.warmup"}, ".setting must be one that no arm sets and runs may differ in, got "),
        (SEARCH | {"setting": "batch.length"}, ".setting must be one that no arm sets and runs may differ in, got "),
        (SEARCH | {"values": [0.001, 0.002]}, ".values must be 3 ascending numbers at least, got [0.001, 0.002]; "),
        (SEARCH | {"values": [0.002, 0.001, 0.004]}, ".values must be 3 ascending numbers at least, got [0.002, "),
        (SEARCH | {"values": ["1", 2, 3]}, ".values must be 3 ascending numbers at least, got ['1', 2, 3]; "),
        (SEARCH | {"seeds": 0}, ".seeds must be a whole number of at least 1, got 0; choose for example 1"),
    ],
)
def test_a_search_that_cannot_be_made_is_refused(search: dict[str, Any], words: str, make_record: MakeRecord) -> None:
    made = record(make_record)
    assert made.registered.search == Search("optimizer.lr", (0.001, 0.002, 0.004), 2)
    with pytest.raises(InputError) as caught:
        read_study({"study": {**made.node, "search": search}})
    assert str(caught.value).startswith(f"study.search{'' if words.startswith('.') else ' '}{words}")


def test_an_arm_may_not_have_a_name_that_the_search_gives(make_record: MakeRecord) -> None:
    node = record(make_record).node
    arms = {**node["arms"], "pre_tuned": ["schedule.warmup=1"]}
    with pytest.raises(InputError, match=r"study.arms must not use the name pre_tuned"):
        read_study({"study": {**node, "arms": arms}})


def test_the_search_goes_two_of_its_own_steps_beyond_each_end(study: Study) -> None:
    assert all_values(study) == [0.00025, 0.0005, 0.001, 0.002, 0.004, 0.008, 0.016]


def test_a_search_that_holds_zero_has_steps_of_one_size(make_record: MakeRecord) -> None:
    node = {**NODE, "search": {**SEARCH, "setting": "optimizer.weight_decay", "values": [0, 0.1, 0.2]}}
    trials = [f"{arm}@{value:g}" for arm in ARMS for value in (0, 0.1, 0.2)]
    assert all_values(make_record(node=node, trials=trials).registered) == pytest.approx([0, 0.1, 0.2, 0.3, 0.4])


def test_an_arm_that_is_best_at_an_end_is_tried_beyond_it(make_record: MakeRecord) -> None:
    made = record(make_record)
    assert beyond_ends(made.registered, made.runs) == {"post_0": [0.0005], "pre": [0.008]}
    trials = of_trials(made.registered, {"pre": [0.008]})
    assert [*trials.arms] == [*TRIALS[:9], "pre@0.008", *TRIALS[9:]]
    assert trials.arms["pre@0.008"] == ("model/block=pre", "optimizer.lr=0.008")


def test_a_search_stops_at_two_steps_beyond_or_where_an_inner_value_is_best(make_record: MakeRecord) -> None:
    more = ["post_0@0.0005", "post_0@0.00025", "pre@0.008"]
    made = record(make_record, trials=[*TRIALS, *more], effect={"post_0@0.0005": -0.2, "post_0@0.00025": -0.3})
    assert tried_values(made.registered, made.runs, "post_0") == [0.00025, 0.0005, 0.001, 0.002, 0.004]
    assert best_values(made.registered, made.runs) == {**BEST, "post_0": 0.00025}
    assert beyond_ends(made.registered, made.runs) == {}
    assert made.study.arms["post_0_tuned"][-1] == "optimizer.lr=0.00025"


def test_a_trial_beyond_all_values_is_refused(make_record: MakeRecord) -> None:
    with pytest.raises(InputError, match=r"got pre@0.064"):
        record(make_record, trials=[*TRIALS, trial("pre", 0.064)])
