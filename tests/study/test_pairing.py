"""Two arms of a study with one seed differ only in what the study changes."""

from collections.abc import Mapping

import pytest
import torch

from bertlab.config.compose import resolved
from bertlab.model.init import initialise
from bertlab.study.arms import compose_arms, from_file
from bertlab.study.registration import read_study
from bertlab.sweep.run import Job, prepare_job

QUICK = (
    *("data=oracle", "data.documents=60", "batch.size=3", "budget.tokens=735", "evaluation.sequences=8"),
    *("model.width=22", "model.heads=1", "model.inner=31", "evaluation.pseudo=0"),
)


def jobs(study: str, *overrides: str) -> Mapping[str, Job]:
    compose = from_file(study, *QUICK, *overrides)
    arms = compose_arms(read_study(resolved(compose([]))), compose)
    return {name: prepare_job(arm) for name, arm in arms.items()}


@pytest.fixture(scope="module")
def key_value() -> Mapping[str, Job]:
    return jobs("key_value")


def test_arms_see_the_same_batches(key_value: Mapping[str, Job]) -> None:
    for step in (0, 3, 6):
        one, other = (key_value[arm].batches(step) for arm in ("separate", "shared_kv"))
        assert torch.equal(one.ids_BL, other.ids_BL)
        assert torch.equal(one.position_M, other.position_M)
        assert torch.equal(one.target_M, other.target_M)
        assert torch.equal(one.pair_B, other.pair_B)


def test_arms_start_from_the_same_weights_where_names_agree(key_value: Mapping[str, Job]) -> None:
    weights = {}
    for arm in ("separate", "shared_kv"):
        model = key_value[arm].build_model()
        initialise(model, key_value[arm].streams)
        weights[arm] = dict(model.named_parameters())
    shared = weights["separate"].keys() & weights["shared_kv"].keys()
    assert {name for name in shared if name.startswith("blocks.0.")} >= {"blocks.0.attention.query.weight"}
    assert all(torch.equal(weights["separate"][name], weights["shared_kv"][name]) for name in shared)
    assert {name for name in weights["separate"].keys() - shared if "value" not in name} == set()


def test_arms_are_judged_on_the_same_positions(key_value: Mapping[str, Job]) -> None:
    one, other = (key_value[arm].evaluation for arm in ("separate", "shared_kv"))
    assert (one.text.ids_NL == other.text.ids_NL).all()
    assert all((one.hidden[rate] == other.hidden[rate]).all() for rate in one.hidden)


def test_masks_are_nested_across_rates_and_other_seeds_are_other_runs() -> None:
    arms = jobs("mask_rate")
    low, high = (arms[arm].batches(2) for arm in ("rate_15", "rate_40"))
    assert set(low.position_M.tolist()) < set(high.position_M.tolist())
    other = jobs("mask_rate", "seed=1")["rate_15"].batches(2)
    assert not torch.equal(low.ids_BL, other.ids_BL)


def test_a_translation_is_judged_on_the_tokens_of_the_translation() -> None:
    config = resolved(from_file("encoder_decoder", "evaluation.sequences=20", "data.documents=300")([]))
    evaluation = prepare_job(config).evaluation
    hidden_M = evaluation.hidden[evaluation.rate]
    assert len(hidden_M) > 0
    assert (evaluation.text.segments_NL.reshape(-1)[hidden_M] == 1).all()
