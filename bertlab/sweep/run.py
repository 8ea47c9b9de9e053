"""One run from its configuration to its record: prepare -> build -> fit -> evaluate -> record."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any

import torch

from bertlab.config.building import Parts, build_part, build_parts
from bertlab.config.compose import Typed
from bertlab.config.errors import InputError, at
from bertlab.data.batches import Batch, Batches, Staged, staged
from bertlab.data.form import Form
from bertlab.data.prepare import prepare
from bertlab.data.store import TokenStore
from bertlab.data.tokenizer import CLS
from bertlab.data.weights import Start, start_of
from bertlab.evaluation.score import Evaluation
from bertlab.evaluation.sequences import Reading
from bertlab.identity.code import PACKAGE, result_modules
from bertlab.identity.key import describe
from bertlab.mask import Ahead, AheadFirst
from bertlab.model.bert import Bert
from bertlab.model.combination import check_cls
from bertlab.model.flops import StagedFlops, count_flops
from bertlab.model.init import initialise, start_at_unigram
from bertlab.model.start import load_start
from bertlab.streams import Streams
from bertlab.sweep.moving import MOVED, take_over
from bertlab.sweep.ranks import followed
from bertlab.sweep.unsent import bring_unsent
from bertlab.tracking.description import identity_of
from bertlab.tracking.mlflow import Tracker
from bertlab.tracking.result import RunResult
from bertlab.tracking.reuse import mark_killed, result_on_disk, reused
from bertlab.tracking.run_folder import RunFolder, run_folder_of
from bertlab.tracking.run_log import RunLog
from bertlab.tracking.saved_model import TOKENIZER, keep
from bertlab.train.continued import NOTHING_YET, continues, state_of
from bertlab.train.early import form_of, steps_of, streams_of
from bertlab.train.fit import Hardware
from bertlab.train.module import Pretraining
from bertlab.train.recorder import Recorder, Saver, plan

log = logging.getLogger(__name__)
for _path in result_modules():  # import all now: a part imported later could be newer than the fingerprint of the code
    import_module(".".join(_path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__"))

GLANCE = 20  # batches that are checked before a run


@dataclass(frozen=True)
class Job:
    """Everything that a run needs before its model is built."""

    parts: Parts
    form: Form
    streams: Streams
    steps: int
    store: TokenStore
    evaluation: Evaluation
    batches: Batches | Staged
    start: Start | None = None

    def build_model(self) -> Bert:
        """Return the model with random weights, large enough for the longest text in training or evaluation."""
        longest = self.parts.evaluation.longest or self.form.length
        with at("model"):
            model: Bert = self.parts.model(self.store.vocabulary.size, longest)
        return model

    def initial_model(self) -> Bert:
        """Return the model with the initial weights of training."""
        model = self.build_model()
        initialise(model, self.streams)
        start_at_unigram(model, self.store.unigram)
        if self.start is not None:
            load_start(model, self.start, self.store.tokenizer)
        return model

    def count_flops(self, model: Bert) -> StagedFlops:
        """Count the FLOPs of a step on sequences of every length of the run."""
        lengths = {self.form.at_start.length, self.form.length}
        return StagedFlops({length: count_flops(model, length) for length in lengths})

    def check(self) -> None:
        """Raise InputError for batches, an objective, a model, an optimiser or hardware that cannot train."""
        first = self.batches(0)  # outside the block: a mask's error is not the objective's
        with at("objective"):
            self.parts.objective.check(first)
        if not any(len(self.batches(step).target_M) for step in range(min(self.steps, GLANCE))):
            raise InputError(
                f"mask must choose tokens to predict, got none in the first {min(self.steps, GLANCE)} batches; "
                "look at them with python -m bertlab.show and change a key of mask"
            )
        with torch.device("meta"):  # no memory for weights
            model = self.build_model()
        if self.start is not None:
            self.initial_model()  # find out now whether the start's weights fit
        if not self.form.cls:
            check_cls(model.embedding, model.pooling)
        with at("optimizer"):
            self.parts.optimizer(model)
        if isinstance(self.parts.mask, Ahead) and looks_ahead(self.build_model(), self.batches(0)):
            raise InputError(
                "mask=next_token needs a model in which no token looks ahead, got one that is given the answers; "
                "choose model/visibility=left_to_right"
            )
        if isinstance(self.parts.mask, AheadFirst) and looks_ahead(self.build_model(), self.batches(0)):
            raise InputError(
                "mask=next_token_first needs tokens that can be kept from looking ahead, and this model/attention "
                "cannot; choose model/attention=softmax"
            )
        with at("trainer"):
            self.parts.trainer.check()


def prepare_job(config: Mapping[str, Any]) -> Job:
    """Build the parts and open the data. Raises InputError for a configuration that cannot run."""
    parts = build_parts(config)
    form, streams = form_of(config), streams_of(config)
    steps = steps_of(config, form)
    store = prepare(parts.data, parts.tokenizer)
    reading = Reading(form.cls, parts.mask.ahead if isinstance(parts.mask, Ahead) else 0)
    if isinstance(parts.mask, AheadFirst):
        replace(reading, ahead=parts.mask.starts_ahead)  # raises if the mask predicts ahead and the evaluation cannot
    with at("evaluation"):
        prepared = parts.evaluation.prepare(store, parts.data, form.length)
    evaluation = replace(prepared, reading=reading)
    text = (store.splits["train"], store.vocabulary, parts.pairs, parts.mask)
    batches = staged(lambda form: Batches(*text, form, streams, steps), form, steps)
    return Job(parts, form, streams, steps, store, evaluation, batches, start_of(config))


def check(config: Mapping[str, Any]) -> Job:
    """Return the job that `train` would run. Raises InputError for errors that would stop it at its start."""
    job = prepare_job(config)
    job.check()
    return job


def train(config: Mapping[str, Any], asked: Typed, tracker: Tracker | None = None) -> RunResult:
    """Train, evaluate and record the run of `config`, or reuse the finished one; continue a stopped one.

    Returns the result. `asked` gives the run's name and the settings in its record. `tracker`: the one of `config`, if
    it is already built.
    """
    tracking: Tracker = tracker or build_part(config, "tracking")
    tracking.look()  # find out first whether the store answers
    job = check(config)
    if warning := job.store.facts.get("warning"):
        log.warning("data=%s: %s", job.parts.data.name, warning)
    description = describe(config, asked, job.store)
    identity, output_dir = identity_of(description.tags), config["output_dir"]
    if tracking.parent is None:  # for a job of a sweep or study, the leading process has done this
        mark_killed(tracking, output_dir)
        bring_unsent(tracking, output_dir)
    cell = run_folder_of(output_dir, identity.key, identity.code, identity.made_in)
    with in_turn(cell):
        if broken := cell.distrust():
            log.warning("%s is not what its run left, %s is damaged; the run is made again", cell.folder, broken)
        if not broken and (found := tracking.or_offline(lambda: reused(tracking, output_dir, identity))):
            return found
        moved = take_over(config, cell, tracking.reuse)
        with tracking.run(description, cell) as run, followed(job.parts.trainer, config):
            if moved:
                run.tag(MOVED, moved)
            if job.start is not None and continues(config) and run.saved() is None:
                run.save(0, state_of(job.start, job.store.tokenizer), NOTHING_YET)
            fit(job, run)
        return result_on_disk(cell)


def fit(job: Job, run: RunLog) -> str:
    """Train and evaluate a run from its start or newest checkpoint; return the result in words."""
    model = job.initial_model()
    module = Pretraining(model, job.parts.objective, job.parts.optimizer, job.parts.schedule, job.steps, job.streams)
    evaluate_at = job.parts.evaluation.steps(job.steps, job.form.tokens, job.form.length, job.evaluation.last_passes)
    trainer: Hardware = job.parts.trainer
    planned, flops = plan(job.steps, trainer.points, evaluate_at), job.count_flops(model)
    recorder = Recorder(planned, job.evaluation, flops, run.log, Saver(trainer.checkpoint_seconds, run.save))
    steps = f"{job.steps:,} steps" if trainer.trains else "no training"
    log.info("%s: %s parameters, %s", run.name, f"{_size(model):,}", steps)
    if saved := run.saved():
        module.resume(saved.step, saved.tensors)
        recorder.resume(saved.about["counters"], saved.tensors)
        log.info("%s: goes on after step %s", run.name, f"{saved.step:,}")
    trainer.fit(module, job.batches, recorder, run.cell.folder)
    if recorder.diverged:
        run.tag("bertlab.diverged", "true")
    elif job.parts.tracking.weights:
        keep(run, model, job.store.folder / TOKENIZER, length=model.shape.length)
    run.finish(recorder.outcome, diverged=recorder.diverged)
    return recorder.outcome


@contextmanager
def in_turn(cell: RunFolder) -> Iterator[None]:
    """Hold the lock of a run folder; wait for another process that trains it."""
    with cell.held(0) as held:
        if held:
            yield
            return
    log.info("another process trains this run; waiting for it to end")
    with cell.held():
        yield


@torch.no_grad()
def looks_ahead(model: Bert, batch: Batch) -> bool:
    """Return whether states up to the middle predicted position of a row depend on tokens after it."""
    length = batch.ids_BL.shape[1]
    other_BL, early = batch.ids_BL.clone(), torch.zeros(batch.ids_BL.shape, dtype=torch.bool)
    for row, ids_L in enumerate(other_BL):
        column = batch.position_M[batch.position_M // length == row] % length
        if len(column):
            early[row, column[column <= column.median()]] = True
            ids_L[column.median() + 1 :] = CLS
    one, other = (model.eval().encode(seen)[early] for seen in (batch, replace(batch, ids_BL=other_BL)))
    return not torch.allclose(one, other, rtol=0, atol=1e-5)


def _size(model: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())
