"""From a record to verdicts: every verdict, the controls, the looks, and the remaining runs."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bertlab.stats.claim import Finding
from bertlab.stats.rule import Kind
from bertlab.study.judge import judge
from bertlab.study.record import Record, canonical, read_record, twins

MakeRecord = Callable[..., Record]


@pytest.mark.parametrize(
    ("made", "kind"),
    [
        ({"gone": [("one", 3)]}, Kind.INVALID),
        ({"gone": [("two", 3)]}, Kind.INVALID),
        ({"gain": 0.2}, Kind.VACUOUS),
        ({"effect": {"harmful": 0.0}}, Kind.VACUOUS),
        ({"effect": {"same": 0.2}}, Kind.VACUOUS),
        ({"diverged": [("one", 1), ("one", 4)]}, Kind.UNSTABLE),
        ({}, Kind.WORSE_MATERIAL),
        ({"effect": {"one": -0.3}}, Kind.BETTER_MATERIAL),
        ({"effect": {"one": 0.0}}, Kind.EQUIVALENT),
        ({"effect": {"one": 0.1}, "sd": 0.04}, Kind.WORSE_AT_MARGIN),
        ({"effect": {"one": -0.1}, "sd": 0.04}, Kind.BETTER_AT_MARGIN),
        ({"effect": {"one": 0.15}, "sd": 0.1}, Kind.WORSE_UNRESOLVED),
        ({"effect": {"one": -0.15}, "sd": 0.1}, Kind.BETTER_UNRESOLVED),
        ({"effect": {"one": -0.08}, "sd": 0.12}, Kind.NON_INFERIOR),
        ({"effect": {"one": 0.08}, "sd": 0.12}, Kind.NON_SUPERIOR),
        ({"effect": {"one": 0.0}, "sd": 0.3}, Kind.INCONCLUSIVE),
    ],
)
def test_every_verdict_can_be_reached(make_record: MakeRecord, made: dict[str, Any], kind: Kind) -> None:
    assert judge(make_record(**made)).arms["one"].verdict.kind is kind


def test_an_arm_whose_runs_of_a_look_all_failed_is_invalid(make_record: MakeRecord) -> None:
    """Its runs do not show it: it might have been stopped at the look before."""
    record = make_record(gone=[("one", seed) for seed in (5, 6, 7)])
    assert judge(record).arms["one"].verdict.kind is Kind.WORSE_MATERIAL
    planned = {"baseline": 8} | dict.fromkeys(record.study.arms, 8) | {"same": 8, "harmful": 8}
    known = canonical(replace(record, planned=planned))
    assert judge(known).arms["one"].verdict.failed == ("one has no result for seed 5, 6, 7",)
    assert judge(known).soundness == ()
    stopped = canonical(replace(record, planned={**planned, "one": 5}))
    assert judge(stopped).arms["one"].verdict.kind is Kind.WORSE_MATERIAL


def test_a_difference_is_that_of_the_pairs(make_record: MakeRecord) -> None:
    judged = judge(make_record(effect={"one": 0.25}, sd=0.02)).arms["one"]
    assert judged.contrast.mean == pytest.approx(0.25, abs=1e-5)
    assert judged.contrast.sd == pytest.approx(0.02, rel=1e-3)
    assert judged.contrast.n == 8
    assert judged.worth == pytest.approx(np.expm1(-0.25 / 0.46), rel=1e-3)


def test_too_much_noise_names_the_seeds_it_needs(make_record: MakeRecord) -> None:
    verdict = judge(make_record({"one": 0.0}, sd=0.3, node={"expects": {"one": "not_worse"}})).arms["one"].verdict
    assert verdict.needed is not None
    assert verdict.needed > 8


def test_an_arm_without_a_claim_has_no_finding(make_record: MakeRecord) -> None:
    findings = judge(make_record())
    assert findings.arms["four"].finding is None
    assert findings.arms["four"].interval.level == 0.9
    assert list(findings.primary) == ["one"]


def test_looks_are_paid_for_with_wider_intervals(make_record: MakeRecord) -> None:
    once = judge(make_record(node={"looks": [8]})).arms["one"].interval
    twice = judge(make_record()).arms["one"].interval
    assert once.level == pytest.approx(0.9)
    assert twice.level > once.level
    assert twice.high - twice.low > once.high - once.low


def test_several_claims_cost_an_interval_nothing_and_are_paid_for_by_refutations(make_record: MakeRecord) -> None:
    effect, sd = {"one": -0.19, "four": 0.0}, 0.09  # refuting p of one: .012 or so
    claimed = {
        "one": "not_better",
        "four": "not_better",
        "none": "not_better",
        "six": "not_better",
        "nine": "not_better",
    }
    arms = {name: [f"model.heads={k}"] for k, name in enumerate(["two", *claimed])}
    alone = judge(make_record(effect, sd=sd, node={"looks": [8], "arms": arms, "expects": {"one": "not_better"}}))
    among = judge(make_record(effect, sd=sd, node={"looks": [8], "arms": arms, "expects": claimed}))
    assert among.arms["one"].interval == alone.arms["one"].interval
    assert among.arms["one"].interval.level == pytest.approx(0.90)
    assert among.arms["one"].refutation == alone.arms["one"].refutation < 0.05
    assert (alone.finding, among.finding) == (Finding.REFUTED, Finding.UNDECIDED)
    assert among.arms["one"].verdict.kind is Kind.BETTER_MATERIAL


def test_a_claim_of_the_sign_is_refuted_by_the_opposite_sign_alone(make_record: MakeRecord) -> None:
    assert judge(make_record()).finding is Finding.SUPPORTED
    assert judge(make_record(effect={"one": -0.3})).finding is Finding.REFUTED
    assert judge(make_record(effect={"one": 0.0})).finding is Finding.UNDECIDED
    assert judge(make_record(effect={"one": 0.1}, sd=0.3)).finding is Finding.UNDECIDED


def test_a_material_claim_is_refuted_by_an_interval_short_of_the_margin(make_record: MakeRecord) -> None:
    materially = {"expects": {"one": "materially_worse"}}
    assert judge(make_record(node=materially)).finding is Finding.SUPPORTED
    assert judge(make_record(effect={"one": 0.05}, node=materially)).finding is Finding.REFUTED
    assert judge(make_record(effect={"one": 0.1}, sd=0.04, node=materially)).finding is Finding.UNDECIDED


PRIOR = {"variance": 0.01, "df": 4.0, "contrasts": 40}


def test_other_arms_do_not_change_the_interval_of_a_contrast(make_record: MakeRecord) -> None:
    quiet = judge(make_record(sd=0.05, node={"prior": PRIOR}))
    alone = {"prior": PRIOR, "arms": {"two": ["model.heads=2"], "one": ["model.heads=1"]}}
    assert judge(make_record(sd=0.05, node=alone)).arms["one"].interval == quiet.arms["one"].interval
    assert quiet.arms["one"].contrast.df == 7 + 4
    moderated = np.sqrt((4 * 0.01 + 7 * 0.05**2) / 11)
    assert quiet.arms["one"].contrast.moderated_sd == pytest.approx(moderated, rel=1e-3)


def coarse(make_record: MakeRecord, effect: dict[str, float], expects: str, sd: float = 0.03) -> Any:
    """Judge a study of one claim whose A/A control is at +0.07, with an interval that reaches the margin."""
    record = make_record({"same": 0.07, **effect}, sd=0.07, node={"expects": {"one": expects}})
    shrunk = record.runs.copy()
    base = shrunk[shrunk["arm"] == "two"].set_index("seed")["eval/mlm_loss"]
    for i, run in shrunk[shrunk["arm"] == "one"].iterrows():
        apart = run["eval/mlm_loss"] - base[run["seed"]]
        shrunk.loc[i, "eval/mlm_loss"] = base[run["seed"]] + effect["one"] + (apart - effect["one"]) * sd / 0.07
    return judge(canonical(replace(record, runs=shrunk)))


@pytest.mark.parametrize(
    ("effect", "expects", "finding", "held"),
    [
        (0.0, "equivalent", Finding.UNDECIDED, True),
        (0.0, "not_worse", Finding.UNDECIDED, True),
        (0.0, "not_better", Finding.UNDECIDED, True),
        (0.05, "materially_worse", Finding.UNDECIDED, True),
        (0.06, "worse", Finding.UNDECIDED, True),  # its interval lies within that of the control
        (0.3, "worse", Finding.SUPPORTED, False),
        (0.3, "not_worse", Finding.REFUTED, False),
        (-0.3, "not_worse", Finding.SUPPORTED, False),
        (-0.3, "worse", Finding.REFUTED, False),
    ],
)
def test_a_baseline_that_is_not_shown_to_equal_itself_takes_back_what_it_could_explain(
    make_record: MakeRecord, effect: float, expects: str, finding: Finding, held: bool
) -> None:
    findings = coarse(make_record, {"one": effect}, expects)
    assert findings.coarse
    assert findings.soundness == ()
    assert (findings.finding, findings.arms["one"].held) == (finding, held)
    if held:
        assert findings.p == 1.0


def test_arms_may_be_compared_with_a_bank_of_the_baseline(make_record: MakeRecord) -> None:
    """Thirty runs of the baseline, eight of each arm; their seeds then do not matter."""
    record = make_record({"one": 0.3, "four": 0.0}, sd=0.02, seeds=30, node={"bank": 30})
    runs = record.runs[(record.runs["seed"] < 8) | (record.runs["arm"] == "two")]
    planned = {**dict.fromkeys([*record.study.arms, "same", "harmful"], 8), "two": 30}
    findings = judge(canonical(replace(record, runs=runs, planned=planned)))
    arm, base = (record.arm(name)["eval/mlm_loss"] for name in ("one", "two"))
    contrast = findings.arms["one"].contrast
    assert contrast.n == 8
    assert contrast.mean == pytest.approx(arm[:8].mean() - base.mean())
    assert np.isnan(contrast.rho)
    assert findings.finding is Finding.SUPPORTED


@pytest.mark.parametrize(
    ("sd", "open_arms"),
    [(0.1, ["one", "four"]), (2.0, [])],  # seeds to come may decide; or there is no hope
)
def test_an_arm_against_a_bank_is_followed_as_long_as_there_is_hope(
    make_record: MakeRecord, sd: float, open_arms: list[str]
) -> None:
    record = make_record({"one": 0.05}, sd=sd, seeds=24, node={"bank": 24})
    runs = record.runs[(record.runs["seed"] < 5) | (record.runs["arm"] == "two")]
    planned = {**dict.fromkeys([*record.study.arms, "same", "harmful"], 5), "two": 24}
    findings = judge(canonical(replace(record, runs=runs, planned=planned)))
    assert findings.arms["one"].contrast.n == 5
    assert findings.open_arms(np.random.default_rng(0)) == open_arms


def test_one_diverged_seed_is_left_out_and_counted(make_record: MakeRecord) -> None:
    judged = judge(make_record(diverged=[("one", 2)])).arms["one"]
    assert judged.contrast.n == 7
    assert judged.verdict.standing.diverged == 1
    assert judged.verdict.kind is Kind.WORSE_MATERIAL


def test_runs_of_other_code_make_a_contrast_invalid(make_record: MakeRecord) -> None:
    record = make_record()
    record.runs.loc[record.runs["arm"] == "one", "code"] = "other"
    verdict = judge(record).arms["one"].verdict
    assert verdict.kind is Kind.INVALID
    assert verdict.failed == ("one and two differ in code",)


def test_a_decided_arm_is_not_followed_further(make_record: MakeRecord) -> None:
    rng = np.random.default_rng(0)
    assert judge(make_record(seeds=5)).open_arms(rng) == []
    assert judge(make_record(effect={"one": 0.05}, sd=0.1, seeds=5)).open_arms(rng) == ["one", "four"]


def test_a_hopeless_study_stops(make_record: MakeRecord) -> None:
    record = make_record(effect={"one": 0.0}, sd=2.0, seeds=5)
    assert judge(record).open_arms(np.random.default_rng(0)) == []


def test_a_study_on_the_plateau_stops_and_one_with_a_weak_control_goes_on(make_record: MakeRecord) -> None:
    rng = np.random.default_rng(0)
    assert judge(make_record(gain=0.2, seeds=5)).open_arms(rng) == []
    assert judge(make_record(effect={"harmful": 0.0}, seeds=5)).open_arms(rng) == ["one", "four"]


def test_an_arm_that_stopped_early_keeps_its_verdict(make_record: MakeRecord) -> None:
    early = judge(make_record(seeds=5))
    record = make_record(seeds=8)
    stopped = record.runs[(record.runs["arm"] != "one") | (record.runs["seed"] < 5)]
    later = judge(canonical(replace(record, runs=stopped)))
    assert later.arms["one"].contrast.n == 5
    assert later.arms["one"].verdict.kind is early.arms["one"].verdict.kind is Kind.WORSE_MATERIAL


def test_a_record_is_read_back_to_the_byte(make_record: MakeRecord, tmp_path: Path) -> None:
    record = make_record(diverged=[("one", 2)])
    for name, content in twins(record).items():
        (tmp_path / name).write_bytes(content)
    again = read_record(tmp_path)
    assert twins(again) == twins(record)
    assert judge(again).arms["one"] == judge(record).arms["one"]


def test_the_order_of_rows_does_not_matter(make_record: MakeRecord) -> None:
    record = make_record()
    shuffled = replace(record, runs=record.runs.sample(frac=1, random_state=3), curves=record.curves[::-1])
    assert twins(canonical(shuffled)) == twins(record)


def test_an_arm_may_be_compared_with_another_arm(make_record: MakeRecord) -> None:
    effect = {"one": 0.3, "four": 0.3}
    node = {"expects": {"one": "worse", "four": "equivalent"}, "against": {"four": "one"}}
    judged = judge(make_record(effect, node=node)).arms["four"]
    assert judged.against == "one"
    assert judged.verdict.kind is Kind.EQUIVALENT
    assert judge(make_record(effect)).arms["four"].verdict.kind is Kind.WORSE_MATERIAL


def test_what_an_open_arm_is_compared_with_goes_on_too(make_record: MakeRecord) -> None:
    node = {"expects": {"one": "worse", "four": "worse"}, "against": {"four": "one"}}
    record = make_record({"one": 0.3, "four": 0.35}, sd=0.1, seeds=5, node=node)
    assert set(judge(record).open_arms(np.random.default_rng(0))) == {"one", "four"}
