"""A registration contains everything a study needs, and an arm changes only what it declares."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import MISSING, fields
from typing import Any

import pytest
import yaml
from omegaconf import DictConfig, OmegaConf

from bertlab.config.compose import load, resolved
from bertlab.config.error_messages import explain
from bertlab.config.errors import InputError
from bertlab.stats.claim import Expectation
from bertlab.stats.moderated import NO_PRIOR, Prior
from bertlab.study.arms import Compose, changes, compose_arms, from_file, register
from bertlab.study.catalogue import study_files
from bertlab.study.design import Margin, Source, Study, Trend
from bertlab.study.factors import is_within, place
from bertlab.study.labels import elsewhere, elsewhere_words, label
from bertlab.study.outcome import MARGINS, OUTCOMES, margin_units, outcome_of
from bertlab.study.registration import read_study, registration_hash
from bertlab.study.schema import KEYS, example

NODE = {
    "id": "mask_rate",
    "question": "Could the rate be another?",
    "claim": "No other rate is better.",
    "baseline": "rate_15",
    "factors": ["mask.rate"],
    "arms": {"rate_15": ["mask.rate=0.15"], "rate_05": ["mask.rate=0.05"], "rate_30": ["mask.rate=0.3"]},
    "expects": {"rate_05": "not_better"},
    "outcome": "eval/mlm_loss",
    "secondary": ["eval/mlm_loss.rate_0.3"],
    "trend": {"factor": "mask.rate", "scale": "log"},
    "margin": {"tokens": 0.25},
    "family": "masking",
    "seeds": 8,
    "looks": [5, 8],
    "axis": "tokens",
    "floor": 0.3,
    "controls": {"same": ["redraw=order"], "harmful": ["budget.tokens=1_150_000"]},
    "published": [{"source": "Somebody 2022", "says": "40 % is as good", "status": "read"}],
}
REGIME = {"mask": {"rate": 0.15, "split": [0.8, 0.1, 0.1]}, "model": {"heads": 2}, "seed": 0, "budget": {"tokens": 9}}


def read(**changed: Any) -> Study:
    """Read the study with some keys changed; one that is None is left out."""
    node = {key: value for key, value in {**deepcopy(NODE), **changed}.items() if value is not None}
    return read_study({"study": node})


def composer(node: Mapping[str, Any] = NODE, tied: bool = False) -> Compose:
    """Compose as Hydra would, without files; `tied` makes the heads follow the rate."""

    def compose(overrides: Sequence[str]) -> DictConfig:
        config = OmegaConf.create({**deepcopy(REGIME), "study": dict(node), "redraw": None})
        config.merge_with_dotlist(list(overrides))
        if tied:
            config.model.heads = int(config.mask.rate * 20)
        return config

    return compose


def test_a_study_is_read_word_by_word() -> None:
    assert read() == Study(
        id="mask_rate",
        question="Could the rate be another?",
        claim="No other rate is better.",
        baseline="rate_15",
        factors=("mask.rate",),
        arms={"rate_15": ("mask.rate=0.15",), "rate_05": ("mask.rate=0.05",), "rate_30": ("mask.rate=0.3",)},
        expects={"rate_05": Expectation.NOT_BETTER},
        outcome="eval/mlm_loss",
        margin=Margin("tokens", 0.25),
        family="masking",
        seeds=8,
        looks=(5, 8),
        axis="tokens",
        floor=0.3,
        controls={"same": ("redraw=order",), "harmful": ("budget.tokens=1_150_000",)},
        secondary=("eval/mlm_loss.rate_0.3",),
        trend=Trend("mask.rate", "log", {"rate_15": 0.15, "rate_05": 0.05, "rate_30": 0.3}),
        published=(Source("Somebody 2022", "40 % is as good", "read"),),
    )


def test_what_may_be_left_out_is() -> None:
    study = read(secondary=None, trend=None, published=None)
    assert (study.secondary, study.trend, study.search, study.published) == ((), None, None, ())


@pytest.mark.parametrize("key", sorted(NODE.keys() - {"secondary", "trend", "published"}))
def test_what_is_missing_is_named(key: str) -> None:
    with pytest.raises(InputError) as caught:
        read(**{key: None})
    written = f", for example {key}: {example(key)}" if example(key) else " in words"
    assert str(caught.value) == f"study.{key} must be given, got nothing; write it{written}"


def test_the_table_of_keys_is_what_a_study_holds() -> None:
    held = {each.name: each.default is MISSING and each.default_factory is MISSING for each in fields(Study)}
    assert {name: key.needed for name, key in KEYS.items()} == held


NEEDED = {key: yaml.safe_load(example(key) or "Words.") for key, described in KEYS.items() if described.needed}


@pytest.mark.parametrize("key", [key for key in KEYS if key != "rung"])
def test_the_example_of_a_key_can_be_written_in_a_file(key: str) -> None:
    margin = {"margin": {"nats": 0.05}} if key == "trunk" else {}
    study = read_study({"study": {**NEEDED, **margin, key: yaml.safe_load(example(key) or "Words.")}})
    assert getattr(study, key)


NAMED = "must be named in at most 64 small letters, digits and _"
REFUSED: list[tuple[dict[str, Any], str]] = [
    (
        {"colour": "red"},
        "study.colour is not a key of a study; the keys are id, question, claim, arms, baseline, factors, ",
    ),
    ({"outcome": "train/loss"}, "study.outcome must be a measure of the common evaluation, got train/loss; choose "),
    (
        {"secondary": ["eval/luck"]},
        "study.secondary must be a measure of the common evaluation, got eval/luck; choose ",
    ),
    ({"margin": {"share": 0.02}}, "study.margin must be in tokens or nats for eval/mlm_loss, got share; state it so"),
    (
        {"margin": {"tokens": 0.25}, "outcome": "eval/pseudo_loss"},
        "study.margin must be in nats for eval/pseudo_loss, got tokens; state it so",
    ),
    (
        {"margin": {"nats": 0.1}, "outcome": "eval/mlm_accuracy"},
        "study.margin must be in tokens or share for eval/mlm_accuracy, got nats; state it so",
    ),
    ({"margin": {"nats": 0}}, "study.margin.nats must lie in (0, 10), got 0; choose a number inside"),
    (
        {"margin": {"pounds": 1}},
        "study.margin must have one unit of tokens, nats, share, ln_tokens, got {'pounds': 1}; write ",
    ),
    (
        {"margin": 0.1},
        "study.margin must have one unit of tokens, nats, share, ln_tokens, got 0.1; write {tokens: 0.25}",
    ),
    ({"baseline": "rate_20"}, "study.baseline must be one of rate_15, rate_05, rate_30, got rate_20; choose one"),
    (
        {"arms": {"rate_15": ["mask.rate=0.15"], "heads": ["model.heads=4"]}, "expects": {"heads": "worse"}},
        "study.arms.heads must change only mask.rate, got model.heads=4; add its key to study.factors or leave it out",
    ),
    ({"arms": {"rate_15": []}}, "study.arms must name at least two arms, got {'rate_15': []}; write {rate_15: "),
    ({"arms": {"15": [], "30": []}}, f"study.arms {NAMED}, got 15; rename it"),
    ({"arms": {"a" * 65: [], "b": []}}, f"study.arms {NAMED}, got aaaaa"),
    ({"id": "../../elsewhere"}, f"study.id {NAMED}, got ../../elsewhere; rename it"),
    ({"id": "/etc/motd"}, f"study.id {NAMED}, got /etc/motd; rename it"),
    ({"id": "a\0b"}, f"study.id {NAMED}, got a"),
    ({"id": "mask_rate\n"}, f"study.id {NAMED}, got mask_rate"),
    ({"id": "x" * 65}, f"study.id {NAMED}, got xxxxx"),
    ({"id": 7}, f"study.id {NAMED}, got 7; rename it"),
    (
        {"arms": {"rate_15": [], "rate_05": ["mask.rate"]}},
        "study.arms.rate_05 must hold key=value, got mask.rate; write for example mask.rate=0.3",
    ),
    ({"factors": []}, "study.factors must name the keys that arms change, got none; write [mask.rate]"),
    ({"factors": ["seed"]}, "study.factors must leave seed alike in all arms, got it; set it beside `study`"),
    (
        {"factors": ["pairs@evaluation.text"]},
        "study.factors must leave pairs@evaluation.text alike in all arms, got it; set it beside `study`",
    ),
    ({"seeds": 2, "looks": [2]}, "study.seeds must be a whole number of at least 3, got 2; choose for example 3"),
    ({"looks": [2, 8]}, "study.looks must be a whole number of at least 3, got 2; choose for example 3"),
    ({"looks": [5, 5, 8]}, "study.looks must ascend and end with study.seeds 8, got [5, 5, 8]; correct one of them"),
    ({"looks": [5, 7]}, "study.looks must ascend and end with study.seeds 8, got [5, 7]; correct one of them"),
    (
        {"prior": {"df": 3}},
        "study.prior must hold variance, df, contrasts, got {'df': 3}; `bertlab plan` tells",
    ),
    ({"prior": {"df": 3, "variance": 0, "contrasts": 12}}, "study.prior.variance must lie in (0, "),
    ({"prior": {"df": 3, "variance": 1, "contrasts": 4}}, "study.prior.contrasts must be"),
    ({"bank": 3}, "study.bank must be"),
    ({"bank": 24, "against": {"rate_30": "rate_05"}}, "study.bank is for arms that are compared with one baseline"),
    ({"looks": []}, "study.looks must list numbers of seeds, got []; write [5, 8]"),
    ({"expects": {}}, "study.expects must name at least one arm, got {}; write {rate_30: not_better}"),
    ({"expects": {"rate_15": "worse"}}, "study.expects must be one of rate_05, rate_30, got rate_15; choose one"),
    ({"expects": {"rate_05": "bad"}}, "study.expects.rate_05 must be one of worse, better, materially_worse, "),
    (
        {"axis": "weeks"},
        "study.axis must be one of tokens, predicted_tokens, steps, flops, seconds, got weeks; choose ",
    ),
    ({"floor": -1}, "study.floor must lie in [0, 100], got -1; choose a number inside"),
    (
        {"controls": {"same": ["redraw=order"]}},
        "study.controls must hold same and harmful, got {'same': ['redraw=order']}; write {same: [redraw=order], ",
    ),
    (
        {"controls": {"same": [], "harmful": ["budget.tokens=9"]}},
        "study.controls must hold same and harmful, got {'same': [], ",
    ),
    (
        {"controls": {"same": ["redraw=order"], "harmful": ["budget.tokens=9", "output_dir=/elsewhere"]}},
        "study.controls.harmful must not change what all runs share, got output_dir=/elsewhere; remove it",
    ),
    (
        {"controls": {"same": ["hydra.job_logging.handlers.x=1"], "harmful": ["budget.tokens=9"]}},
        "hydra.job_logging.handlers.x is not for the command line; of Hydra's own keys there are ",
    ),
    (
        {"arms": {"rate_15": ["mask=/tmp/evil"], "rate_05": []}, "factors": ["mask"]},
        "mask takes the name of an option, got /tmp/evil; ",
    ),
    ({"baseline": ["rate_15"]}, "study.baseline must be one of rate_15, rate_05, rate_30, got ['rate_15']; choose one"),
    ({"trend": 3}, "study.trend must hold factor and scale, got 3; write "),
    ({"published": 3}, "study.published must list sources, got 3; write each as an entry of its own"),
    ({"trend": {"factor": "seed", "scale": "log"}}, "study.trend.factor must be one of mask.rate or below, got seed; "),
    ({"trend": {"factor": "mask.rate"}}, "study.trend must hold factor and scale, got {'factor': 'mask.rate'}; write "),
    (
        {"arms": {"rate_15": [], "rate_05": ["mask.rate=0.05"], "rate_30": ["mask.rate=0.3"]}},
        "study.trend needs at least 3 arms that set mask.rate alone, above 0 on a log scale, got [0.05, 0.3]; add ",
    ),
    (
        {"arms": {"rate_15": ["mask.rate=0"], "rate_05": ["mask.rate=0.05"], "rate_30": ["mask.rate=0.3"]}},
        "study.trend needs at least 3 arms that set mask.rate alone, above 0 on a log scale, got [0.0, 0.05, 0.3]; ",
    ),
    (
        {"arms": {"rate_15": ["mask.rate=low"], "rate_05": ["mask.rate=0.05"]}},
        "study.trend needs numbers, got mask.rate=low; choose another factor or remove the trend",
    ),
    (
        {"published": [{"source": "me"}]},
        "study.published must hold source, says, status in each entry and may hold size, agrees, got {'source': ",
    ),
    (
        {"published": [{"source": "me", "says": "so", "status": "rumour"}]},
        "study.published.status must be one of read, abstract, notes, unverified, got rumour; choose one",
    ),
    ({"question": 7}, "study.question must be text, got 7; put it in quotes if need be"),
]


@pytest.mark.parametrize(("changed", "line"), REFUSED, ids=[line[:40] for _, line in REFUSED])
def test_a_wrong_setting_is_refused_in_one_line(changed: dict[str, Any], line: str) -> None:
    with pytest.raises(InputError) as caught:
        read(**changed)
    told = explain(caught.value)
    assert told is not None
    assert told.startswith(line)
    assert told.isprintable()


def test_a_configuration_without_a_study_is_refused() -> None:
    with pytest.raises(InputError, match=r"^study must be one of the group's options, got None; "):
        read_study(REGIME)


def test_arms_are_composed_and_differ_in_their_factor_alone() -> None:
    arms = compose_arms(read(), composer())
    assert [arm["mask"]["rate"] for arm in arms.values()] == [0.15, 0.05, 0.3]
    assert changes(arms["rate_30"], arms["rate_15"]) == {"mask.rate"}


def test_an_arm_that_changes_more_than_it_declares_is_refused() -> None:
    with pytest.raises(InputError) as caught:
        compose_arms(read(), composer(tied=True))
    assert str(caught.value) == (
        "study.arms.rate_05 must change only what it declares, got model.heads changed too; "
        "set it for all arms beside `study`, or declare it"
    )


def test_a_group_declares_all_below_it() -> None:
    arms = {"plain": ["model.heads=2"], "other": ["model.heads=4"], "more": ["model.heads=4", "model.skip=false"]}
    study = read(factors=["model"], arms=arms, baseline="plain", expects={"other": "worse"}, trend=None)
    assert changes(compose_arms(study, composer())["more"], REGIME) == {"model.heads", "model.skip", *study_keys()}


def study_keys() -> set[str]:
    return changes(resolved(composer()([])), REGIME)


def test_two_arms_that_are_the_same_are_refused() -> None:
    arms = {"rate_15": ["mask.rate=0.15"], "rate_05": ["mask.rate=0.05"], "again": ["mask.rate=0.050"]}
    with pytest.raises(InputError) as caught:
        compose_arms(read(arms=arms, trend=None), composer())
    assert str(caught.value) == "study.arms must differ, got rate_05 equal to again; change or leave out one of them"


def test_an_arm_that_cannot_be_composed_is_named() -> None:
    study = read(factors=["mask"], arms={"rate_15": [], "rate_05": ["mask.rats=1"]}, trend=None)
    with pytest.raises(InputError, match=r"^study\.arms\.rate_05 cannot be composed: mask\.rats is not a key .*rate"):
        compose_arms(study, lambda overrides: load(list(overrides)))


def test_a_control_that_changes_nothing_is_refused() -> None:
    node = {**NODE, "controls": {"same": ["redraw=null"], "harmful": ["budget.tokens=3"]}}
    with pytest.raises(InputError, match=r"^study\.controls\.same must change the baseline, got no change; "):
        register(composer(node))


def test_controls_are_the_baseline_with_one_change() -> None:
    registered = register(composer())
    baseline = registered.arms["rate_15"]
    assert changes(registered.controls["same"], baseline) == {"redraw"}
    assert changes(registered.controls["harmful"], baseline) == {"budget.tokens"}
    assert registered.hash == registration_hash(resolved(composer()([])))


def test_every_word_and_every_setting_belongs_to_the_registration_but_not_the_seed() -> None:
    config = resolved(composer()([]))
    assert registration_hash(config) == registration_hash({**config, "seed": 3, "output_dir": "elsewhere"})
    others = [{**config, "study": {**NODE, "claim": "Another."}}, resolved(composer()(["model.heads=4"]))]
    assert len({registration_hash(other) for other in (config, *others)}) == 3


def test_names_for_readers_are_no_part_of_the_registration() -> None:
    config = resolved(composer()([]))
    labels = {"labels": {"rate_30": "a rate of 30 %"}, "labels_zh": {"rate_30": "30%"}}
    assert registration_hash({**config, "study": {**NODE, **labels}}) == registration_hash(config)
    assert label(read(**labels), "rate_30") == "a rate of 30 %"
    assert label(read(**labels), "rate_30_tuned", "zh").startswith("30%")
    with pytest.raises(InputError, match=r"study\.labels must be one of rate_15"):
        read(labels={"rate_99": "no arm"})
    with pytest.raises(InputError, match=r"study\.labels must name arms in words"):
        read(labels=["rate_30"])


def test_what_others_found_is_no_part_of_the_registration() -> None:
    config = resolved(composer()([]))
    found = {"elsewhere": {"rate_30": "same"}}
    assert registration_hash({**config, "study": {**NODE, **found}}) == registration_hash(config)
    assert elsewhere(read(**found), "rate_30") == "same"
    assert elsewhere(read(), "rate_30") == ""
    more = read(elsewhere={"rate_30": "better: slightly better, or no better"})
    assert elsewhere(more, "rate_30") == "better"
    assert elsewhere_words(more, "rate_30") == "slightly better, or no better"
    assert elsewhere_words(read(**found), "rate_30") == "same"
    for wrong, told in (
        ({"rate_99": "same"}, r"study\.elsewhere must be one of rate_15"),
        ({"rate_30": "equal"}, r"study\.elsewhere\.rate_30 must be one of worse, better, same, got equal"),
        (["rate_30"], r"study\.elsewhere must hold arms"),
    ):
        with pytest.raises(InputError, match=told):
            read(elsewhere=wrong)


@pytest.mark.parametrize("name", study_files())
def test_every_arm_of_a_study_file_has_names_for_readers(name: str) -> None:
    node = yaml.safe_load(study_files()[name].read_text("utf-8"))["study"]
    assert list(node["labels"]) == list(node["labels_zh"]) == list(node["arms"])
    assert len(set(node["labels"].values())) == len(set(node["labels_zh"].values())) == len(node["arms"])


def test_a_study_on_another_corpus_has_the_names_of_its_file() -> None:
    assert label(read(id="mask_rate_oracle"), "rate_30") == label(read(), "rate_30") == "a mask rate of 30 %"
    assert label(read(id="nobody_wrote_this"), "rate_30") == "rate_30"


def test_a_registered_file_is_a_config_group_from_any_working_directory(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config = load(["study=mask_rate"])
    assert config.study.id == "mask_rate"
    assert config.hydra.mode.name == "MULTIRUN"
    assert read_study(resolved(config)).baseline == "rate_15"
    assert "study" not in load([])
    registered = register(from_file("mask_rate"))
    assert registered.hash == registration_hash(resolved(config))
    assert changes(registered.controls["same"], registered.arms["rate_15"]) == {"redraw"}


@pytest.mark.parametrize(
    ("override", "where"),
    [
        ("mask.rate=0.3", "mask.rate"),
        ("model/norm=rms", "model.norm"),
        ("mask@mask.corruption=span", "mask.corruption"),
        ("+model.extra=a=b", "model.extra"),
        ("mask", "mask"),
    ],
)
def test_an_override_acts_at_a_place(override: str, where: str) -> None:
    assert place(override) == where


def test_a_place_is_within_itself_and_what_is_above_it() -> None:
    assert is_within("model.norm.eps", ["model.norm"])
    assert is_within("model.norm", ["model.norm"])
    assert not is_within("model.normal", ["model.norm"])


@pytest.mark.parametrize(
    ("metric", "unit", "lower"),
    [
        ("eval/mlm_loss", "nats", True),
        ("eval/context_gain", "nats", False),
        ("eval/pair_accuracy", "share", False),
        ("eval/mlm_loss.rate_0.05", "nats", True),
        ("eval/mlm_loss.position_64_127", "nats", True),
        ("eval/mlm_loss.split_80_10_10", "nats", True),
        ("eval/visible_accuracy", "share", False),
        ("eval/sense_accuracy", "share", False),
        ("eval/token_share.layer_0", "share", True),
        ("eval/pruning_cost.heads_12.5", "nats", True),
    ],
)
def test_a_measure_of_the_evaluation_may_be_an_outcome(metric: str, unit: str, lower: bool) -> None:
    assert (outcome_of(metric).unit, outcome_of(metric).lower_is_better) == (unit, lower)


@pytest.mark.parametrize(
    "metric", ["mlm_loss", "eval/mlm_lossy", "eval/mlm_loss.rate_", "train/mlm_loss", "perf/tokens"]
)
def test_nothing_else_may(metric: str) -> None:
    with pytest.raises(InputError, match=r"^study\.outcome must be a measure .*eval/mlm_loss, eval/mlm_accuracy"):
        outcome_of(metric)


def test_a_margin_in_tokens_needs_a_curve() -> None:
    assert margin_units(outcome_of("eval/mlm_loss")) == ("tokens", "nats")
    assert margin_units(outcome_of("eval/pseudo_loss")) == ("nats",)
    assert {unit for outcome in OUTCOMES for unit in margin_units(outcome)} == set(MARGINS)


def test_a_bank_of_the_baseline_is_run_whole_at_the_first_look() -> None:
    study = read(bank=24)
    assert [study.seeds_at(arm, 5) for arm in ("rate_15", "rate_30", "same")] == [24, 5, 5]
    assert read().seeds_at("rate_15", 5) == 5


def test_a_prior_of_the_regime_is_part_of_the_registration() -> None:
    assert read(prior={"variance": 0.01, "df": 2.6, "contrasts": 40}).prior == Prior(0.01, 2.6, 40)
    assert read().prior == NO_PRIOR


def test_a_study_without_a_trunk_is_registered_as_before_there_were_trunks() -> None:
    assert registration_hash(resolved(composer()([]))) == "1847e7058af1303a"
    assert read().trunk is None
