import subprocess
import sys
from collections.abc import Sequence

import pytest
import torch

from bertlab.commands import describe
from bertlab.commands.describe import Costs, count
from bertlab.config.building import Parts, build_parts
from bertlab.config.compose import load, resolved
from bertlab.config.errors import InputError
from bertlab.data.form import Form
from bertlab.model.bert import Bert
from bertlab.model.count import count_memory, count_parameters
from bertlab.model.flops import count_flops
from bertlab.objective import Joint

D = 768
TINY = ("model.layers=2", "model.width=32", "model.heads=4", "model.inner=48", "tokenizer.vocab_size=101")


@pytest.fixture(scope="module")
def base() -> Costs:
    return count(["model=base"])


def parts_of(words: Sequence[str]) -> Parts:
    """Build the parts of a run, without recording and training."""
    return build_parts({**resolved(load(words)), "tracking": {}, "trainer": {}, "data": {}})


def run(*words: str) -> None:
    describe.main(words)


def test_base_has_its_published_parameters_and_heads(base: Costs) -> None:
    assert sum(base.parameters.values()) == 110_106_428
    assert base.heads == (12,) * 12
    assert base.parameters["attention"] == 12 * 4 * (D * D + D)
    assert base.parameters["MLM head"] == D * D + D + 2 * D + 30_522


def test_forward_flops_are_those_of_the_matrix_products(base: Costs) -> None:
    length = 64
    assert base.forward["attention"] == 12 * (8 * D * D + 4 * length * D)
    assert base.forward["feed-forward"] == 12 * 4 * D * 4 * D
    assert base.forward["pair head"] == (2 * D * D + 2 * D * 2) / length
    assert base.training == pytest.approx(3 * sum(base.forward.values()))  # two products backward for one forward


def test_training_flops_are_those_that_runs_record() -> None:
    costs = count([*TINY, "batch.size=8", "batch.length=32"])
    parts = parts_of(TINY)
    flops = count_flops(parts.model(101, 32), 32)
    predictions = round(costs.predicted * 8 * 32)
    assert costs.training * 8 * 32 == pytest.approx(8 * flops.per_sequence + predictions * flops.per_prediction)


def test_parts_of_shared_layers_have_the_flops_of_all_layers_and_the_parameters_of_one() -> None:
    shared, apart = count([*TINY, "model/sharing=all"]), count(TINY)
    assert shared.forward == apart.forward
    assert 2 * shared.parameters["attention"] == apart.parameters["attention"]
    assert shared.heads == apart.heads == (4, 4)


@pytest.mark.parametrize(
    "words", [["model/embedding=concat", "model/position=learned"], ["model/visibility=two_directions"]]
)
def test_parts_sum_to_the_whole(words: list[str]) -> None:
    costs = count([*TINY, *words])
    parts = parts_of([*TINY, *words])
    model = parts.model(101, 64)
    assert sum(costs.parameters.values()) == sum(parameter.numel() for parameter in model.parameters())
    assert 3 * sum(costs.forward.values()) == pytest.approx(costs.training)


@pytest.mark.parametrize(
    ("words", "share"),
    [
        (["mask.rate=0.3"], 0.3),
        (["mask=whole_word"], 0.15),
        (["mask=all_tokens"], 1),
        (["mask=scheduled", "mask.end_rate=0.1"], 0.2),
        (["mask=piecewise", "mask.points=[[0,0.4],[0.5,0.1],[1,0.1]]"], 0.175),
    ],
)
def test_the_share_of_predicted_tokens_is_that_of_the_policy(words: list[str], share: float) -> None:
    mask = parts_of(words).mask
    expected = share * (64 - 3) / 64  # [CLS] and both [SEP] are never predicted
    assert describe.predicted_share(mask, 64) == pytest.approx(expected, rel=0.02)


def test_memory_is_what_a_real_step_keeps() -> None:
    """The meta device gives the same counts as the CPU, which also keeps attention weights if there is dropout."""
    costs = count([*TINY, "model.dropout=0.1", "batch.size=8", "batch.length=32"])
    parts = parts_of([*TINY, "model.dropout=0.1"])
    model: Bert = parts.model(101, 32)
    batch = describe.empty_batch(Form(8, 32), round(costs.predicted * 8 * 32))
    joint = Joint(mlm_weight=1, pair_weight=1)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    memory = count_memory(model, parts.optimizer, lambda output: joint(output, batch)["loss"], batch)
    assert memory == costs.memory
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    parameters = 4 * sum(count_parameters(model).values())
    assert (memory.parameters, memory.gradients) == (parameters, parameters)
    steps = 4 * len(list(model.parameters()))  # Adam counts the steps of each tensor
    assert memory.optimizer == 2 * parameters + steps
    assert memory.total == sum(memory.by_name.values())


