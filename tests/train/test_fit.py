"""Training is a function of its configuration: the same bits again, or an intended difference."""

import ctypes
import math
import re
import shutil
import sys
from collections.abc import Callable, Mapping
from io import StringIO
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from bertlab.config.environment import usable_cores
from bertlab.config.errors import InputError
from bertlab.data.batches import Batch
from bertlab.model.bert import Output
from bertlab.model.dropout import Dropout
from bertlab.objective import Joint
from bertlab.sweep.run import Job
from bertlab.train.fit import Hardware, Steps
from bertlab.train.recorder import Saver
from tests.hardware import needs_gpu

Fit = Callable[..., Any]
HARDWARE: dict[str, Any] = {
    "accelerator": "cpu",
    "threads": None,
    "precision": "32-true",
    "clip": 1.0,
    "points": 7,
    "checkpoint_seconds": 60,
    "progress": False,
    "compile": False,
    "ahead": 0,
}


@pytest.fixture(scope="module")
def fitted(fit: Fit) -> Any:
    return fit()


def test_the_same_seed_gives_the_same_bits(fit: Fit, fitted: Any) -> None:
    torch.manual_seed(99)  # the state of torch's own generator must not matter
    again = fit()
    assert again.curve("train/loss") == fitted.curve("train/loss")
    assert again.curve("eval/mlm_loss") == fitted.curve("eval/mlm_loss")
    weights = fitted.model.state_dict()
    assert all(torch.equal(value, weights[name]) for name, value in again.model.state_dict().items())


def test_another_seed_gives_another_run(fit: Fit, fitted: Any) -> None:
    assert not set(fit("seed=1").curve("train/loss")) & set(fitted.curve("train/loss"))


def test_every_step_is_taken_once(fitted: Any) -> None:
    assert [step for step, _ in fitted.points] == list(range(1, 8))


def test_training_lowers_the_loss(fit: Fit) -> None:
    curve = fit("budget.tokens=10500", "model.dropout=0").curve("train/mlm_loss")
    assert len(curve) == 100
    assert sum(curve[-10:]) / 10 < curve[0] - 0.2


def test_dropout_is_a_function_of_seed_and_step(fit: Fit) -> None:
    """A run that also draws from torch's generator, as another head might, drops the same units."""
    clean = fit("model.dropout=0.5")

    def thirsty(output: Output, batch: Batch, *_: int) -> dict[str, Tensor]:
        torch.rand(7)
        return Joint(mlm_weight=1, pair_weight=1)(output, batch)

    assert fit("model.dropout=0.5", objective=thirsty).curve("train/loss") == clean.curve("train/loss")


