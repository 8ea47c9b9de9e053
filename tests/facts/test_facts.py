"""The facts' numbers against values computed by hand, and the committed page against a fresh one."""

import math
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from torch.nn import functional

from bertlab.config.compose import PACKAGE
from bertlab.config.errors import InputError
from bertlab.facts import measure, page
from bertlab.facts.built import base, batch_of
from bertlab.facts.fact import Fact, below
from bertlab.facts.measure import HEADS, KERNELS

REPORTS = PACKAGE.parent / "reports"
LAYERS = (1, 2, 3)
D = 768
Numbers = Mapping[str, float]


pytestmark = pytest.mark.slow  # the numbers of all facts take a quarter of a minute


@pytest.fixture(scope="module")
def facts() -> dict[str, Fact]:
    return {fact.claim: fact for fact in page.gather(measure.read(REPORTS))}


def test_the_committed_page_is_what_the_code_says(facts: dict[str, Fact]) -> None:
    assert (REPORTS / "facts.md").read_text("utf-8") == page.render(list(facts.values()))


def test_the_committed_numbers_are_those_of_the_facts(facts: dict[str, Fact]) -> None:
    assert (REPORTS / page.NUMBERS).read_text("utf-8") == page.numbers(list(facts.values()))


def test_every_fact_names_a_test_of_this_file(facts: dict[str, Fact]) -> None:
    names = [fact.test for fact in facts.values()]
    assert [name for name in names if not callable(globals().get(name))] == []
    assert len(set(names)) == len(facts)


def test_every_row_of_a_fact_has_its_columns(facts: dict[str, Fact]) -> None:
    assert all(len(row) == len(fact.header) for fact in facts.values() for row in fact.rows)


def test_bert_base_has_144_heads_and_as_many_parameters_as_published(facts: dict[str, Fact]) -> None:
    numbers = facts["count"].numbers
    assert (numbers["heads"], numbers["layers"], numbers["parameters"]) == (144, 12, 110_106_428)
    assert numbers["token embedding"] == 30_522 * D
    assert numbers["attention"] == 12 * 4 * (D * D + D)
    assert numbers["feed-forward"] == 12 * (2 * D * 4 * D + 4 * D + D)


def test_bert_base_computes_144_tables_of_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    heads: list[int] = []
    kernel = functional.scaled_dot_product_attention

    def count(query: torch.Tensor, *rest: torch.Tensor, **settings: object) -> torch.Tensor:
        heads.append(query.shape[1])
        return kernel(query, *rest, **settings)  # type: ignore[arg-type]

    monkeypatch.setattr(functional, "scaled_dot_product_attention", count)
    with torch.device("meta"):
        base().encode(batch_of(torch.zeros(1, 8, dtype=torch.int64)))
    assert heads == [12] * 12


def test_heads_are_free_of_parameters_and_flops(facts: dict[str, Fact]) -> None:
    numbers = facts["head_cost"].numbers
    length = measure.read(REPORTS).length
    for heads in HEADS:
        assert numbers[f"{heads}: parameters"] == 4 * (D * D + D)
        assert numbers[f"{heads}: FLOPs"] == 8 * length * D * D + 4 * length * length * D
    # the plain formula keeps the weights of each head, 4 bytes a number; the fused one a number a row of them
    assert numbers["16: plain bytes"] - numbers["1: plain bytes"] == 15 * 4 * length**2
    assert numbers["16: fused bytes"] - numbers["1: fused bytes"] == 15 * 4 * length
    assert all(numbers[f"1: {kernel} time"] == 1 for kernel in KERNELS)


def test_cost_is_linear_plus_quadratic_in_length(facts: dict[str, Fact]) -> None:
    numbers = facts["length"].numbers
    assert numbers["linear"] == 24 * D * D
    assert numbers["quadratic"] == 4 * D
    assert numbers["equal at"] == 6 * D
    for tokens in (2048, 4608, 8192):
        assert numbers[f"{tokens}: FLOPs"] == 24 * D * D * tokens + 4 * D * tokens**2
    assert numbers["1024: plain bytes"] - 2 * numbers["512: plain bytes"] == 12 * 4 * (1024**2 - 2 * 512**2)
    assert numbers["1024: fused bytes"] == 2 * numbers["512: fused bytes"]
    assert numbers["513 tokens are refused"]
    assert min(numbers["segment 0: gradient"], numbers["segment 1: gradient"]) > 1e-4
    assert numbers["segment 2: gradient"] == 0


def test_a_layer_norm_has_a_scale_and_a_shift_for_each_component(facts: dict[str, Fact]) -> None:
    numbers = facts["norm"].numbers
    assert (numbers["layer"], numbers["batch"], numbers["rms"]) == (2 * D, 2 * D, D)
    assert numbers["layer_plain"] == numbers["none"] == 0
    assert (numbers["norms"], numbers["together"]) == (26, 26 * 2 * D)


def test_sharing_saves_the_parameters_of_eleven_layers(facts: dict[str, Fact]) -> None:
    numbers = facts["sharing"].numbers
    attention, feed_forward = 4 * (D * D + D) + 2 * D, 8 * D * D + 5 * D + 2 * D  # each with its norm
    assert numbers["untied"] - numbers["tied"] == 30_522 * D
    assert numbers["tied"] - numbers["attention"] == 11 * attention
    assert numbers["tied"] - numbers["feed_forward"] == 11 * feed_forward
    assert numbers["tied"] - numbers["all"] == 11 * (attention + feed_forward)


