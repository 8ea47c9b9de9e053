"""Text of a study's page: every verdict in its words, no other verdict, and mirrored data give mirrored text."""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text

from bertlab.identity.text_and_scoring import PreparedText, TextSize
from bertlab.report.study import headline, verdict_table
from bertlab.report.study.budgets import learned_share
from bertlab.report.study.cautions import twice
from bertlab.report.study.figures import drawings
from bertlab.report.study.firmness import firmness
from bertlab.report.study.functionals import functionals
from bertlab.report.study.limits import limits, published
from bertlab.report.study.measures import layers, learnt, rates, secondary
from bertlab.report.study.onset import onset
from bertlab.report.study.opening import claim, contrasts, opening, reading
from bertlab.report.study.page import page
from bertlab.report.study.search import search
from bertlab.report.study.seeds import differences, divergence, looks, pairing
from bertlab.report.study.soundness import soundness
from bertlab.report.study.trend import trend_of
from bertlab.report.study.verdict import BY_ITSELF, CAME_OUT, DECIDED_BY, EITHER_WAY, EXPECTED, HELD, READING
from bertlab.stats.claim import Expectation, Finding
from bertlab.stats.noise import text_needed
from bertlab.stats.rule import Kind
from bertlab.study.judge import Findings, judge
from bertlab.study.onset import starts_of
from bertlab.study.record import canonical
from bertlab.study.regime import FrozenMargin, Regime
from tests.report.study.conftest import NODE, make_record

MakeFindings = Callable[..., Findings]
Mirror = Callable[[Findings], Findings]

# the margin is 0.0893 nats; five seeds at two looks
REACHED = [
    (Kind.WORSE_MATERIAL, {"effect": 0.25}),
    (Kind.BETTER_MATERIAL, {"effect": -0.25}),
    (Kind.EQUIVALENT, {"effect": 0.0}),
    (Kind.WORSE_AT_MARGIN, {"effect": 0.09, "sd": 0.02}),
    (Kind.BETTER_AT_MARGIN, {"effect": -0.09, "sd": 0.02}),
    (Kind.WORSE_UNRESOLVED, {"effect": 0.09, "sd": 0.06}),
    (Kind.BETTER_UNRESOLVED, {"effect": -0.09, "sd": 0.06}),
    (Kind.NON_INFERIOR, {"effect": -0.07, "sd": 0.07}),
    (Kind.NON_SUPERIOR, {"effect": 0.07, "sd": 0.07}),
    (Kind.INCONCLUSIVE, {"effect": 0.0, "sd": 0.2}),
    (Kind.UNSTABLE, {"diverged": (0, 3)}),
    (Kind.INVALID, {"missing": (1,)}),
]
RATE_15, RATE_30, RATE_40 = (f"a mask rate of {rate} %" for rate in (15, 30, 40))  # labels of the study's file
TURNED = {
    Kind.WORSE_MATERIAL: Kind.BETTER_MATERIAL,
    Kind.BETTER_MATERIAL: Kind.WORSE_MATERIAL,
    Kind.WORSE_UNRESOLVED: Kind.BETTER_UNRESOLVED,
    Kind.BETTER_UNRESOLVED: Kind.WORSE_UNRESOLVED,
    Kind.WORSE_AT_MARGIN: Kind.BETTER_AT_MARGIN,
    Kind.BETTER_AT_MARGIN: Kind.WORSE_AT_MARGIN,
    Kind.NON_INFERIOR: Kind.NON_SUPERIOR,
    Kind.NON_SUPERIOR: Kind.NON_INFERIOR,
    Kind.EQUIVALENT: Kind.EQUIVALENT,
}


def row(text: str, arm: str) -> list[str]:
    lines = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith(f"| {arm} ")]
    assert len(lines) == 1
    return lines[0]


def alone(make_findings: MakeFindings, arm: dict[str, object], expects: str = "not_better") -> Findings:
    """Judge one primary arm."""
    return make_findings({"rate_30": arm}, {"expects": {"rate_30": expects}})


def test_words_exist_for_every_verdict_expectation_and_nothing_else() -> None:
    assert set(CAME_OUT) == set(READING) == set(Kind)
    assert set(EXPECTED) == set(DECIDED_BY) == set(Expectation)


@pytest.mark.parametrize(("kind", "arm"), REACHED)
def test_a_verdict_is_named_explained_and_in_the_headline(
    kind: Kind, arm: dict[str, object], make_findings: MakeFindings
) -> None:
    findings = alone(make_findings, arm)
    judged = findings.arms["rate_30"]
    assert judged.verdict.kind is kind
    cells = row(contrasts(findings), "rate_30")
    assert cells[6] == f"**{judged.verdict.words}**"
    assert cells[8] == findings.finding.value
    assert f"- **{kind.value}**: {READING[kind]}" in reading(findings)
    said = headline(findings)
    if kind in (Kind.UNSTABLE, Kind.INVALID):
        assert f"could not be judged: {'; '.join(judged.verdict.failed)}" in said.replace(f"{RATE_30}: ", "")
    else:
        assert findings.finding.value in said
        assert CAME_OUT[kind].format(arms=RATE_30, baseline=RATE_15) in said
    assert said.count(".") == 1 + findings.study.claim.rstrip(".").count(".")  # one sentence


