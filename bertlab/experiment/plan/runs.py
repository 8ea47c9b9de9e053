"""The runs of a study and their cost, before they are made.

Enters: the study's file and overrides. Leaves: the cost of one run of every arm and control, and for every look the
maximum number of runs, how many are finished, and the sums. An arm's time is the measured time of the baseline's step
times the ratio of their FLOPs: good between similar models, rough between different kinds.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from joblib import cpu_count, effective_n_jobs
from omegaconf import DictConfig
from torch import nn

from bertlab.config.errors import InputError
from bertlab.evaluation.finetune import tuning_tokens
from bertlab.experiment.plan.speed import seconds_a_step
from bertlab.experiment.sequential import EXPLORING, FIRST_EXPLORING, regime_of
from bertlab.experiment.trunk import NAME as TRUNK
from bertlab.experiment.trunk import SEEDS
from bertlab.identity.key import identify
from bertlab.model.flops import count_flops
from bertlab.study.arms import Config, Registration, at_stage, from_file, register
from bertlab.study.design import Study
from bertlab.study.outcome import outcome_of
from bertlab.study.record import EXPLORATION
from bertlab.study.regime import Regime
from bertlab.study.search import at_most, of_trials
from bertlab.sweep.run import Job, prepare_job
from bertlab.tracking.connection import is_there
from bertlab.tracking.mlflow import Tracker
from bertlab.tracking.reuse import finished_identities

Planned = tuple[str, int]  # arm, seed


@dataclass(frozen=True)
class Cost:
    """What one run costs."""

    tokens: int
    flops: float  # of training
    evaluation: float  # common evaluation, as a share of training
    weights: int  # bytes that stay on disk
    fingerprint: str  # of its data


@dataclass(frozen=True)
class Sums:
    """What a study needs up to a look if every arm runs until then."""

    until: str
    runs: int
    finished: int
    tokens: int
    weights: int
    seconds: float | None  # for the remaining runs, in parallel if the launcher does so


@dataclass(frozen=True)
class Runs:
    """All runs of a study. `speed`: the baseline's, in FLOPs per second; None if not measured."""

    registration: Registration
    costs: Mapping[str, Cost]
    done: Collection[tuple[str, ...]]  # identities of finished runs, by `tracking.reuse`
    speed: float | None
    side_by_side: int
    reports: Path
    regime: Regime  # of the baseline, as in its later record
    trials: Mapping[str, Config] = field(default_factory=dict)  # of the search

    @property
    def study(self) -> Study:
        """The study."""
        return self.registration.study

    @cached_property
    def configs(self) -> dict[str, Config]:
        """The configuration of every arm, control and of the exploration."""
        arms = {**self.registration.arms, **self.registration.controls}
        explored = {EXPLORATION: arms[self.study.baseline]} if outcome_of(self.study.outcome).curve else {}
        return {**arms, **explored}

    def seconds(self, arm: str) -> float | None:
        """Return the seconds of one run, evaluation included."""
        cost = self.costs[arm]
        return None if self.speed is None else cost.flops / self.speed * (1 + cost.evaluation)

    def until_each_look(self) -> Iterator[Sums]:
        """Yield the sums up to each look, the exploration first."""
        explored = dict.fromkeys(self.trials, self.study.search.seeds if self.study.search else 0)
        explored |= {arm: EXPLORING for arm in self.configs if arm == EXPLORATION}
        cells = [(arm, FIRST_EXPLORING + seed) for arm, seeds in explored.items() for seed in range(seeds)]
        if cells:
            yield self._sums(EXPLORATION, cells)
        for look in self.study.looks:
            arms = [arm for arm in self.configs if arm != EXPLORATION]
            wanted = [(arm, seed) for arm in arms for seed in range(self.study.seeds_at(arm, look))]
            yield self._sums(f"look at {look} seeds", [*cells, *wanted])

    def identity(self, arm: str, seed: int) -> tuple[str, ...]:
        """Return the identity by which a finished run is found, by `tracking.reuse`."""
        trunk = self.registration.trunk if arm == TRUNK else None
        config = {**self.configs, **self.trials}[arm] if trunk is None else trunk
        found = identify({**config, "seed": seed if trunk is None else SEEDS + seed}, self.costs[arm].fingerprint)
        return found.as_reused(config["tracking"]["reuse"])

    def _sums(self, until: str, cells: Sequence[Planned]) -> Sums:
        if self.registration.trunk is not None:  # runs of the trunk are found; those of arms only after its training
            cells = [*cells, *((TRUNK, seed) for seed in sorted({seed for _, seed in cells}))]
        unique = {self.identity(arm, seed): arm for arm, seed in cells}
        left = [arm for key, arm in unique.items() if key not in self.done]
        arms = list(unique.values())
        seconds = [self.seconds(arm) for arm in left]
        known = [each for each in seconds if each is not None]
        return Sums(
            until=until,
            runs=len(arms),
            finished=len(arms) - len(left),
            tokens=sum(self.costs[arm].tokens for arm in arms),
            weights=sum(self.costs[arm].weights for arm in arms),
            seconds=sum(known) / min(self.side_by_side, max(len(left), 1)) if len(known) == len(left) else None,
        )