def test_every_step_draws_other_dropout(
    fit: Fit, prepared: Callable[..., Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    dropped, seeds = Dropout.forward, []

    def watched(self: Dropout, x: Tensor) -> Tensor:
        if self.training:
            seeds.append(torch.initial_seed())
        return dropped(self, x)

    monkeypatch.setattr(Dropout, "forward", watched)
    fit("seed=4")
    streams = prepared("seed=4").streams
    assert list(dict.fromkeys(seeds)) == [streams.integer("dropout", step) for step in range(7)]
    assert len({*seeds, prepared("seed=5").streams.integer("dropout", 0)}) == 8


def test_the_learning_rate_follows_the_schedule(fit: Fit) -> None:
    """Warm-up over 2 of 7 steps; a point has the rate of the next step, and the last step's rate is kept."""
    rates = fit("schedule.warmup=0.285714285714", "optimizer.lr=0.01").curve("train/lr")
    assert rates == pytest.approx([0.01, 0.01, 0.008, 0.006, 0.004, 0.002, 0.002])


@pytest.mark.parametrize("clip", [0.001, 0.5])
def test_gradients_are_clipped_to_the_norm(fit: Fit, clip: float) -> None:
    norms = gradient_norms(fit, f"trainer.clip={clip}")
    assert norms == pytest.approx([clip] * 7, rel=1e-3)


def test_clip_0_does_not_clip(fit: Fit) -> None:
    assert min(gradient_norms(fit, "trainer.clip=0")) > 0.5


def gradient_norms(fit: Fit, *overrides: str) -> list[float]:
    """Return the norm of the gradient that the optimiser saw at each step."""
    norms: list[float] = []

    class Watched(torch.optim.SGD):
        def step(self, closure: Any = None) -> Any:
            loss = closure()
            gradients = [value.grad for group in self.param_groups for value in group["params"]]
            norms.append(math.sqrt(sum(gradient.square().sum().item() for gradient in gradients)))
            return loss

    def optimizer(model: nn.Module) -> torch.optim.Optimizer:
        return Watched(model.parameters(), lr=1e-6)

    fit(*overrides, optimizer=optimizer)
    return norms


@pytest.mark.parametrize("precision", ["bf16-mixed", "bf16-products"])
def test_bf16_trains_and_differs_a_little(fit: Fit, fitted: Any, precision: str) -> None:
    rounded = fit(f"trainer.precision={precision}").curve("train/loss")
    assert rounded != fitted.curve("train/loss")
    assert rounded == pytest.approx(fitted.curve("train/loss"), rel=0.02)


def test_a_silent_run_says_nothing(fit: Fit, capfd: pytest.CaptureFixture[str]) -> None:
    fit()
    assert capfd.readouterr() == ("", "")


def test_no_progress_goes_into_a_file(fit: Fit, capfd: pytest.CaptureFixture[str]) -> None:
    fit("trainer.progress=true")
    assert capfd.readouterr() == ("", "")


def test_a_terminal_shows_step_loss_speed_and_remaining_time(fit: Fit, monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    loss = fit("trainer.progress=true").curve("train/loss")[-1]
    last = [line for line in terminal.getvalue().split("\r") if "step 7/7" in line][-1]
    assert re.search(rf"step 7/7, loss {loss:.3f}, [\d,]+ tokens/s, 00:00 left", last)
    assert "Epoch" not in terminal.getvalue()


def test_threads_are_set_where_they_are_given(fit: Fit, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr(torch, "set_num_threads", asked.append)
    fit("trainer.threads=null")
    own = torch.get_num_threads()  # given back by the fixture
    assert asked == [usable_cores(), own]
    fit("trainer.threads=3")
    assert asked[2:] == [3, own]


@pytest.mark.skipif(not torch.set_flush_denormal(False), reason="a processor that always computes with denormals")
def test_denormals_are_0_in_training_and_numbers_again_after_it(fit: Fit) -> None:
    seen: list[float] = []

    def optimizer(model: nn.Module) -> torch.optim.Optimizer:
        seen.append(torch.full((), 1e-39).mul(1).item())
        return torch.optim.SGD(model.parameters(), lr=0.1)

    fit(optimizer=optimizer)
    assert seen == [0]
    assert torch.full((), 1e-39).mul(1).item() > 0


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such switch")
def test_training_asks_the_c_library_to_keep_what_a_step_frees(fit: Fit, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether pages are reused depends on library and machine: benchmarks/memory.py counts page faults."""
    library, asked = ctypes.CDLL, dict[int, int]()

    def watched(name: str | None, *more: Any, **own: Any) -> Any:
        return library(name, *more, **own) if name else SimpleNamespace(mallopt=asked.__setitem__)

    monkeypatch.setattr(ctypes, "CDLL", watched)
    fit()
    trim, mmap = -1, -3  # their numbers in malloc.h
    assert asked == {trim: 2**31 - 1, mmap: 2**30}


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"accelerator": ["cpu"]}, r"accelerator must be a word, got \['cpu'\]; choose for example cpu"),
        ({"precision": "99"}, r"precision must be 32-true, bf16-mixed or bf16-products, got 99; choose"),
        ({"precision": "16-mixed"}, r"precision .* got 16-mixed"),
        ({"precision": 32}, r"precision .* got 32;"),
        ({"threads": 0}, r"threads .* got 0"),
        ({"clip": -1}, r"clip must lie in \[0, 1e\+09\], got -1"),
        ({"points": 0}, r"points .* got 0"),
        ({"ahead": -1}, r"ahead .* got -1"),
        ({"compile": 1}, r"compile must be true, false, reduce-overhead or max-autotune, got 1"),
        (
            {"compile": "default"},
            r"compile must be true, false, reduce-overhead or max-autotune, got default",
        ),
    ],
)
def test_settings_that_cannot_train_are_refused_by_name(bad: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Hardware(**(HARDWARE | bad))


@pytest.mark.parametrize("accelerator", ["gpu", "abacus"])
def test_hardware_that_is_not_there_is_refused(accelerator: str) -> None:
    if accelerator == "gpu" and torch.cuda.is_available():
        pytest.skip("this machine has one")
    with pytest.raises(InputError, match=rf"accelerator must be one that works here, got {accelerator}: "):
        Hardware(**(HARDWARE | {"accelerator": accelerator})).check()


def test_hardware_that_is_there_passes_the_check() -> None:
    Hardware(**HARDWARE).check()


@pytest.mark.parametrize("ahead", [1, 3, 50])
def test_batches_made_ahead_are_the_same_in_the_same_order(ahead: int, prepared: Callable[..., Job]) -> None:
    batches = prepared().batches
    for plain, early in zip(Steps(batches, range(2, 9)), Steps(batches, range(2, 9), ahead), strict=True):
        assert torch.equal(plain.ids_BL, early.ids_BL)
        assert torch.equal(plain.position_M, early.position_M)


def test_no_more_batches_are_made_once_a_run_has_ended(prepared: Callable[..., Job]) -> None:
    made, batches = [], prepared().batches

    def make(step: int) -> Batch:
        made.append(step)
        return batches(step)

    early = iter(Steps(make, range(100), 3))
    next(early)
    early.close()  # type: ignore[attr-defined]
    assert set(made) <= {0, 1, 2, 3}


def test_a_batch_that_cannot_be_made_stops_the_run_that_waits_for_it() -> None:
    def make(step: int) -> Batch:
        raise InputError(f"no batch {step}")

    with pytest.raises(InputError, match="no batch 0"):
        next(iter(Steps(make, range(9), 2)))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch")  # its compiler uses what it deprecates
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
@pytest.mark.parametrize("precision", ["32-true", "bf16-products"])
def test_a_compiled_run_learns_the_same(fit: Fit, precision: str) -> None:
    words = ("model.dropout=0", "model.layers=1", f"trainer.precision={precision}")
    plain, compiled = (fit(*words, f"trainer.compile={word}") for word in ("false", "true"))
    assert compiled.curve("train/loss") == pytest.approx(plain.curve("train/loss"), abs=1e-3)
    assert compiled.curve("eval/mlm_loss") == pytest.approx(plain.curve("eval/mlm_loss"), abs=1e-3)


@needs_gpu
@pytest.mark.parametrize(
    "words",
    [
        ("trainer.compile=false", "trainer.precision=32-true"),
        ("trainer.compile=false",),
        ("trainer.compile=false", "trainer.precision=bf16-products"),
        ("trainer.compile=true",),
        ("trainer.compile=reduce-overhead", "pairs=none"),
        ("trainer.compile=reduce-overhead", "objective=alternating", "mask=scheduled"),
        ("trainer.compile=true", "model/norm=batch", "trainer.precision=32-true"),
    ],
    ids=" ".join,
)
def test_a_run_on_a_gpu_learns_the_same(fit: Fit, words: tuple[str, ...]) -> None:
    own = [word for word in words if not word.startswith("trainer.")]
    plain = fit("model.dropout=0", *own)
    gpu = fit("model.dropout=0", "trainer=gpu", "trainer.progress=false", *words)
    assert gpu.curve("train/loss") == pytest.approx(plain.curve("train/loss"), abs=0.03)  # bf16 has 8 bits
    assert gpu.curve("eval/mlm_loss") == pytest.approx(plain.curve("eval/mlm_loss"), abs=0.03)


@needs_gpu
def test_a_run_on_a_gpu_goes_on_where_it_was(fit: Fit) -> None:
    kept = list[Any]()
    words = ("trainer=gpu", "trainer.progress=false", "trainer.compile=false", "trainer.precision=32-true")
    whole = fit(
        *words, saver=Saver(0, lambda step, tensors, counters: kept.append((step, on_cpu(tensors), dict(counters))))
    )
    again = fit(*words, saved=kept[3])
    assert again.curve("train/loss") == pytest.approx(whole.curve("train/loss")[4:], abs=1e-4)
    assert again.curve("eval/mlm_loss") == pytest.approx(whole.curve("eval/mlm_loss")[4:], abs=1e-4)


def on_cpu(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Copy tensors as a checkpoint does."""
    return {name: tensor.to("cpu", copy=True) for name, tensor in tensors.items()}