def test_sentences_have_the_labels_of_arms_and_tables_their_ids(make_findings: MakeFindings) -> None:
    labels = {"rate_05": "few words hidden", "rate_15": "the usual share, as in BERT", "rate_30": "many words hidden"}
    arms = {"rate_05": {"effect": 0.25}, "rate_30": {"effect": 0.25}}
    findings = make_findings(arms, {"labels": labels})
    worse = "results are materially worse with few words hidden or many words hidden than with “the usual share, as in "
    assert f"{worse}BERT”." in headline(findings)
    told = "Arms in words. *rate_15*: the usual share, as in BERT; *rate_05*: few words hidden; *rate_30*: many words"
    assert told in claim(findings)
    assert row(contrasts(findings), "rate_30")[0] == "rate_30"


def test_an_arm_without_a_label_keeps_its_id_in_sentences(make_findings: MakeFindings) -> None:
    findings = make_findings(node={"id": "no_file_has_this_name"})
    assert "with rate_30 are equivalent to those with rate_15" in headline(findings)
    assert "Arms in words." not in claim(findings)


def test_only_verdicts_that_occur_are_explained(make_findings: MakeFindings) -> None:
    text = reading(alone(make_findings, {"effect": 0.25}))
    assert re.findall(r"\*\*(.*?)\*\*", text) == ["WORSE (material)", "EQUIVALENT"]


def test_detectable_is_explained_where_it_occurs(make_findings: MakeFindings) -> None:
    found = alone(make_findings, {"effect": 0.04})
    assert found.arms["rate_30"].verdict.words == "EQUIVALENT, detectable"
    assert "*detectable*" in reading(found)
    assert "*detectable*" not in reading(alone(make_findings, {"effect": 0.0}))


@pytest.mark.parametrize(
    ("keywords", "reason"),
    [
        ({"gain": 0.1}, "the baseline's context gain is 0.100 nats and must exceed 0.3"),
        ({"arms": {"harmful": {"effect": 0.0}}}, "the harmful control is EQUIVALENT and must be WORSE"),
        ({"arms": {"same": {"effect": 0.3}}}, "the baseline against itself is WORSE (material) and must not be"),
    ],
)
def test_a_study_that_could_see_nothing_is_vacuous_and_says_why(
    keywords: dict[str, object], reason: str, make_findings: MakeFindings
) -> None:
    findings = make_findings(**keywords)
    assert {judged.verdict.kind for judged in findings.primary.values()} == {Kind.VACUOUS}
    assert headline(findings).endswith(f"could not be judged: {reason}.")
    assert f"**The study is not sound**, so no contrast is judged: {reason}" in soundness(findings)
    assert "not judged, see Soundness" in looks(findings)


def test_too_few_pairs_are_untestable_and_nothing_is_made_of_them(make_findings: MakeFindings) -> None:
    arms = {"rate_30": {"seeds": 3, "diverged": (0,)}, "rate_15": {"seeds": 3, "diverged": (1,)}}
    controls = {"same": {"seeds": 3}, "harmful": {"effect": 0.5, "seeds": 3}}
    findings = make_findings({**arms, **controls})
    assert findings.controls["same"].verdict.kind is Kind.UNTESTABLE
    assert "could not be judged: the harmful control is UNTESTABLE" in headline(findings)


@pytest.mark.parametrize("kind", [Kind.INCONCLUSIVE, Kind.NON_INFERIOR, Kind.BETTER_UNRESOLVED, Kind.UNSTABLE])
def test_nothing_undecided_is_said_to_be_nothing(kind: Kind, make_findings: MakeFindings) -> None:
    findings = alone(make_findings, dict(REACHED)[kind])
    assert findings.finding is Finding.UNDECIDED
    text = page(findings).lower()
    assert not re.search(r"no effect|not significant|insignificant|no difference|makes no", text)


def test_a_claim_of_the_sign_about_a_difference_that_does_not_matter_is_immaterial_either_way(
    make_findings: MakeFindings,
) -> None:
    findings = alone(make_findings, {"effect": 0.0}, "worse")
    assert findings.finding is Finding.UNDECIDED
    assert f"equivalent to those with {RATE_15} within the margin{EITHER_WAY}" in headline(findings)
    assert EITHER_WAY not in headline(alone(make_findings, {"effect": 0.0}, "equivalent"))


def test_a_refutation_that_fails_after_correction_counts_only_alone(
    make_findings: MakeFindings,
) -> None:
    better = {"rate_30": {"effect": -0.15, "sd": 0.047}, "rate_60": {"effect": 0.0, "seeds": 5}}
    expects = dict.fromkeys(("rate_05", "rate_30", "rate_60"), "not_better")
    findings = make_findings(better, {"expects": expects})
    judged = findings.arms["rate_30"]
    assert judged.verdict.kind is Kind.BETTER_MATERIAL
    assert judged.finding is Finding.UNDECIDED
    assert f"materially better with {RATE_30} than with {RATE_15}{BY_ITSELF.format(arms=3)}" in headline(findings)
    assert alone(make_findings, better["rate_30"]).finding is Finding.REFUTED


def test_an_undecided_claim_says_how_many_seeds_it_needs(make_findings: MakeFindings) -> None:
    findings = alone(make_findings, {"effect": 0.03, "sd": 0.3})
    needed = findings.arms["rate_30"].verdict.needed
    assert findings.finding is Finding.UNDECIDED
    assert f"would need {needed} seeds for {RATE_30}" in limits(findings)
    hopeless = alone(make_findings, {"effect": -0.0893, "sd": 0.1})
    assert f"would need more than 100 seeds for {RATE_30}" in limits(hopeless)


