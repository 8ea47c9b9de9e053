"""Every option of the groups for training works in a run; meaningless combinations are refused before it."""

import itertools
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch

from bertlab.config.compose import CONF
from bertlab.config.errors import InputError
from bertlab.data.batches import Batch
from bertlab.evaluation.score import Evaluation
from bertlab.model.init import initialise
from bertlab.sweep.run import Job
from tests.marks import slow_but

GROUPS = ("mask", "pairs", "objective", "optimizer", "schedule")
OF_FILES = "pairs=mixed"  # needs a corpus of a person's files: tests/data/pairs/test_mixed.py
OPTIONS = [f"{group}={path.stem}" for group in GROUPS for path in sorted((CONF / group).glob("*.yaml"))]
OPTIONS.remove(OF_FILES)
SHOWN = ["mask=token", "mask=span", "pairs=none", "objective=alternating", "optimizer=muon", "schedule=wsd"]
NEEDS = {
    "mask=next_token": ("model/visibility=left_to_right",),
    "mask=translate": ("model/visibility=left_to_right",),
    "objective=replaced": ("model.generator=11",),  # a divisor of the width 22
}
REFUSED = {  # on text whose words are one token each
    "mask=whole_word": "mask=whole_word needs words of several pieces (##), got a vocabulary of whole words, where it "
    "equals mask=token; use mask=token or tokenizer=wordpiece",
}


@pytest.mark.parametrize("option", slow_but(SHOWN, OPTIONS))
def test_an_option_trains_and_is_judged_on_the_common_evaluation(
    option: str, fit: Callable[..., Any], prepared: Callable[..., Job]
) -> None:
    overrides = (option, *NEEDS.get(option, ()))
    job = prepared(*overrides)
    assert_same_text(job.evaluation, prepared().evaluation)
    if option in REFUSED:
        return
    job.check()
    fitted = fit(*overrides)
    losses = fitted.curve("train/mlm_loss")
    assert len(losses) == 7
    assert all(map(math.isfinite, losses))
    assert not fitted.recorder.diverged


def assert_same_text(evaluation: Evaluation, default: Evaluation) -> None:
    """Runs are evaluated on the same text and masked tokens, for any training data."""
    assert (evaluation.text.ids_NL == default.text.ids_NL).all()
    assert (evaluation.pairs.ids_NL == default.pairs.ids_NL).all()
    assert all((evaluation.hidden[rate] == hidden_M).all() for rate, hidden_M in default.hidden.items())


@pytest.mark.parametrize(
    ("overrides", "line"),
    [
        *(((option,), line) for option, line in REFUSED.items()),
        *(
            (
                ("mask=next_token", *other),
                "mask=next_token needs a model in which no token looks ahead, got one that is given the answers; "
                "choose model/visibility=left_to_right",
            )
            for other in ((), ("model/visibility=right_to_left",), ("model/visibility=diagonal",))
        ),
        (
            ("batch.cls=false",),
            "batch.cls=false leaves no [CLS], and model/pooling (cls) takes the first token for it; choose "
            "batch.cls=true, or model/pooling=mean or max with model/embedding=sum, concat or no_segment",
        ),
        (
            ("mask=next_token_first", "model/attention=fourier", "model/position=learned"),
            "mask=next_token_first needs tokens that can be kept from looking ahead, and this model/attention "
            "cannot; choose model/attention=softmax",
        ),
        (
            ("batch.cls=false", "mask=next_token_first", "model/pooling=mean"),
            "batch.cls must be true where the next token is predicted (mask=next_token), got false: nothing would "
            "be before the first token to predict it; choose batch.cls=true or another mask",
        ),
        (
            ("batch.cls=false", "mask=next_token", "model/visibility=left_to_right", "model/pooling=mean"),
            "batch.cls must be true where the next token is predicted (mask=next_token), got false: nothing would "
            "be before the first token to predict it; choose batch.cls=true or another mask",
        ),
        (
            ("redraw=weather",),
            "redraw must be null or one of init, order, pairs, dropout, mask, mask.position, mask.kind, "
            "mask.replacement, mask.span, mask.noise, got weather; choose one",
        ),
        (
            ("evaluation.longest=20", "batch.length=35"),
            "evaluation.longest must be null or more than batch.length 35, got 20; choose for example 70",
        ),
        (
            ("evaluation.longest=600", "data=oracle"),
            "evaluation.longest 600 needs 8 held-out texts that long, got 0; "
            "add long documents or choose a smaller evaluation.longest",
        ),
        (
            ("objective=sequential", "pairs=none"),
            "objectives in turn need pairs, got none; use pairs=nsp or sop, or objective=joint",
        ),
        (
            ("objective.mlm_weight=0", "pairs=single"),
            "objective.mlm_weight must be positive where no pairs are learned, got 0; "
            "raise it, or learn pairs with pairs=nsp and objective.pair_weight=1",
        ),
    ],
)
def test_what_has_no_meaning_is_refused_before_training(
    overrides: tuple[str, ...], line: str, prepared: Callable[..., Job]
) -> None:
    with pytest.raises(InputError) as caught:
        prepared(*overrides).check()
    assert str(caught.value) == line


