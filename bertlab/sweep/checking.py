"""Checks many similar configurations, each like `run.check`, and reuses common results.

A step is repeated if anything that it depends on differs: a part if its section differs; batches if the corpus, the
pairs, the masks, the form, the steps or the streams differ. So a swept number costs only what depends on it, and every
configuration is checked. These objects are for checks only; every run builds its own.
"""

from collections import OrderedDict, defaultdict
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import torch

from bertlab.config.building import Parts, build_part
from bertlab.config.errors import at
from bertlab.data.batches import Batches, staged
from bertlab.data.prepare import prepare
from bertlab.data.store import Tokens, TokenStore
from bertlab.data.weights import start_of
from bertlab.evaluation.sequences import Reading
from bertlab.mask import Ahead, AheadFirst
from bertlab.sweep.run import GLANCE, Job
from bertlab.train.early import form_of, steps_of, streams_of

# most kept objects of a kind: parts are small, arrays as long as a corpus are not
KEPT = defaultdict(lambda: 4, part=1000, optimizer=100)


class Memory:
    """The latest results, by kind and key."""

    def __init__(self) -> None:
        self._made: dict[str, OrderedDict[Hashable, Any]] = defaultdict(OrderedDict)

    def once(self, kind: str, key: Hashable, make: Callable[[], Any]) -> Any:
        """Return the result of `make` for a key; call it only if the result is not kept."""
        made = self._made[kind]
        if key not in made:
            made[key] = make()
        made.move_to_end(key)
        if len(made) > KEPT[kind]:
            made.popitem(last=False)
        return made[key]


class Checks:
    """Checks configurations one after the other."""

    def __init__(self) -> None:
        self._memory = Memory()

    def check(self, config: Mapping[str, Any]) -> TokenStore:
        """Return the data of the run that `train` would make. Raises InputError if it would stop at its start."""
        job = self.prepare(config)
        job.check()
        return job.store

    def prepare(self, config: Mapping[str, Any]) -> Job:
        """Do the same as `bertlab.sweep.run.prepare_job`, with parts that remember earlier results."""
        once = self._memory.once
        parts = Parts(**{name: self._part(config, name) for name in Parts.__annotations__})
        form, streams = form_of(config), streams_of(config)
        steps = steps_of(config, form)
        data = _spelled(config, "data", "tokenizer")
        store: TokenStore = once("store", data, lambda: prepare(parts.data, parts.tokenizer))
        reading = Reading(form.cls, parts.mask.ahead if isinstance(parts.mask, Ahead) else 0)
        if isinstance(parts.mask, AheadFirst):
            # raises if the mask predicts ahead and the evaluation cannot
            replace(reading, ahead=parts.mask.starts_ahead)
        with at("evaluation"):
            key = data, _spelled(config, "evaluation"), form.length
            prepared = once("evaluation", key, lambda: parts.evaluation.prepare(store, parts.data, form.length))
        text = (store.splits["train"], store.vocabulary, parts.pairs, parts.mask)
        batches = once(
            "batches",
            (data, _spelled(config, "pairs", "mask", "batch", "budget", "seed", "redraw")),
            lambda: lru_cache(GLANCE)(staged(lambda form: Batches(*text, form, streams, steps), form, steps)),
        )
        return Job(parts, form, streams, steps, store, replace(prepared, reading=reading), batches, start_of(config))

    def _part(self, config: Mapping[str, Any], name: str) -> Any:
        make: Callable[[Any, Memory], Any] = REMEMBERING.get(name, lambda part, memory: part)
        return self._memory.once("part", _spelled(config, name), lambda: make(build_part(config, name), self._memory))


@dataclass(frozen=True)
class _Pairs:
    """Pairs of one split; equal draws are cut once."""

    part: Any
    memory: Memory

    def __call__(self, tokens: Tokens, length: int, rng: np.random.Generator) -> Any:
        key = id(self), id(tokens), length, str(rng.bit_generator.state)
        return self.memory.once("examples", key, lambda: (self, tokens, self.part(tokens, length, rng)))[-1]


@dataclass(frozen=True)
class _Model:
    """A model that is built once without memory for weights; a model with memory is built again each time."""

    part: Any
    memory: Memory

    def __call__(self, size: int, longest: int) -> Any:
        if torch.empty(0).device.type != "meta":
            return self.part(size, longest)
        key = id(self), size, longest
        return self.memory.once("model", key, lambda: (self, self.part(size, longest)))[-1]


@dataclass(frozen=True)
class _Optimizer:
    """An optimiser that is tested once on each model."""

    part: Any
    memory: Memory

    def __call__(self, model: Any) -> Any:
        key = id(self), id(model)
        return self.memory.once("optimizer", key, lambda: (self, model, self.part(model)))[-1]


@dataclass(frozen=True)
class _Trainer:
    """A trainer whose hardware is looked up once."""

    part: Any
    memory: Memory

    def check(self) -> None:
        self.memory.once("trainer", id(self), lambda: (self, self.part.check()))


REMEMBERING: Mapping[str, Callable[[Any, Memory], Any]] = {
    "pairs": _Pairs,
    "model": _Model,
    "optimizer": _Optimizer,
    "trainer": _Trainer,
}


def _spelled(config: Mapping[str, Any], *names: str) -> str:
    """Return some sections as one text; equal texts mean equal sections."""
    return repr([(name, config.get(name)) for name in names])