@pytest.mark.parametrize(("kind", "arm"), [case for case in REACHED if case[0] in TURNED])
@pytest.mark.parametrize("expects", ["worse", "not_better"])
def test_mirrored_data_give_mirrored_words(
    kind: Kind, arm: dict[str, object], expects: str, make_findings: MakeFindings, mirror: Mirror
) -> None:
    findings = alone(make_findings, arm, expects)
    other = mirror(findings)
    assert other.arms["rate_30"].verdict.kind is TURNED[kind]
    swap = {"worse": "better", "better": "worse"}
    turned = re.sub("worse|better", lambda match: swap[match[0]], headline(findings).partition("budget: ")[2])
    assert headline(other).partition("budget: ")[2] == turned
    pairs = [row(differences(each), "rate_30") for each in (findings, other)]
    assert [cell.translate(str.maketrans("+−", "−+")) for cell in pairs[0]] == pairs[1]
    if kind in (Kind.WORSE_MATERIAL, Kind.BETTER_MATERIAL):
        assert {findings.finding, other.finding} == {Finding.SUPPORTED, Finding.REFUTED}
        assert other.finding.value in headline(other)
        assert contrasts(other).count(other.finding.value) == 1


def test_where_higher_is_better_a_positive_difference_is_better(make_findings: MakeFindings) -> None:
    node = {"outcome": "eval/mlm_accuracy", "margin": {"share": 0.02}, "expects": {"rate_30": "better"}}
    arms = {"rate_30": {"effect": 0.1}, "same": {"effect": 0.0, "sd": 0.005}, "harmful": {"effect": -0.2}}
    findings = make_findings(arms, node, frozen=FrozenMargin(0.02, 0.05))
    cells = row(contrasts(findings), "rate_30")
    assert (cells[3], cells[4][0], *cells[6:8]) == ("+10.0", "+", "**BETTER (material)**", "over +300 %")
    assert "above zero the arm is better, below zero worse" in contrasts(findings)
    assert "2.0 percentage points" in claim(findings)


def test_exploratory_arms_have_an_interval_and_no_verdict(make_findings: MakeFindings) -> None:
    findings = make_findings()
    cells = row(contrasts(findings), "rate_60")
    assert cells[5:7] + cells[8:] == ["90 %", "exploratory", "–"]
    assert [line.split(" | ")[0] for line in verdict_table(findings).splitlines()[2:]] == [
        "| rate_05",
        "| rate_30",
        "| rate_60",
    ]


def test_the_claim_is_shown_with_what_would_support_and_refute_it(make_findings: MakeFindings) -> None:
    text = claim(make_findings())
    assert "“No other rate is materially better than 15 %.”" in text
    assert (
        "| rate_05 and rate_30 | not better than the baseline by more than the margin | "
        "short of the margin on the better side | beyond the margin on the better side |"
    ) in text
    assert "what 25 % more training tokens are worth" in text
    assert "0.089 nats" in text


def test_the_end_of_an_interval_is_written_on_its_own_side_of_zero(make_findings: MakeFindings) -> None:
    findings = make_findings({"rate_30": {"effect": 0.012}})
    interval = findings.arms["rate_30"].interval
    assert 0 < interval.low < 0.0005
    assert row(contrasts(findings), "rate_30")[4] == f"+{interval.low:.4f} to +{interval.high:.3f}"


def test_a_diverged_run_is_counted_everywhere_it_matters(make_findings: MakeFindings) -> None:
    findings = make_findings({"rate_30": {"diverged": (2,)}})
    assert row(contrasts(findings), "rate_30")[2] == "4 (1 diverged)"
    assert row(differences(findings), "rate_30")[3] == "diverged"
    assert f"Diverged runs: {RATE_30} (1 of 5); none in any other arm." in divergence(findings)
    assert row(functionals(findings), "rate_30")[6] == "4 of 5"
    assert "None of the 31 runs diverged." in divergence(make_findings())


def test_a_missing_result_is_named_even_of_an_exploratory_arm(make_findings: MakeFindings) -> None:
    findings = make_findings({"rate_60": {"seeds": 5, "missing": (2,)}})
    assert "- rate_60 has no result for seed 2" in contrasts(findings)


def test_published_numbers_say_how_they_are_known(make_findings: MakeFindings) -> None:
    lines = published(make_findings()).splitlines()
    assert [line.split(" | ")[3] for line in lines if line.startswith("| ")][2:] == ["read in the source", "unverified"]


def test_published_numbers_say_at_what_size_and_whether_they_agree(make_findings: MakeFindings) -> None:
    source = {"source": "Somebody 2020", "says": "40 % is best", "status": "read", "size": "BERT-base", "agrees": "no"}
    text = published(make_findings(node={"published": [source]}))
    assert row(text, "Somebody 2020") == [
        "Somebody 2020",
        "40 % is best",
        "BERT-base",
        "read in the source",
        "no",
    ]
    assert row(published(make_findings()), "A talk")[2:] == ["not stated", "unverified", "–"]


def test_results_of_others_that_were_completed_afterwards_stand_in_place_of_the_registered_ones(
    make_findings: MakeFindings,
) -> None:
    record = make_findings().record
    source = {"source": "A talk", "says": "40 % is best", "status": "read", "agrees": "in direction; far larger there"}
    text = published(judge(replace(record, published=[source])))
    assert row(text, "A talk")[4] == "in direction; far larger there"
    assert "Wettig" not in text


def test_a_trend_that_has_no_extreme_states_no_best_value(make_findings: MakeFindings) -> None:
    shown = trend_of(make_findings())
    assert "The minimum of the mean parabola lies at 0.1" in shown
    assert "the mean is lowest at 0.15." in shown
    straight = {"rate_05": {"effect": -0.1}, "rate_30": {"effect": 0.063}, "rate_60": {"effect": 0.126}}
    assert "do not show that the outcome has a minimum" in trend_of(make_findings(straight))
    linear = make_findings(node={"trend": {"factor": "mask.rate", "scale": "linear"}})
    assert "One parabola over the factor per seed" in trend_of(linear)
    assert trend_of(make_findings(node={"trend": None})) == ""