def plan_runs(study: str, overrides: Sequence[str], seconds: float) -> Runs:
    """Compose and check the study and all its arms as at its start; train for `seconds` to measure speed.

    Raises InputError for errors that would stop the study at its start.
    """
    compose = from_file(study, *overrides)
    registration = register(compose)
    trunk = {} if registration.trunk is None else {TRUNK: registration.trunk}
    trials: Mapping[str, Config] = {}
    if registration.study.search:
        trials = at_stage(registration, of_trials(registration.study), compose).arms
        registration = at_stage(registration, at_most(registration.study), compose)
    composed = compose([])
    baseline = registration.study.baseline
    jobs = {
        name: _job(config) for name, config in {**registration.arms, **registration.controls, **trials, **trunk}.items()
    }
    costs = {name: cost(job) for name, job in jobs.items()}
    job = jobs[baseline]
    flops = costs[baseline].flops / job.steps
    return Runs(
        registration=registration,
        costs={**costs, EXPLORATION: costs[baseline]},
        done=finished_runs(job.parts.tracking),
        speed=flops / seconds_a_step(job, seconds) if seconds else None,
        side_by_side=side_by_side(composed),
        reports=Path(composed.report_dir),
        regime=regime_of(job, registration.arms[baseline]),
        trials=trials,
    )


def _job(config: Config) -> Job:
    job = prepare_job({**config, "trainer": {**config["trainer"], "progress": False}})
    job.check()
    return job


def cost(job: Job) -> Cost:
    """Return the cost of a run; FLOPs are those of a middle step times the number of steps."""
    with torch.device("meta"):  # no memory for weights
        model = job.build_model()
    step = count_flops(model, job.form.length).of_step(job.batches(job.steps // 2))
    return Cost(
        tokens=job.steps * job.form.tokens,
        flops=float(step) * job.steps,
        evaluation=evaluation_share(job),
        weights=stored_bytes(model) if job.parts.tracking.weights else 0,
        fingerprint=job.store.fingerprint,
    )


def evaluation_share(job: Job) -> float:
    """Return the planned cost of evaluation as a share of training; a forward pass is a third of a training step."""
    evaluation, last = job.evaluation, job.evaluation.last_passes
    points = job.parts.evaluation.steps(job.steps, job.form.tokens, job.form.length, last)
    text, pairs = evaluation.text.ids_NL.size, evaluation.pairs.ids_NL.size
    point = text + (pairs if evaluation.has_pairs else 0)
    small = evaluation.finetuning
    tuning = tuning_tokens(small.tasks, small.examples, job.form.length, small.seeds)
    return (float(len(points) * point + last * text) / 3 + tuning) / (job.steps * job.form.tokens)


def stored_bytes(model: nn.Module) -> int:
    """Return the size of a model's weights; shared ones count once."""
    stored = model.state_dict().keys()
    tensors: Iterator[tuple[str, Any]] = chain(model.named_parameters(), model.named_buffers())
    return sum(tensor.nbytes for name, tensor in tensors if name in stored)


def finished_runs(tracker: Tracker) -> Collection[tuple[str, ...]]:
    """Return the identities of the finished runs in the store; nothing if there is no store yet."""
    if not is_there(tracker.uri):
        return ()
    client = tracker.connect()
    if client.get_experiment_by_name(tracker.experiment) is None:
        return ()
    return {identity.as_reused(tracker.reuse) for identity in finished_identities(client, tracker.experiment)}


def side_by_side(config: DictConfig) -> int:
    """Return how many runs the launcher makes in parallel on this machine, at most one per core."""
    asked = config.hydra.launcher.get("n_jobs", 1)
    if asked == 0:
        raise InputError("hydra.launcher.n_jobs must be a number of processes, or -1 for all cores, got 0; write 2")
    workers: int = effective_n_jobs(asked)
    return min(workers, int(cpu_count()))
