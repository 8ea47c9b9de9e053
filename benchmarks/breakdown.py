"""Where the time of a training step goes: `python benchmarks/breakdown.py [model=nano]`, with a figure, profile.png.

There are two measurements. Timers in bertlab's own loop, including Lightning, give the whole step and its stages:
batch, forward, loss, backward, clip, optimiser, recorder, and the rest, which is Lightning's. Within forward and
backward, torch's profiler gives the shares of the parts of the model. Hooks open a named range around every part. An
operation belongs to the innermost range. A node of the backward graph belongs to the part of the operation that made
it, by autograd's sequence number. The gradient of a weight is accumulated right after its node, and counts for the same
part. (This file is not called profile.py, because Lightning imports Python's module of that name.)
  model=nano    a size, with the batch, positions and dropout of its default run
  steps=200     under the timers
  profiled=20   under the profiler
  out=          path of the figure; default: next to this file
"""

import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from matplotlib.figure import Figure
from measure import Row, save
from torch import nn
from torch.autograd import DeviceType
from torch.autograd.profiler_util import FunctionEvent
from torch.profiler import ProfilerActivity, profile, record_function
from training import WARM as STEPS
from training import Ours

from bertlab.config.arguments import parse
from bertlab.config.compose import load, resolved
from bertlab.config.error_messages import one_line_errors
from bertlab.model.bert import Bert
from bertlab.sweep.run import Job, prepare_job
from bertlab.train.module import Pretraining
from bertlab.train.recorder import Recorder

WARM = STEPS["cpu"]
DEFAULTS = {"model": "nano", "steps": "200", "profiled": "20", "out": str(Path(__file__).with_name("profile.png"))}
FORWARD, BACKWARD, ELSE = "forward", "backward", "not in the model"
RANGE = "part: "  # prefix that distinguishes the profiler's ranges from its operations
NODE = "autograd::engine::evaluate_function: "
REST, LOSS = "skip connections, glue", "loss, with the logits"
BIG = {"attention": "attention: scores and mixing", "feed_forward": "feed-forward"}
Parts = Mapping[str, Mapping[str, float]]  # part -> forward, backward or other -> seconds per step


def main() -> None:
    """Measure, draw and save."""
    given = parse(DEFAULTS, __doc__, sys.argv[1:])
    words = (f"model={given['model']}", "data=docs", "trainer.progress=false", "tracking.offline=true")
    job = prepare_job(resolved(load(words)))
    ours = Ours(job)
    stages = stages_of(ours, int(given["steps"]))
    shares = shares_of(ours.module, job, int(given["profiled"]))
    parts = join(stages, shares)
    title = (
        f"Where a training step of {given['model']} goes: {job.form.size} x {job.form.length} tokens, one CPU thread"
    )
    draw(parts, title, Path(given["out"]))
    model = stages[FORWARD] + stages["loss"] + stages[BACKWARD]
    slower = sum(shares.values()) / 1e6 / int(given["profiled"]) / model
    notes = f"1 thread of torch; model and loss take {slower:.2f} times as long under the profiler"
    save(rows(parts, given["model"]), notes=notes)


def rows(parts: Parts, model: str) -> list[Row]:
    """Return a row for each part."""
    whole = total(parts)
    return [
        Row(
            f"a step of {model}: {name}",
            "the whole step",
            f"{sum(took.values()) / whole:.1%}: {1e3 * sum(took.values()):.2f} ms",
            "",
            None,
            ", ".join(f"{kind} {1e3 * part:.2f} ms" for kind, part in took.items() if len(took) > 1),
        )
        for name, took in parts.items()
    ]


def total(parts: Parts) -> float:
    """Return the seconds of a step."""
    return sum(sum(took.values()) for took in parts.values())