def test_the_lowest_loss_of_each_evaluation_rate_is_bold(make_findings: MakeFindings) -> None:
    text = rates(make_findings({"rate_05": {"effect": -0.3}}))
    assert re.findall(r"\| (\w+) \| \*\*[\d.]+\*\* \| \*\*[\d.]+\*\* \| \*\*[\d.]+\*\*", text) == ["rate_05"]


def test_layers_are_compared_up_to_the_depth_of_each_arm(make_findings: MakeFindings) -> None:
    """Two layers, and one in rate_05; rate_60 was not probed."""
    record = make_findings(node={"secondary": ["eval/token_share", "eval/mlm_accuracy"]}).record
    runs, probed = record.runs.copy(), record.runs["arm"] != "rate_60"
    shallow = runs["arm"] == "rate_05"
    runs.loc[probed, ["eval/token_share.layer_0", "eval/token_share.layer_1", "eval/token_share"]] = 1.0, 0.8, 0.6
    runs.loc[shallow, ["eval/token_share.layer_1", "eval/token_share"]] = np.nan, 0.7
    text = layers(judge(replace(record, runs=runs)))
    assert "| eval/token_share (%) | layer 0 | layer 1 | layer 2 |" in text
    assert row(text, "rate_15") == ["rate_15", "100.0", "80.0", "60.0"]
    assert row(text, "rate_05") == ["rate_05", "100.0", "70.0"]
    assert row(text, "rate_60") == ["rate_60"]
    assert "mlm_accuracy" not in text
    assert layers(make_findings()) == ""


def test_a_baseline_that_is_too_noisy_to_equal_itself_is_reported(make_findings: MakeFindings) -> None:
    assert "**The study is sound**" in soundness(make_findings())
    worse = {name: {"effect": 0.5} for name in ("rate_05", "rate_30", "rate_60")}
    text = soundness(make_findings({"same": {"sd": 0.2}, **worse}))
    assert "**The ruler is coarser than the margin**" in text
    assert "drawn anew (INCONCLUSIVE, 0.000 nats)" in text
    assert "Nothing is taken back by that." in text
    assert "no *not better*, except of an arm that is worse" in text, "which the claims of this study are supported by"
    found = make_findings({"same": {"sd": 0.2}, **worse, "rate_30": {"effect": 0.0}})
    assert f"That takes back what {RATE_30} would have shown." in soundness(found)
    assert f"equivalent to those with {RATE_15} within the margin{HELD}" in headline(found)
    assert row(looks(found), "rate_30")[4] == "taken back, see Soundness"


def test_a_study_of_more_arms_at_a_rung_names_the_ladder_that_has_the_same_runs(make_findings: MakeFindings) -> None:
    record = make_findings().record
    arms = {**record.node["arms"], "rate_40": ["mask.rate=0.4"]}
    (said,) = twice(judge(replace(record, node={**record.node, "id": "mask_rate_books", "arms": arms})))
    assert f"The rung *study* of [mask_rate_ladder](mask_rate_ladder/study.md) compares {RATE_40} with the same" in said
    assert twice(judge(replace(record, node={**record.node, "id": "mask_rate_books"}))) == []
    assert twice(judge(record)) == []


def test_arms_with_different_training_lengths_are_not_called_equal(make_findings: MakeFindings) -> None:
    findings = make_findings()
    assert "**Equal in one budget.**" in limits(findings)
    longer = replace(findings, study=replace(findings.study, factors=("budget.tokens",)))
    assert "**Unequal in budget.** How long arms were trained is what this study varies." in limits(longer)
    assert "Equal in one" not in limits(longer)


def test_a_look_has_its_level_and_an_arm_says_where_it_stopped(make_findings: MakeFindings) -> None:
    text = looks(make_findings({"rate_05": {"effect": 0.25, "seeds": 3}}))
    assert "after 3 and 5 seeds" in text
    assert row(text, "rate_05") == ["rate_05", "3 of 5", "94.09 %", "2.96 %", "decided at 3 paired seeds"]


def test_an_early_look_with_a_failed_control_is_reported() -> None:
    assert "not sound" not in looks(judge(make_record()))
    record = make_record({"same": {"sd": 0.002}})
    runs = record.runs.copy()
    runs.loc[(runs["arm"] == "same") & (runs["seed"] < 3), "eval/mlm_loss"] += 0.3
    runs.loc[(runs["arm"] == "same") & (runs["seed"] >= 3), "eval/mlm_loss"] -= 0.45
    findings = judge(replace(record, runs=runs))
    assert not findings.soundness
    assert "After 3 seeds the study was not sound, so nothing was judged there: " in looks(findings)


@pytest.mark.parametrize(
    "arms",
    [
        {"rate_30": {"seeds": 0}},
        {"rate_30": {"diverged": (0, 1, 2, 3, 4)}},
        {"rate_15": {"diverged": (0, 1, 2, 3, 4)}},
        {"same": {"seeds": 0}, "harmful": {"seeds": 0}},
        {"rate_05": {"sd": 0.0}, "rate_30": {"sd": 0.0}, "rate_60": {"sd": 0.0}},
    ],
)
def test_a_broken_study_has_a_page(arms: dict[str, dict[str, object]], make_findings: MakeFindings) -> None:
    text = page(make_findings(arms)).replace("context gain is nan", "")
    assert not re.search(r"\b(nan|inf)\b", text)