def test_a_run_without_cls_trains_on_the_same_text_at_the_same_budget(
    fit: Callable[..., Any], prepared: Callable[..., Job]
) -> None:
    job, headless = prepared(), prepared("batch.cls=false", "model/pooling=mean")
    headless.check()
    assert (headless.form.tokens, headless.steps) == (job.form.tokens, job.steps)
    assert (headless.batches(3).ids_BL[:, :-1] == job.batches(3).ids_BL[:, 1:]).all()
    fitted = fit("batch.cls=false", "model/pooling=mean")
    assert len(fitted.curve("eval/mlm_loss")) == 7
    assert all(map(math.isfinite, fitted.curve("train/loss")))


def test_left_to_right_and_bert_are_scored_on_the_same_tokens(prepared: Callable[..., Job]) -> None:
    bert = prepared().evaluation
    ahead = prepared("mask=next_token", "model/visibility=left_to_right").evaluation
    assert (bert.reading.ahead, ahead.reading.ahead) == (0, 1)
    gaps, nexts = ([*arm.text.batches(arm.hidden[0.15], reading=arm.reading)] for arm in (bert, ahead))
    assert all((gap.target_M == following.target_M).all() for gap, following in zip(gaps, nexts, strict=True))
    assert all((gap.position_M == following.position_M + 1).all() for gap, following in zip(gaps, nexts, strict=True))


@pytest.mark.parametrize("stream", ["order", "init", "mask.position", "pairs"])
def test_a_redrawn_stream_changes_the_run_and_nothing_else(stream: str, prepared: Callable[..., Job]) -> None:
    job, other = prepared(), prepared(f"redraw={stream}")
    one, two = (initialised(made) for made in (job, other))
    assert (stream == "init") == any(not torch.equal(a, b) for a, b in zip(one, two, strict=True))
    batch, redrawn = job.batches(0), other.batches(0)
    same_text = torch.equal(original(batch), original(redrawn))
    assert same_text == (stream in ("init", "mask.position"))
    if same_text:
        assert torch.equal(batch.position_M, redrawn.position_M) == (stream == "init")
    assert (other.evaluation.hidden[0.15] == job.evaluation.hidden[0.15]).all()


def initialised(job: Job) -> list[torch.Tensor]:
    model = job.build_model()
    initialise(model, job.streams)
    return [*model.parameters()]


def original(batch: Batch) -> torch.Tensor:
    """Return the tokens before corruption."""
    ids_BL = batch.ids_BL.clone()
    ids_BL.view(-1)[batch.position_M] = batch.target_M
    return ids_BL


def test_a_model_is_built_for_the_longest_text_and_trained_on_the_usual_one(
    fit: Callable[..., Any], prepared: Callable[..., Job]
) -> None:
    overrides = ("evaluation.longest=40", "batch.length=19", "evaluation.sequences=3")
    job = prepared(*overrides)
    job.check()
    assert job.build_model().shape.length == 40
    assert job.batches(0).ids_BL.shape[1] == 19
    fitted = fit(*overrides)
    measures = job.evaluation.score(fitted.model, last=True)
    buckets = ["mlm_loss.position_0_18", "mlm_loss.position_19_37", "mlm_loss.position_38_39"]
    found = [name for name in measures if ".position_" in name]
    assert found in (buckets, buckets[:2]), "nothing may be hidden in the last two columns"


@pytest.mark.parametrize("attention", ["fully_connected", "fixed_random", "fourier"])
def test_parts_that_are_bound_to_a_length_are_built_for_the_longest(
    attention: str, prepared: Callable[..., Job]
) -> None:
    job = prepared(
        f"model/attention={attention}",
        "model/position=learned",
        "evaluation.longest=40",
        "batch.length=19",
        "evaluation.sequences=3",
    )
    job.check()
    assert math.isfinite(job.evaluation.score(job.build_model(), last=True)["mlm_loss.position_19_37"])


def test_learned_positions_with_too_few_rows_are_refused(prepared: Callable[..., Job]) -> None:
    job = prepared(
        "model/position=learned",
        "model.position.positions=30",
        "evaluation.longest=40",
        "batch.length=19",
        "evaluation.sequences=3",
    )
    with pytest.raises(InputError, match=r"at most model\.position\.positions 30, got 40; raise the one"):
        job.check()


