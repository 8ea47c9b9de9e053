"""Training speed against transformers' Trainer: `python benchmarks/training.py [cases=nano/nsp/32x128,...]`.

Both train the same architecture on the same sequences, with dropout .1: bertlab's own loop, with its recorder, against
BertForPreTraining with Trainer and DataCollatorForLanguageModeling. The latter have a separate process, since bertlab
changes settings of its process. The second limit is the machine's: the rate of the step's matrix products alone, at the
same shapes and precision, and on a GPU also the rate of a large product. Model FLOPs count all positions, as is usual.
A step that skips padding and states that nobody reads computes fewer. With padding, where most of the computation can
be skipped, the rate is shown without a target.
  cases=       size/pairs/sequences x tokens; pairs are nsp, sentence pairs as in BERT, padded, or none, full sequences
               (bertlab skips padding on the CPU); default: three sizes with both
  trainer=cpu  or gpu: bf16 for all, compiled for bertlab, four collating processes for transformers
  precision=   of trainer; default: its own. With any other than 32-true, transformers has bf16=True
  files=       training files of data=text; default: docs
  kept=        ending of the name of the file with the results
  vocabulary=8192
  threads=1    of torch, for all contestants on the CPU
  seconds=6    of a contestant per round, roughly
  rounds=5
"""

import os
import re
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor, ProcessPoolExecutor
from functools import cache
from multiprocessing import get_context, set_start_method
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import torch
from measure import Row, alternate, keep, ratio, show, spread
from products import Kinds, Shapes, flops_of, products, replay

from bertlab.config.arguments import parse
from bertlab.config.compose import load, resolved
from bertlab.config.error_messages import one_line_errors
from bertlab.config.errors import InputError
from bertlab.data.batches import Batch
from bertlab.data.tokenizer import CLS, MASK, PAD, SEP, SPECIALS, UNK
from bertlab.model.flops import Flops, count_flops
from bertlab.sweep.run import Job, prepare_job
from bertlab.train.module import Pretraining
from bertlab.train.recorder import Plan, Recorder

CASES = ",".join(f"{size}/{pairs}/32x128" for size in ("nano", "tiny", "mini") for pairs in ("nsp", "none"))
DEFAULTS = {
    **{"cases": CASES, "trainer": "cpu", "precision": "", "files": "", "kept": ""},
    **{"vocabulary": "8192", "threads": "1", "seconds": "6", "rounds": "5"},
}
PUBLISHED = ("model/position=learned",)  # the only position embedding of BertForPreTraining
WARM = {"cpu": 3, "cuda": 10}  # steps before the clock starts
PEER, PRODUCTS, ON_GPU = 3.0, {"nano": 0.45, "tiny": 0.45, "mini": 0.6, "small": 0.6, "base": 0.6}, 0.45  # targets
LARGE = 8192  # rows and columns of the product that measures the GPU's rate


class Case(NamedTuple):
    """Size, pairs and batch shape of a training."""

    size: str
    pairs: str
    batch: int
    length: int

    @classmethod
    def read(cls, text: str) -> "Case":
        """Parse a case of the form size/pairs/sequences x tokens. Raises InputError."""
        found = re.fullmatch(r"(\w+)/(nsp|none)/(\d+)x(\d+)", text)
        if found is None or found[1] not in PRODUCTS:
            raise InputError(
                f"cases must be size/pairs/sequences x tokens, size of {', '.join(PRODUCTS)}, pairs nsp or none, "
                f"got {text}; choose for example nano/nsp/32x128"
            )
        return cls(found[1], found[2], int(found[3]), int(found[4]))


def main() -> None:
    """Measure and save."""
    arguments = parse(DEFAULTS, __doc__, sys.argv[1:])
    torch.set_num_threads(int(arguments["threads"]))
    rows: list[Row] = []
    for case in [Case.read(text) for text in arguments["cases"].split(",")]:
        with ProcessPoolExecutor(1, get_context("spawn")) as elsewhere:
            found = compare(case, arguments, elsewhere)
        rows += found
        keep(rows, arguments["kept"])  # after every case: an interrupted benchmark loses only one
        show(found)