@pytest.mark.parametrize(
    ("outcome", "texts", "items"),
    [("loss", 0, 256), ("final_loss", 2048, 2048), ("final_pair_accuracy", 2048, 4096), ("final_loss", 0, 0)],
)
def test_the_text_that_would_do_is_reckoned_from_what_the_outcome_was_scored_on(
    outcome: str, texts: int, items: int, make_findings: MakeFindings
) -> None:
    record, rng = make_findings().record, np.random.default_rng(5)
    runs, metric = record.runs.copy(), f"eval/{'mlm_' * (outcome == 'loss')}{outcome}"
    runs[metric] = runs["eval/mlm_loss"]
    for part in range(4):
        runs[f"{metric}.chunk_{part}"] = runs[metric] + 0.5 * rng.standard_normal(len(runs))
    assert record.regime.scoring is not None
    regime = replace(record.regime, scoring=replace(record.regime.scoring, texts=texts, pairs=2 * texts))
    findings = judge(canonical(replace(record, runs=runs, regime=regime, node={**record.node, "outcome": metric})))
    share = max(judged.contrast.text_share for judged in findings.arms.values())
    told = pairing(findings)
    if not items:
        assert "would do" not in told, "the number of final texts is not recorded"
    else:
        assert f"{text_needed(share, items):,} sequences would do, in place of {items:,}." in told


@pytest.mark.parametrize(
    ("text", "said"), [(0.001, "More seeds help, not more text."), (0.5, "sequences would do"), (None, "not measured")]
)
def test_the_noise_of_the_text_is_separated_from_that_of_the_seeds(
    text: float | None, said: str, make_findings: MakeFindings
) -> None:
    record, rng = make_findings().record, np.random.default_rng(5)
    runs = record.runs.copy()
    for part in range(4) if text else ():
        runs[f"eval/mlm_loss.chunk_{part}"] = runs["eval/mlm_loss"] + text * rng.standard_normal(len(runs))
    findings = judge(canonical(replace(record, runs=runs)))
    assert said in pairing(findings)
    assert ("they say nothing of text of another kind" in limits(findings)) == bool(text)


@pytest.mark.parametrize(
    ("arm", "said"),
    [
        ({"effect": 0.01}, f"EQUIVALENT stands even then for {RATE_30}"),
        ({"effect": 0.07}, f"EQUIVALENT rests on symmetric differences for {RATE_30}"),
        ({"effect": 0.0, "sd": 0.06}, f"EQUIVALENT rests on symmetric differences for {RATE_30}"),
    ],
)
def test_an_equivalence_near_the_margin_depends_on_symmetry(
    arm: dict[str, object], said: str, make_findings: MakeFindings
) -> None:
    findings = alone(make_findings, arm)
    assert findings.arms["rate_30"].verdict.kind is Kind.EQUIVALENT
    assert f"hold only roughly; {said}, " in limits(findings)


def test_nothing_is_said_of_symmetry_where_no_arm_is_equivalent(make_findings: MakeFindings) -> None:
    assert "hold only roughly.\n" in limits(alone(make_findings, {"effect": 0.25}))


def test_unequal_budgets_are_reported(make_findings: MakeFindings) -> None:
    record = alone(make_findings, {"effect": 0.01}).record
    predicted = record.runs["arm"].map({"rate_15": 150_000.0}).fillna(300_000.0)
    budgets = {"perf/tokens": 1e6, "perf/predicted_tokens": predicted, "perf/flops": 2e12}
    text = limits(judge(replace(record, runs=record.runs.assign(**budgets))))
    assert "equal training tokens, 1,000,000 in every finished run. In other budgets they differ: " in text
    assert "differ: 150 k to 300 k predicted tokens (medians of arms)" in text
    text = limits(judge(replace(record, runs=record.runs.assign(**{**budgets, "perf/predicted_tokens": 1.0}))))
    assert "They are equal in predicted tokens and FLOPs too." in text


@pytest.mark.parametrize(
    ("overrides", "share"),
    [
        (["objective=joint"], 1),
        (["objective.pair_weight=0"], 1),
        (["objective.mlm_weight=0"], 0),
        (["objective=alternating"], 0.5),
        (["objective=sequential", "objective.order=[pair,mlm]"], 0.5),
        (["objective=sequential", "objective.order=[mlm,pair]", "objective.share=0.25"], 0.25),
        (["objective=sequential", "objective.order=[pair,mlm]", "objective.share=0.25"], 0.75),
    ],
)
def test_the_share_of_its_predictions_that_an_arm_learns_from_follows_from_its_objective(
    overrides: list[str], share: float
) -> None:
    assert learned_share(overrides) == share


def test_arms_that_learn_from_fewer_of_the_predicted_tokens_are_not_called_equal_in_them(
    make_findings: MakeFindings,
) -> None:
    record = alone(make_findings, {"effect": 0.01}).record
    runs = record.runs.assign(**{"perf/tokens": 1e6, "perf/predicted_tokens": 1.5e5, "perf/flops": 2e12})
    arms = {**record.node["arms"], "rate_30": ["objective.mlm_weight=0"], "rate_60": ["objective=alternating"]}
    node = {**record.node, "arms": arms, "factors": ["objective", "mask.rate"], "trend": None}
    text = limits(judge(replace(record, node=node, runs=runs)))
    assert "They are equal in FLOPs and the predicted tokens of the batches too; what is learned from: " in text
    assert f"none of them with {RATE_30}" in text
    assert "half of them with a mask rate of 60 %" in text