def test_turns_are_taken_along_the_run(fit: Callable[..., Any]) -> None:
    """Of 7 steps the first 4 are before the middle."""
    fitted = fit("objective=sequential", "objective.order=[pair,mlm]")
    terms = zip(*(fitted.curve(f"train/{name}") for name in ("loss", "pair_loss", "mlm_loss")), strict=True)
    for step, (loss, pair, mlm) in enumerate(terms):
        assert loss == pytest.approx(pair if step < 4 else mlm)


def test_a_scheduled_rate_predicts_less_and_less(prepared: Callable[..., Job]) -> None:
    """736 steps of 96 words; tolerance 4 standard errors of the mean of 100 steps."""
    batches = prepared("mask=scheduled", "budget.tokens=77280").batches
    for first, progress in ((0, 49.5 / 735), (636, 685.5 / 735)):
        share = sum(len(batches(step).target_M) for step in range(first, first + 100)) / 9600
        assert share == pytest.approx(0.3 - 0.15 * progress, abs=0.019)


def test_training_starts_at_the_unigram_loss_where_the_output_bias_is_that_of_frequencies(
    prepared: Callable[..., Job],
) -> None:
    """Small initial weights, so that the bias decides; without it all tokens are equally likely at first."""
    for asked in (True, False):
        job = prepared(f"model.unigram_bias={asked}", "model.dense_std=1e-4", "model.embedding_std=1e-4")
        measured = job.evaluation.score(job.initial_model())
        expected = measured["unigram_loss"] if asked else math.log(job.store.vocabulary.size)
        assert measured["mlm_loss"] == pytest.approx(expected, abs=0.01)


def test_flops_are_counted_of_the_sequences_that_a_step_has(fit: Callable[..., Any]) -> None:
    """Of 7 steps of 3 x 36 tokens 4 have 9 x 12: as many tokens, but less context."""
    fitted = fit("batch.length=36", "batch.start_length=12", "batch.start_share=0.5", "trainer.points=7")
    flops, tokens = fitted.curve("perf/flops"), fitted.curve("perf/tokens")
    assert tokens == [108.0 * step for step in range(1, 8)]
    one = fitted.flops.by_length
    assert one.keys() == {12, 36}
    assert 3 * one[12].per_sequence < one[36].per_sequence
    predicted = fitted.curve("perf/predicted_tokens")
    for step, (before, after) in enumerate(itertools.pairwise([0.0, *flops])):
        length = 12 if step < 4 else 36
        count = predicted[step] - (predicted[step - 1] if step else 0)
        assert after - before == 108 // length * one[length].per_sequence + count * one[length].per_prediction


@pytest.mark.parametrize("visibility", sorted(path.stem for path in (CONF / "model" / "visibility").glob("*.yaml")))
def test_no_next_token_leaks_into_its_prediction(visibility: str, prepared: Callable[..., Job]) -> None:
    """In the first part the gradient of a prediction is exactly 0 at every later place; afterwards it is not."""
    heads = ("model.heads=2", "model.width=24", "model.dropout=0")
    job = prepared("mask=next_token_first", "mask.share=0.5", f"model/visibility={visibility}", *heads)
    job.check()
    model = job.initial_model().eval()
    for step, one_way in ((0, True), (job.steps - 1, False)):
        batch = job.batches(step)
        assert batch.one_way == one_way
        behind = influence_of_places_behind(model, batch)
        assert not (one_way and behind.any())
        if visibility == "all":
            assert one_way or behind.any()


def influence_of_places_behind(model: torch.nn.Module, batch: Batch) -> torch.Tensor:
    """Return, by prediction, the size of its logits' gradient at the token embeddings of all later places."""
    entered: list[torch.Tensor] = []

    def watch(_: torch.nn.Module, __: object, x_BLD: torch.Tensor) -> torch.Tensor:
        entered.append(x_BLD.detach().requires_grad_())
        return entered[-1]

    handle = model.get_submodule("embedding.token").register_forward_hook(watch)
    mlm_MV = model(batch).mlm_MV
    handle.remove()
    found, length = [], batch.ids_BL.shape[1]
    for number, place in enumerate(batch.position_M.tolist()):
        gradients = torch.autograd.grad(mlm_MV[number].square().sum(), entered, retain_graph=True, allow_unused=True)
        behind = [each[place // length, place % length + 1 :].abs().sum() for each in gradients if each is not None]
        found.append(torch.stack(behind).sum())
    return torch.stack(found)