def test_the_loss_is_the_sum_of_two_mean_cross_entropies(facts: dict[str, Fact]) -> None:
    numbers = facts["loss"].numbers
    assert numbers["mlm_loss"] == pytest.approx(numbers["mlm by hand"], abs=1e-9)
    assert numbers["pair_loss"] == pytest.approx(numbers["pair by hand"], abs=1e-9)
    assert numbers["loss"] == pytest.approx(numbers["mlm by hand"] + numbers["pair by hand"], abs=1e-9)
    assert numbers["mlm_loss"] == pytest.approx(math.log(30_522), abs=0.02)
    assert numbers["pair_loss"] == pytest.approx(math.log(2), abs=0.02)


def test_a_sum_is_a_concatenation_followed_by_stacked_identities(facts: dict[str, Fact]) -> None:
    numbers = facts["embeddings"].numbers
    assert max(numbers["error"], numbers["error of one-hot"]) < 1e-6
    assert numbers["added"] == 3 * D * D


def test_attention_is_linear_in_its_values_only(facts: dict[str, Fact]) -> None:
    numbers = facts["nonlinearity"].numbers
    linear = {"attention, weights held fixed", "feed-forward without activation"}
    assert {part for part, defect in numbers.items() if defect < 1e-6} == linear
    assert all(defect > 0.1 for part, defect in numbers.items() if part not in linear)


def test_mixing_by_position_is_bound_to_order_and_length(facts: dict[str, Fact]) -> None:
    numbers = facts["attention_fc"].numbers
    assert numbers["softmax: moved by order"] < 1e-6
    for option in ("fully_connected", "fixed_random", "fourier"):
        assert numbers[f"{option}: moved by order"] > 0.1
    longer = [
        option for option in ("softmax", "fully_connected", "fixed_random", "fourier") if numbers[f"{option}: longer"]
    ]
    assert longer == ["softmax"]
    heads = 4
    assert numbers["fully_connected: parameters a position"] == heads * (32**2 - 16**2) / (32 - 16)
    assert numbers["softmax: parameters a position"] == 0


def test_the_steps_give_what_the_fused_kernel_gives_and_know_no_order(facts: dict[str, Fact]) -> None:
    numbers = facts["attention_steps"].numbers
    e = math.exp(1 / math.sqrt(2))  # of score 1; of score 2 it is the square
    assert numbers["weight of 3 on 1"] == pytest.approx(e / (2 * e + e**2))
    assert numbers["output of 3, first"] == pytest.approx((e + e**2) / (2 * e + e**2))
    assert numbers["by hand against the layer"] < 1e-6
    assert numbers["position=none"] < 1e-6
    assert numbers["position=learned"] > 0.1


def test_without_queries_and_keys_scores_are_symmetric_and_tokens_look_at_themselves(facts: dict[str, Fact]) -> None:
    numbers = facts["no_qkv"].numbers
    assert numbers["softmax: asymmetry"] > 0.1
    for option in ("shared_qk", "no_qk", "no_projection"):
        assert numbers[f"{option}: asymmetry"] < 1e-6
        assert numbers[f"{option}: weight of itself"] > 3 * numbers["softmax: weight of itself"]
    assert numbers["no_projection: looks most at itself"] == 1
    assert numbers["softmax: looks most at itself"] < 0.25 < 0.8 < numbers["no_qk: looks most at itself"]


def test_defaults_are_what_they_stand_for_and_unmasked_padding_moves_the_states(facts: dict[str, Fact]) -> None:
    numbers = facts["inputs"].numbers
    assert max(numbers["mask"], numbers["position and type"], numbers["padding 0"]) < 1e-6
    assert 0.1 < numbers["padding 4"] < numbers["padding 16"] < numbers["padding 48"]


def test_padding_moves_no_real_token_unless_the_mask_is_off(facts: dict[str, Fact]) -> None:
    numbers = facts["padding"].numbers
    for option in ("softmax", "fully_connected", "fixed_random", "fourier"):
        assert max(numbers[f"{option}: content"], numbers[f"{option}: length"]) < 1e-6
        assert numbers[f"{option}: finite"]
    assert min(numbers["not masked: content"], numbers["not masked: length"]) > 0.1


def leaking(numbers: Numbers, arm: str) -> list[bool]:
    return [numbers[f"{arm}/{layers}"] > 0 for layers in LAYERS]


def test_blocked_scores_leak_unless_the_position_asks_as_mask(facts: dict[str, Fact]) -> None:
    numbers = facts["score_masking"].numbers
    assert leaking(numbers, "masked") == leaking(numbers, "blocked_position") == [False] * 3
    assert leaking(numbers, "seen") == leaking(numbers, "blocked") == [True] * 3


def test_a_hidden_diagonal_leaks_through_the_neighbours_of_the_second_layer(facts: dict[str, Fact]) -> None:
    numbers = facts["diagonal"].numbers
    assert leaking(numbers, "diagonal") == [True, True, True]
    assert leaking(numbers, "diagonal_query") == [False, True, True]
    assert leaking(numbers, "diagonal_position") == [False, False, False]


@pytest.mark.parametrize(("error", "written"), [(0.0, "below 1e-06"), (3e-9, "below 1e-06"), (2e-3, "2e-03")])
def test_errors_of_rounding_are_written_as_bounds(error: float, written: str) -> None:
    assert below(error, 1e-6) == written


def test_measured_times_come_back_from_their_file(tmp_path: Path) -> None:
    measured = measure.read(REPORTS)
    path = tmp_path / measure.FILE
    path.parent.mkdir()
    path.write_text(measure.text(measured), "utf-8")
    assert measure.read(tmp_path) == measured


def test_a_page_without_measured_times_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="measure=true"):
        measure.read(tmp_path)