def test_runs_of_several_environments_are_reported(make_findings: MakeFindings) -> None:
    record = alone(make_findings, {"effect": 0.25}).record
    places = ["there"] + ["here"] * (len(record.runs) - 1)
    text = limits(judge(replace(record, runs=record.runs.assign(environment=places))))
    assert (
        f"**Several environments.** The runs were computed in 2: here ({len(places) - 1} runs); there (1 run)." in text
    )
    for same in (record.runs, record.runs.assign(environment="here")):
        assert "Several environments" not in limits(judge(replace(record, runs=same)))


def test_runs_that_ended_on_the_plateau_are_counted(make_findings: MakeFindings) -> None:
    record = make_findings().record
    late = record.runs["arm"].eq("rate_05") & record.runs["seed"].isin([1, 3])
    runs = record.runs.assign(**{"eval/context_gain": record.runs["eval/context_gain"].mask(late, 0.3)})
    said = "gained no more than 0.30 nats from context when training ended: a mask rate of 5 % (2 of 5). Until"
    assert said in limits(judge(replace(record, runs=runs)))
    assert "on the plateau" not in limits(judge(record))


def test_runs_that_word_frequencies_would_beat_are_not_called_late(make_findings: MakeFindings) -> None:
    record = make_findings().record
    misled = record.runs["arm"].eq("rate_05") & record.runs["seed"].isin([1, 3])
    runs = record.runs.assign(**{"eval/context_gain": record.runs["eval/context_gain"].mask(misled, -0.31)})
    text = limits(judge(replace(record, runs=runs)))
    assert (
        "more than 0.30 nats above the loss of word frequencies: a mask rate of 5 % (2 of 5). They have hardly" in text
    )
    assert "on the plateau" not in text
    assert "Worse than no context" not in limits(judge(record))


def test_arms_that_make_nothing_of_order_are_named_where_the_baseline_does(make_findings: MakeFindings) -> None:
    record = make_findings().record
    assert "Blind to order" not in limits(judge(record))  # not measured
    blind, once = record.runs["arm"].eq("rate_30"), record.runs["arm"].eq("rate_05") & record.runs["seed"].gt(0)
    cost = pd.Series(2.0, record.runs.index).mask(blind | once, -0.01)
    text = limits(judge(replace(record, runs=record.runs.assign(**{"eval/shuffling_cost": cost}))))
    assert f"costs every run with {RATE_30} less than 1 % of what it costs with {RATE_15} (2.00 nats)" in text
    nobody = record.runs.assign(**{"eval/shuffling_cost": 0.01 * cost})
    assert "Blind to order" not in limits(judge(replace(record, runs=nobody)))


def test_where_the_best_loss_is_known_effects_are_shares_of_what_can_be_learnt(make_findings: MakeFindings) -> None:
    record = alone(make_findings, {"effect": 0.11}).record
    findings = judge(replace(record, runs=record.runs.assign(**{"eval/bayes_loss": 4.0})))  # 2.2 below the unigram loss
    text = learnt(findings)
    assert "is known, 4.000 nats, 2.200 below that of word frequencies" in text
    judged = findings.arms["rate_30"]
    low, high = (f"−{100 * end / 2.2:.1f}" for end in (judged.interval.high, judged.interval.low))
    assert row(text, "rate_30")[2:] == ["−5.0", f"{low} to {high}"]
    reached = float(row(text, "rate_15")[1])
    assert float(row(text, "rate_30")[1]) == pytest.approx(reached - 5, abs=0.11)
    assert learnt(alone(make_findings, {"effect": 0.11})) == ""


@pytest.mark.parametrize("shows", [contrasts, secondary, functionals, learnt])
def test_a_difference_says_what_it_is_to_where_that_is_not_the_baseline(
    make_findings: MakeFindings, shows: Callable[[Findings], str]
) -> None:
    record = make_findings(node={"against": {"rate_30": "rate_05"}}).record
    text = shows(judge(replace(record, runs=record.runs.assign(**{"eval/bayes_loss": 4.0}))))
    assert re.search(r"rate_30.*\(against rate_05\)", text)
    assert len(re.findall("against rate_", text)) == 1


def test_figures_of_differences_say_what_they_are_to(make_findings: MakeFindings) -> None:
    named = {
        drawing.name
        for drawing in drawings(make_findings(node={"against": {"rate_30": "rate_05"}}))
        for text in drawing.draw().findobj(Text)
        if "(against " in text.get_text()
    }
    assert named == {"forest", "difference"}


def searched(make_findings: MakeFindings, diverged: tuple[int, ...] = ()) -> Findings:
    """Return the findings of a study with three learning rates on two seeds; rate_05 is best at another one."""
    tried = {"setting": "optimizer.lr", "values": [0.001, 0.002, 0.004], "seeds": 2}
    record = make_findings({"rate_05_tuned": {"effect": 0.1}}).record
    trials = [
        {**row, "arm": f"{arm}@{value:g}", "run_id": f"{arm}@{value:g}.{row['seed']}", "eval/mlm_loss": loss}
        | {"diverged": value == 0.004 and arm == "rate_60" and row["seed"] in diverged}
        for arm in record.study.arms
        for value, loss in zip(
            (0.001, 0.002, 0.004), (4.2, 4.3, 4.5) if arm == "rate_05" else (4.2, 4.1, 4.5), strict=True
        )
        for row in record.arm("exploration").reset_index().to_dict("records")[:2]
    ]
    tuned = record.runs[record.runs["arm"] == "rate_05"].assign(arm="rate_05_tuned")
    tuned["run_id"] += ".tuned"
    runs = pd.concat([record.runs, tuned, pd.DataFrame(trials)])
    return judge(canonical(replace(record, node={**record.node, "search": tried}, runs=runs)))