@pytest.mark.parametrize(("words", "states"), [(["optimizer=sgd"], 1), (["optimizer=sgd", "optimizer.momentum=0"], 0)])
def test_an_optimiser_is_charged_for_the_state_that_it_has(words: list[str], states: int) -> None:
    memory = count([*TINY, *words]).memory
    assert memory.optimizer == states * memory.parameters


def test_the_vocabulary_is_berts_unless_stated() -> None:
    assert "30,522 tokens, as BERT's" in count(["model=nano"]).vocabulary
    assert "30,522 tokens, as tokenizer.vocab_size says" in count(["regime=bert"]).vocabulary
    stated = count(["tokenizer.vocab_size=4096"])  # also where it is the usual one
    assert "4,096 tokens, as tokenizer.vocab_size says" in stated.vocabulary
    assert stated.parameters["token embedding"] == 4096 * 64


def test_the_command_prints_parts_and_memory(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], base: Costs
) -> None:
    monkeypatch.setattr(describe, "count", lambda words: base)
    run("model=base")
    shown = capsys.readouterr().out
    for words in ("110,106,428 parameters", "144 = 12 layers x 12", "28,348,416", "optimiser state", "activations"):
        assert words in shown


def test_against_shows_what_changes_and_by_how_much(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(*TINY, "against", "model/attention=shared_kv")
    shown = [line.split() for line in capsys.readouterr().out.splitlines()]
    attention, less = 2 * 4 * (32 * 32 + 32), 2 * (32 * 32 + 32)
    assert ["model.attention.value", "value", "key"] in shown
    assert ["attention", f"{attention:,}", f"{attention - less:,}", f"-{less:,}", "-25.0%"] in shown
    assert [row[-2] for row in shown if row[:2] == ["all", "parameters"]] == [f"-{less:,}"]


def test_equal_configurations_differ_in_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(*TINY, "against", "trainer.threads=1")
    shown = capsys.readouterr().out
    assert "%" not in shown
    assert shown.count("none") == 4


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["model.heads=7"], "model.heads must divide model.width 64, got 7"),
        (["model.hedas=2"], "model.hedas is not a key of the configuration; did you mean model.heads"),
        (["mask.rate=1.5"], "mask.rate must lie in (0, 1), got 1.5"),
        (["model/attention=fourier"], "model/attention (Fourier) has none"),
        (["model=base", "batch.length=513"], "batch.length must be at most model.position.positions 512, got 513"),
        (["model=base", "against"], "against must be followed once by the changes"),
        (["batch.cls=false"], "batch.cls=false leaves no [CLS]"),
        (["against", "model=tiny", "against", "model=base"], "against must be followed once"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        run(*words)
    assert ended.value.code == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert message in shown.err
    assert shown.err.count("\n") == 1


@pytest.mark.slow
def test_help_and_counting_import_nothing_that_is_not_needed() -> None:
    program = (
        "import sys; from bertlab.commands import describe; describe.main(['--help']);"
        "assert 'torch' not in sys.modules; describe.count(['model=nano']);"
        "assert not {'mlflow', 'pytorch_lightning', 'datasets'} & sys.modules.keys()"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "against model/attention=shared_kv" in done.stdout


@pytest.mark.parametrize("size", ["width", pytest.param("inner", marks=pytest.mark.slow)])
def test_a_deeper_model_is_found_that_costs_the_same(size: str, capsys: pytest.CaptureFixture[str]) -> None:
    from bertlab.commands.match import with_match

    tiny = [*TINY[1:], "model.layers=3"]
    flat = [*TINY[1:3], "model.inner=48", "model.width=32", "tokenizer.vocab_size=101", "model.layers=3"]
    words = with_match(flat, ["model.layers=2", f"match={size}"], lambda: count(flat))
    assert [word.partition("=")[0] for word in words[1:]] == [
        f"model.{each}" for each in dict.fromkeys((size, "inner"))
    ]
    wanted, found = count(flat).training, count([*tiny, *words]).training
    value = int(words[1].partition("=")[2])
    step = 1 if size == "inner" else 8
    other = [f"model.{size}={value + step}"]
    assert abs(found - wanted) <= abs(count([*tiny, *words, *other]).training - wanted)
    assert found == pytest.approx(wanted, rel=0.01 if size == "inner" else 0.2)


def test_a_match_that_cannot_be_is_one_line() -> None:
    from bertlab.commands.match import with_match

    costs = count(TINY)
    for words, line in (
        (["match=depth"], r"^match must be inner or width, given once, got depth; choose one"),
        (["match=inner", "model.inner=5"], r"^match=inner finds model\.inner, got model\.inner=5 too; leave one"),
        (["model.layers=40", "match=inner"], r"^match=inner must find a model that costs as much .* model\.inner=1;"),
    ):
        with pytest.raises(InputError, match=line):
            with_match(TINY, words, lambda: costs)