class Stopwatch:
    """Adds up the seconds of named stages, without the first steps."""

    def __init__(self) -> None:
        self.seconds = Counter[str]()
        self.steps = 0
        self._marks: dict[str, float] = {}

    def start(self, name: str, *_: Any) -> None:
        """Start a stage."""
        self._marks[name] = time.perf_counter()

    def stop(self, name: str, *_: Any) -> None:
        """End it."""
        if self.steps >= WARM:
            self.seconds[name] += time.perf_counter() - self._marks[name]

    def around(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function, timed as a stage."""

        def watched(*given: Any, **named: Any) -> Any:
            self.start(name)
            try:
                return call(*given, **named)
            finally:
                self.stop(name)

        return watched


def stages_of(ours: Ours, steps: int) -> dict[str, float]:
    """Return the seconds of the stages of a step in bertlab's own loop; `step` is the whole step."""
    torch.set_num_threads(1)
    watch = Stopwatch()
    with stopwatches(ours, watch):
        whole = ours.pace(steps)
    return {"step": whole, **{name: took / steps for name, took in watch.seconds.items()}}


@contextmanager
def stopwatches(ours: Ours, watch: Stopwatch) -> Iterator[None]:
    """Time the stages of the loop during the block."""
    module = ours.module

    def ended(recorder: Recorder, *given: Any) -> None:
        watch.around("recorder", recorded)(recorder, *given)
        watch.steps += 1

    def clipped(self: Pretraining, optimizer: Any, *given: Any, **named: Any) -> None:
        watch.around("clip", clip)(self, optimizer, *given, **named)
        watch.start("optimiser")

    def configured(self: Pretraining) -> Any:
        found = configure(self)
        found["optimizer"].register_step_post_hook(lambda *_: watch.stop("optimiser"))
        return found

    recorded, clip = Recorder.on_train_batch_end, Pretraining.configure_gradient_clipping
    configure = Pretraining.configure_optimizers
    with ExitStack() as stack:
        enter = stack.enter_context
        enter(patch.object(Recorder, "on_train_batch_end", ended))
        enter(patch.object(Pretraining, "configure_gradient_clipping", clipped))
        enter(patch.object(Pretraining, "configure_optimizers", configured))
        enter(patch.object(Recorder, "on_before_backward", lambda *_: watch.start(BACKWARD)))
        enter(patch.object(Recorder, "on_after_backward", lambda *_: watch.stop(BACKWARD)))
        enter(patch.object(module, "objective", watch.around("loss", module.objective)))
        enter(patch.object(module.model, "forward", watch.around(FORWARD, module.model.forward)))
        enter(patch.object(type(ours.job.batches), "__call__", watch.around("batch", type(ours.job.batches).__call__)))
        yield


def shares_of(module: Pretraining, job: Job, steps: int) -> dict[tuple[str, str], float]:
    """Return the microseconds of each (part, forward or backward) under the profiler, summed over all steps."""
    model = module.model.train()
    assert isinstance(model, Bert)

    def step(number: int) -> None:
        batch = job.batches(number)
        with record_function(f"{RANGE}{REST}"):
            output = model(batch)
        with record_function(f"{RANGE}{LOSS}"):
            loss = module.objective(output, batch, number, job.steps)["loss"]
        loss.backward()
        model.zero_grad(set_to_none=True)

    for number in range(WARM):
        step(number)
    with ranges(model), profile(activities=[ProfilerActivity.CPU]) as profiler:
        for number in range(steps):
            step(number)
    return attributed(profiler.events())  # type: ignore[arg-type]


@contextmanager
def ranges(model: Bert) -> Iterator[None]:
    """Open a named range around every part of a model during the block."""
    handles, opened = [], list[Any]()

    def close(*_: Any) -> None:
        opened.pop().__exit__(None, None, None)

    def open_as(name: str) -> Callable[..., None]:
        def enter(*_: Any) -> None:
            opened.append(record_function(f"{RANGE}{name}"))
            opened[-1].__enter__()

        return enter

    for module, name in named_parts(model):
        handles += [module.register_forward_pre_hook(open_as(name)), module.register_forward_hook(close)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def named_parts(model: Bert) -> Iterator[tuple[nn.Module, str]]:
    """Yield the parts that are measured; the norms of the embedding and of the MLM head belong to these."""
    yield from [(model.embedding, "embedding"), (model.mlm_head, "MLM head"), (model.pair_head, "pair head")]
    for block in model.blocks:
        for name, module in block.named_children():
            if name in BIG:
                yield module, BIG[name]
            elif name.endswith("norm"):
                yield module, "norms"
            elif name == "dropout" and model.shape.dropout:
                yield module, "dropout"
        for layer in (layer for layer in block.attention.modules() if isinstance(layer, nn.Linear)):
            yield layer, "attention: projections"


def attributed(events: list[FunctionEvent]) -> Counter[tuple[str, str]]:
    """Return the microseconds of each (part, forward or backward).

    A node of the backward graph has the sequence number of the operation that made it. If operations share a number,
    the last one made the node.
    """
    events = sorted((event for event in events if event.device_type == DeviceType.CPU), key=_start)
    part_of: dict[int, str] = {}
    found = Counter[tuple[str, str]]()
    for event in events:
        if part := innermost(event):
            found[part, FORWARD] += event.self_cpu_time_total
            part_of[event.sequence_nr] = part
    last = LOSS
    for event in events:
        if event.name.startswith(NODE):
            last = part_of.get(event.sequence_nr, last) if event.sequence_nr >= 0 else last
            found[last, BACKWARD] += event.cpu_time_total
    return found


def _start(event: FunctionEvent) -> float:
    return float(event.time_range.start)


def innermost(event: FunctionEvent | None) -> str | None:
    """Return the part whose range contains an event."""
    while event is not None:
        if event.name.startswith(RANGE):
            return event.name.removeprefix(RANGE)
        event = event.cpu_parent
    return None


def join(stages: Mapping[str, float], shares: Mapping[tuple[str, str], float]) -> Parts:
    """Divide the seconds of the stages among the parts, in the order of a step."""
    kinds = {FORWARD: stages[FORWARD] + stages["loss"], BACKWARD: stages[BACKWARD]}
    sums = {kind: sum(took for (_, of), took in shares.items() if of == kind) for kind in kinds}
    parts: dict[str, dict[str, float]] = {"making the batch": {ELSE: stages["batch"]}}
    for name in dict.fromkeys(name for name, _ in shares):
        parts[name] = {kind: whole * shares.get((name, kind), 0.0) / sums[kind] for kind, whole in kinds.items()}
    names = {"clip": "clipping the gradient", "optimiser": "optimiser", "recorder": "recorder"}
    parts |= {words: {ELSE: stages[name]} for name, words in names.items()}
    parts["Lightning's loop"] = {ELSE: stages["step"] - total(parts)}
    return parts


def draw(parts: Parts, title: str, path: Path) -> None:
    """Draw a bar for each part, the longest at the top, with its percentage."""
    whole = total(parts)
    order = sorted(parts, key=lambda name: sum(parts[name].values()))
    figure = Figure(figsize=(8, 0.36 * len(order) + 1.5), layout="constrained")
    axes = figure.add_subplot()
    left = [0.0] * len(order)
    for kind, colour in {FORWARD: "#1f5a99", BACKWARD: "#8db8e3", ELSE: "#9a9a9a"}.items():
        width = [1e3 * parts[name].get(kind, 0.0) for name in order]
        axes.barh(order, width, left=left, color=colour, label=kind, height=0.72)
        left = [start + more for start, more in zip(left, width, strict=True)]
    for place, end in enumerate(left):
        axes.annotate(
            f"{end:.2f} ms, {end / whole / 10:.1f} %", (end, place), (4, 0), textcoords="offset points", va="center"
        )
    axes.set_xlim(0, 1.3 * max(left))
    axes.margins(y=0.02)
    axes.set_xlabel("ms of a step")
    percent = axes.secondary_xaxis("top", functions=(lambda ms: ms / whole / 10, lambda share: share * whole * 10))
    percent.set_xlabel("per cent of a step")
    figure.suptitle(f"{title}, {1e3 * whole:.1f} ms", x=0.01, ha="left")
    axes.legend(loc="lower right", frameon=False)
    axes.spines[["right"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    figure.savefig(path, dpi=150)


if __name__ == "__main__":
    with one_line_errors():
        main()