def test_a_search_shows_what_every_arm_reached_and_where_each_was_best(make_findings: MakeFindings) -> None:
    findings = searched(make_findings, diverged=(1001,))
    text = search(findings)
    assert text.startswith("## The search for the learning rate (eval/mlm_loss, nats)\n")
    assert "| rate_15 | 4.200 | **4.100** | 4.500 |" in text
    assert "| rate_05 | **4.200** | 4.300 | 4.500 |" in text
    assert "| rate_60 | 4.200 | **4.100** | diverged |" in text
    assert "on 2 seeds that no contrast uses" in text
    assert text.endswith(
        "At an end of what was tried lies the best value of a mask rate of 5 % (0.001): one beyond it may be better."
    )
    assert "| rate_05_tuned | mask.rate=0.05 optimizer.lr=0.001 |" in page(findings)
    assert "**3 learning rates.** Each arm had the best of the same few" in limits(findings)
    assert "rate_60@0.004 (1 of 2)" in page(findings)


def test_the_search_is_drawn_with_a_gap_where_a_trial_diverged(make_findings: MakeFindings) -> None:
    (drawing,) = [each for each in drawings(searched(make_findings, diverged=(1001,))) if each.name == "search"]
    assert "is where its thick line is lowest" in drawing.caption
    (axes,) = drawing.draw().axes
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0.001", "0.002", "0.004"]
    thick = [list(line.get_xdata()) for line in axes.lines if line.get_linewidth() == 1.8]
    assert sorted(map(len, thick)) == [2, 3, 3, 3]
    assert "search" not in [each.name for each in drawings(make_findings())]


def test_a_study_without_a_search_says_nothing_of_one(make_findings: MakeFindings) -> None:
    assert search(make_findings()) == ""
    assert "search" not in page(make_findings())


@pytest.mark.parametrize(("factor", "said"), [("model", True), ("optimizer.lr", False), ("optimizer", False)])
def test_arms_with_a_single_learning_rate_are_reported(factor: str, said: bool, make_findings: MakeFindings) -> None:
    record = alone(make_findings, {"effect": 0.01}).record
    findings = judge(replace(record, node={**record.node, "factors": ["mask.rate", factor]}))
    assert ("**One learning rate.**" in limits(findings)) == said


def test_a_study_that_is_judged_again_says_by_which_rule_and_what_it_was_before(make_findings: MakeFindings) -> None:
    record = alone(make_findings, {"effect": 0.0}, "worse").record
    rule = {
        "rule": 2,
        "claim": "A larger rate is worse.",
        "prior": {"variance": 0.0004, "df": 3.0, "contrasts": 40},
        "earlier": {"finding": "REFUTED", "verdict": "EQUIVALENT", "corrected": "UNDECIDED"},
        "why": "the claim is about the sign.",
        "before": ["**This study was registered twice.**"],
    }
    again = judge(replace(record, rule=rule))
    top = opening(again)
    assert top.splitlines()[2] == "**This study was registered twice.**"
    assert "By the rule of its registration the claim was REFUTED (UNDECIDED once corrected over its family)" in top
    assert "now UNDECIDED: the claim is about the sign. [What changed" in top
    assert "“A larger rate is worse”" in headline(again)
    said = claim(again)
    assert f"Registered before the runs: “{record.registered.claim}” What its registration tests" in said
    assert "sd 0.020 nats with 3.0 degrees of freedom, fitted over 40 contrasts" in pairing(again)
    assert again.arms["rate_30"].contrast.df == 7
    assert "Judged again" not in opening(judge(record))


def test_the_page_says_at_which_margin_and_without_which_seed_the_status_would_change(
    make_findings: MakeFindings,
) -> None:
    findings = alone(make_findings, {"effect": 0.03, "sd": 0.03}, "not_worse")
    text = firmness(findings)
    assert "**Tipping margin.** It is 0.089 nats, and the status SUPPORTED; it would be UNDECIDED at 0.0" in text
    assert "**Without one seed.** The status" in text
    assert "By more than the margin" not in text
    assert "of it, as a control fails: the harmful control is EQUIVALENT and must be WORSE)" in text
    three = alone(make_findings, {"effect": 0.0}, "not_worse").record
    runs = three.runs[three.runs["seed"].isin([0, 1, 2])]
    three = replace(three, node={**three.node, "seeds": 3, "looks": [3]}, runs=runs)
    assert "**Without one seed.** Three seeds: two are never judged." in firmness(judge(three))
    sign = firmness(alone(make_findings, {"effect": 0.03}, "worse"))
    assert "The claim is about the sign. Tested beyond the margin instead, it would be REFUTED." in sign
    assert firmness(make_findings(gain=0.1)) == ""


def test_how_often_the_training_text_is_read_stands_in_the_regime(make_findings: MakeFindings) -> None:
    corpus = PreparedText("books", TextSize(30, 2_000, 800_000), TextSize(3, 150, 60_000))
    assert ", 3.0 epochs of the training text. Optimiser" in limits(make_findings(regime=Regime(corpus=corpus)))
    assert "epochs" not in limits(make_findings(regime=Regime()))


def test_arms_that_were_best_at_the_end_of_a_grid_are_named_among_the_limits(make_findings: MakeFindings) -> None:
    assert "At an end of what was tried lies the best value of a mask rate of 5 % (0.001)" in limits(
        searched(make_findings)
    )