def compare(case: Case, arguments: Mapping[str, str], elsewhere: Executor) -> list[Row]:
    """Return the rows of one case."""
    job = prepared(case, arguments)
    length, rounds = float(arguments["seconds"]), int(arguments["rounds"])
    which, device = (case, tuple(arguments.items())), device_of(job)
    their_parameters = elsewhere.submit(parameters_of_theirs, *which)  # set up in both processes at the same time
    ours = Ours(job)
    ours.pace(2)  # the first compiles
    their_number = their_parameters.result()
    steps = max(round(length / ours.pace(5)), 2)
    slower = max(steps // 3, 2)
    shapes = shapes_of(job)
    contestants = {
        "ours": lambda: ours.pace(steps),
        "theirs": lambda: elsewhere.submit(pace_of_theirs, slower, *which).result(),
        "products": lambda: replay(shapes, max(steps // 2, 2), device, kinds_of(job)),
    }
    if device == "cuda":
        first = job.batches(0)
        contestants["one batch"] = lambda: ours.pace(steps, lambda step: first)
        contestants["large"] = lambda: replay(Counter({((LARGE, LARGE), (LARGE, LARGE)): 1}), 50, device, kinds_of(job))
    found = alternate(contestants, rounds)
    in_bf16 = job.parts.trainer.precision != "32-true"
    speed = {name: job.form.tokens / statistics.median(paces) for name, paces in found.items()}
    faster, used = ratio(found["theirs"], found["ours"]), ratio(found["products"], found["ours"])
    share = real_share(job)
    what = f"{case.size}, {case.batch} x {case.length}, {share:.0%} of the positions real"
    what += ", bf16" if in_bf16 and device == "cpu" else ""
    model_flops = ours.flops.of_step(job.batches(0))
    counted = model_flops / flops_of(shapes)
    aim = PRODUCTS[case.size] if device == "cpu" and share == 1 and not in_bf16 else None
    parameters = sum(parameter.numel() for parameter in ours.module.model.parameters())
    rows = [
        Row(
            f"training, {what} ({parameters:,} parameters)",
            f"transformers, {their_number:,} parameters",
            f"{faster:.1f}x: {speed['ours']:,.0f} against {speed['theirs']:,.0f} tokens/s",
            f"{PEER:g}x" if device == "cpu" else "",
            faster >= PEER if device == "cpu" else None,
            spread(found["theirs"], found["ours"]),
        ),
        Row(
            f"model FLOPs/s of the step, {what}",
            f"its matrix products alone, {'bf16' if in_bf16 else 'float32'}",
            f"{used * counted:.2f}",
            f"{aim:g}" if aim else "",
            used * counted >= aim if aim else None,
            f"{used:.2f} of what it computes, {1 / counted:.0%} of the model FLOPs: "
            + spread(found["products"], found["ours"]),
        ),
    ]
    return rows if device == "cpu" else [*rows, *of_card(case, what, model_flops, found)]


def of_card(case: Case, what: str, model_flops: int, found: Mapping[str, list[float]]) -> Iterator[Row]:
    """Yield the rows that exist only on a GPU; `found` has seconds, by contestant and round."""
    yield Row(
        f"training, {what}",
        "the same batch again and again: the most that masks made on the device could give",
        f"{ratio(found['one batch'], found['ours']):.2f}x",
        "",
        None,
        spread(found["one batch"], found["ours"]),
    )
    large = 2 * LARGE**3
    shares = [model_flops / own / (large / best) for own, best in zip(found["ours"], found["large"], strict=True)]
    share, is_aim = statistics.median(shares), case.size == "base"
    yield Row(
        f"model FLOPs/s of the step, {what}",
        f"products of {LARGE} x {LARGE} in bf16, {large / statistics.median(found['large']):.3g} FLOP/s",
        f"{share:.2g}: {model_flops / statistics.median(found['ours']):.3g} FLOP/s",
        f"{ON_GPU:g}" if is_aim else "",
        share >= ON_GPU if is_aim else None,
        f"{min(shares):.2g} to {max(shares):.2g} over {len(shares)} rounds",
    )


def prepared(case: Case, arguments: Mapping[str, str] = DEFAULTS) -> Job:
    """Return the training job of both."""
    data = ["data=text", f"data.files={arguments['files']}"] if arguments["files"] else ["data=docs"]
    own = [f"model={case.size}", f"trainer={arguments['trainer']}", f"tokenizer.vocab_size={arguments['vocabulary']}"]
    own += [f"batch.size={case.batch}", f"batch.length={case.length}", "model.dropout=0.1"]
    own += [f"trainer.precision={arguments['precision']}"] if arguments["precision"] else []
    if arguments["trainer"] == "gpu":  # a logged point waits for the GPU: every fiftieth step, as in a long run
        own.append(f"budget.tokens={5000 * case.batch * case.length}")
    words = [*own, *PUBLISHED, *data, f"pairs={case.pairs}", "trainer.progress=false", "tracking.offline=true"]
    return prepare_job(resolved(load([*words, f"output_dir={tempfile.gettempdir()}"])))


def shapes_of(job: Job) -> Counter[Shapes]:
    """Return the products of a step; on a GPU with all positions, including padding, as in its training."""
    if device_of(job) == "cpu":
        return products(job.build_model(), job.batches(0))
    with torch.device("meta"):  # no packing on this device either
        return products(job.build_model(), job.batches(0).to("meta"))


def real_share(job: Job) -> float:
    """Return the share of positions that are not padding, over a few batches."""
    masks = [job.batches(step).real_BL for step in range(8)]
    return statistics.mean(1.0 if mask is None else float(mask.float().mean()) for mask in masks)


def kinds_of(job: Job) -> Kinds:
    """Return the types for products of two matrices and of batches of matrices (attention)."""
    precision = job.parts.trainer.precision
    of_matrices = torch.float32 if precision == "32-true" else torch.bfloat16
    return of_matrices, torch.bfloat16 if precision == "bf16-mixed" else torch.float32


def device_of(job: Job) -> str:
    """Return cpu or cuda."""
    return "cpu" if job.parts.trainer.accelerator == "cpu" else "cuda"


class Clock:
    """Seconds per step, without the first steps and without what a trainer does after the last one.

    It waits for a GPU at the start and at the end of the measured time.
    """

    def __init__(self, device: str, steps: int) -> None:
        self.device, self.steps, self.total = device, steps, steps + WARM[device]
        self._done, self._start, self._end = 0, 0.0, 0.0

    def tick(self) -> None:
        """Note the end of a step."""
        self._done += 1
        if self._done == WARM[self.device]:
            self._start = self._now()
        if self._done == self.total:
            self._end = self._now()

    def pace(self) -> float:
        """Return seconds per step."""
        return (self._end - self._start) / self.steps

    def _now(self) -> float:
        """Wait for the device and return the time."""
        if self.device == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter()


class Ours:
    """bertlab's loop."""

    def __init__(self, job: Job) -> None:
        self.job, model = job, job.initial_model()
        parts = job.parts
        self.module = Pretraining(model, parts.objective, parts.optimizer, parts.schedule, job.steps, job.streams)
        self.flops = count_flops(model, job.form.length)

    def pace(self, steps: int, batches: Callable[[int], Batch] | None = None) -> float:
        """Return the seconds per step, with points logged as often as in a run of a hundred points."""
        clock = Clock(device_of(self.job), steps)
        every = frozenset(range(0, clock.total + 1, max(self.job.steps // 100, 1)))
        recorder = Ticking(clock, Plan(clock.total, every, frozenset()), self.flops)
        self.module.first = 0
        with tempfile.TemporaryDirectory() as folder:
            self.job.parts.trainer.fit(self.module, batches or self.job.batches, recorder, Path(folder))
        return clock.pace()


class Ticking(Recorder):
    """A recorder that also notes when steps end."""

    def __init__(self, clock: Clock, plan: Plan, flops: Flops) -> None:
        super().__init__(plan, None, flops, lambda step, numbers: None)  # type: ignore[arg-type]
        self._clock = clock

    def on_train_batch_end(self, *args: Any) -> None:
        """Note the end of a step."""
        super().on_train_batch_end(*args)
        self._clock.tick()


class Theirs:
    """The alternative: transformers' Trainer."""

    def __init__(self, job: Job) -> None:
        from transformers import (
            BertConfig,
            BertForPreTraining,
            DataCollatorForLanguageModeling,
            PreTrainedTokenizerFast,
        )

        shape = job.build_model().shape
        self.job = job
        self.model = BertForPreTraining(
            BertConfig(
                vocab_size=shape.vocab_size,
                hidden_size=shape.width,
                num_hidden_layers=shape.layers,
                num_attention_heads=shape.heads,
                intermediate_size=shape.inner,
                max_position_embeddings=shape.length,
                hidden_dropout_prob=shape.dropout,
                attention_probs_dropout_prob=shape.dropout,
            )
        )
        tokenizer = PreTrainedTokenizerFast(
            tokenizer_object=job.store.tokenizer,
            pad_token=SPECIALS[PAD],
            unk_token=SPECIALS[UNK],
            cls_token=SPECIALS[CLS],
            sep_token=SPECIALS[SEP],
            mask_token=SPECIALS[MASK],
        )
        self.collator = DataCollatorForLanguageModeling(tokenizer, mlm_probability=0.15)
        self.examples = examples(job, 40)

    def pace(self, steps: int) -> float:
        """Return the seconds per step."""
        from transformers import Trainer, TrainerCallback, TrainingArguments

        clock = Clock(device_of(self.job), steps)
        epoch = self.examples * (clock.total * self.job.form.size // len(self.examples) + 1)  # workers start once

        class Ticks(TrainerCallback):
            def on_step_end(self, *_: Any, **__: Any) -> None:
                clock.tick()

        with tempfile.TemporaryDirectory() as folder:
            settings = TrainingArguments(
                output_dir=folder,
                per_device_train_batch_size=self.job.form.size,
                max_steps=clock.total,
                learning_rate=1e-3,
                logging_steps=100,
                save_strategy="no",
                report_to=[],
                disable_tqdm=True,
                use_cpu=clock.device == "cpu",
                bf16=self.job.parts.trainer.precision != "32-true",
                dataloader_num_workers=0 if clock.device == "cpu" else 4,
            )
            trainer = Trainer(
                model=self.model,
                args=settings,
                data_collator=self.collator,
                train_dataset=epoch,
                callbacks=[Ticks()],
            )
            trainer.train()
        return clock.pace()


@cache
def theirs(case: Case, arguments: tuple[tuple[str, str], ...]) -> Theirs:
    """Return the only one of this process."""
    set_start_method("fork", force=True)  # as for Trainer's users; a spawned process would spawn its workers
    torch.set_num_threads(int(dict(arguments)["threads"]))
    return Theirs(prepared(case, dict(arguments)))


def pace_of_theirs(steps: int, *which: Any) -> float:
    """Return the seconds per step."""
    return theirs(*which).pace(steps)


def parameters_of_theirs(*which: Any) -> int:
    """Return the number of their parameters."""
    return int(theirs(*which).model.num_parameters())


def examples(job: Job, batches: int) -> Any:
    """Return the sequences of some batches without masking, as input of Trainer."""
    found = []
    for step in range(batches):
        batch = job.batches(step)
        ids_BL = batch.ids_BL.clone()
        ids_BL.view(-1)[batch.position_M] = batch.target_M
        for ids_L, segments_L, pair in zip(
            ids_BL.tolist(), batch.segments_BL.tolist(), batch.pair_B.tolist(), strict=True
        ):
            own = {"input_ids": ids_L, "token_type_ids": segments_L, "next_sentence_label": max(pair, 0)}
            found.append({**own, "attention_mask": [int(token != PAD) for token in ids_L]})
    return found


if __name__ == "__main__":
    with one_line_errors():
        main()