def test_the_parts_of_a_difference_of_losses_are_on_the_page(make_findings: MakeFindings) -> None:
    """The arm's curves are 0.25 nats above the baseline's and pass the floor later: the slope is that of all arms."""
    record = make_findings({"rate_30": {"effect": 0.25, "sd": 0.06}, "rate_05": {"effect": 0.1, "sd": 0.06}}).record
    gain = record.curves.assign(metric="eval/context_gain", value=5.0 - record.curves["value"])
    found = judge(canonical(replace(record, curves=pd.concat([record.curves, gain]))))
    text = onset(found)
    cells = row(text, "rate_30")
    assert float(cells[1].split()[0]) > float(row(text, "rate_15")[1].split()[0])
    assert cells[2] == "0 of 5"
    assert cells[7] == row(contrasts(found), "rate_30")[-1]
    assert "A start that is later by 10 % of the tokens changes the loss by +" in text
    assert "(90 % interval +" in text
    assert "onset" in [drawing.name for drawing in drawings(found)]
    assert onset(make_findings()) == ""


def with_gains(make_findings: MakeFindings, values: dict[str, float], runs: int, **made: Any) -> Findings:
    """Give runs of arms a constant context gain; all others pass the floor along their curves."""
    record = make_findings(**made).record
    gain = record.curves.assign(metric="eval/context_gain", value=5.0 - record.curves["value"])
    for arm, value in values.items():
        own = gain["run_id"].isin([f"{arm}.{seed}" for seed in range(runs)])
        gain.loc[own, "value"] = value
    return judge(canonical(replace(record, curves=pd.concat([record.curves, gain]))))


def test_arms_that_never_began_to_use_context_are_named_first_and_have_their_difference(
    make_findings: MakeFindings,
) -> None:
    worse = {"expects": {"rate_05": "worse"}}
    found = with_gains(make_findings, {"rate_05": 0.1}, 5, node=worse)
    cells = row(onset(found), "rate_05")
    assert (cells[1], cells[2], cells[-1]) == ("–", "5 of 5", "never started (5 of 5 runs)")
    assert cells[3].startswith("+0.25")
    assert row(contrasts(found), "rate_05")[-1] == "never started (5 of 5 runs)"
    said = "With a mask rate of 5 % no run began to use context before training ended: there the difference is about "
    assert said in opening(found)
    some = opening(with_gains(make_findings, {"rate_05": 0.1}, 2, node=worse))
    assert "2 of 5 runs with a mask rate of 5 % did not begin to use context before training ended." in some
    assert "use context" not in opening(with_gains(make_findings, {"rate_05": -3.0}, 5, node=worse))
    assert "use context" not in opening(with_gains(make_findings, {"rate_60": 0.1}, 5, node=worse))
    assert "use context" not in opening(make_findings())


def test_an_onset_before_the_first_evaluation_is_a_bound(make_findings: MakeFindings) -> None:
    found = with_gains(make_findings, {"rate_05": 1.0}, 5)
    cells = row(onset(found), "rate_05")
    assert cells[1:4] == ["at most 120 k", "5 of 5", "0 of 5"]
    assert cells[-1] == "started before the first evaluation"
    assert "by its first evaluation, at 120 k tokens, started *before the first evaluation*" in onset(found)
    assert "before the first evaluation" not in onset(with_gains(make_findings, {}, 5))


def test_too_few_runs_have_no_slope_on_the_page(make_findings: MakeFindings) -> None:
    few = {"looks": [3], "seeds": 3, "arms": {arm: NODE["arms"][arm] for arm in ("rate_15", "rate_05", "rate_30")}}
    arms = {arm: {"effect": 0.2, "sd": 0.05, "seeds": 3} for arm in ("rate_05", "rate_30")} | {"rate_15": {"seeds": 3}}
    text = onset(with_gains(make_findings, {}, 3, arms=arms, node=few))
    assert "fewer than 5 degrees of freedom" in text
    assert "later by 10 %" not in text
    assert "explains" not in text
    assert "through the onset" not in text.partition("| arm")[2].partition("\n")[0]


def test_runs_of_a_study_that_were_started_again_are_named(make_findings: MakeFindings) -> None:
    record = make_findings().record
    assert "Started again" not in limits(judge(record))
    again = ["1" if run == "rate_30.2" else "" for run in record.runs["run_id"]]
    text = limits(judge(canonical(replace(record, runs=record.runs.assign(restarts=again)))))
    assert f"**Started again.** 1 of {len(again)} runs lost the process that trained it and went on from the " in text
    assert f"or from the start where there was none: {RATE_30} at seed 2." in text


def test_a_mean_onset_is_a_bound_where_a_run_has_one(make_findings: MakeFindings) -> None:
    said = {}
    for gain, runs in ((1.0, 2), (1.0, 5), (0.1, 2)):
        found = with_gains(make_findings, {"rate_05": gain}, runs, node={"secondary": ["eval/onset"]})
        starts = {run: own for arm in found.study.arms for run, own in onset_values(found, arm).items()}
        onsets = found.record.runs["run_id"].map(starts)
        found = judge(canonical(replace(found.record, runs=found.record.runs.assign(**{"eval/onset": onsets}))))
        lines = [line for line in secondary(found).splitlines() if "| rate_05 |" in line]
        said[gain, runs] = [cell.strip() for cell in lines[0].strip("|").split("|")][4:]
    assert said[1.0, 2][0].startswith("at most ")
    assert said[1.0, 2][1] != "–"
    assert said[1.0, 5][1:] == ["–", "–"]
    assert said[0.1, 2][0].startswith("at least ")


def onset_values(found: Findings, arm: str) -> dict[str, float]:
    """Return the onset of each run of an arm, the last tokens of its curve for one that never left."""
    starts = starts_of(found, arm).clip(upper=float(np.log(2_400_000)))
    return {f"{arm}.{seed}": float(start) for seed, start in starts.items()}
