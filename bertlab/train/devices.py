"""A run on several devices of one machine: Lightning's DDP (Li et al. 2020, arXiv:2006.15704), a process each.

Every process draws the same batches and works on its own rows. Only that of rank 0 has a recorder: it evaluates, keeps
points and checkpoints and talks to the store. The others are started with the run (`bertlab/sweep/ranks.py`) and take
the state that it goes on from from rank 0, so that a run may go on with another number of devices.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from pytorch_lightning.accelerators import CPUAccelerator, CUDAAccelerator
from pytorch_lightning.strategies import DDPStrategy
from torch import distributed

from bertlab.batch.batches import Batch
from bertlab.config.bounds import bounded
from bertlab.config.errors import InputError, own
from bertlab.train import fit
from bertlab.train.divided import Divided, Division
from bertlab.train.module import Pretraining
from bertlab.train.precision import RoundedProducts
from bertlab.train.recorder import Plan, Recorder

LONGEST_WAIT = timedelta(hours=12)  # for the others: rank 0 evaluates while they wait
BACKENDS = {"cpu": "gloo", "cuda": "cpu:gloo,cuda:nccl"}  # state is sent from memory


@dataclass(frozen=True)
class Group:
    """The processes of a run, of which this is one. They meet at a file that nobody else uses."""

    rank: int
    size: int
    meeting: Path

    @contextmanager
    def joined(self, device: str) -> Iterator[None]:
        """Be in the group for a while; all have to be."""
        hook = sys.excepthook  # torch's own, from here on, marks each line of a traceback
        store = distributed.FileStore(str(self.meeting), self.size)  # type: ignore[attr-defined]
        distributed.init_process_group(
            BACKENDS[device], store=store, rank=self.rank, world_size=self.size, timeout=LONGEST_WAIT
        )
        try:
            yield
        finally:
            distributed.destroy_process_group()
            sys.excepthook = hook


class Hardware(fit.Hardware):
    """`devices` of one kind, each of which takes its rows of a batch in `accumulate` parts, one by one."""

    @bounded
    def __init__(self, *, devices: int, accumulate: int, **hardware: Any) -> None:
        super().__init__(**hardware)
        self.devices, self.accumulate = devices, accumulate
        self.group = Group(0, 1, Path())  # before the other processes are there
        self._looks_for_unused = True
        if self.compile:
            raise InputError(
                f"{own('compile')} must be false where a batch is divided, got {self.compile}; leave it as it is"
            )

    def check(self) -> None:
        """Raise InputError for hardware that this machine lacks."""
        super().check()
        kind = self._trainer(1, [], Path()).accelerator
        there = self.devices if isinstance(kind, CPUAccelerator) else kind.auto_device_count()
        if self.devices > there:
            raise InputError(
                f"{own('devices')} must be at most {there}, as many as there are here, got {self.devices}; lower it"
            )

    def fit(self, module: Pretraining, batches: Callable[[int], Batch], recorder: Recorder, folder: Path) -> None:
        """Train as one device does, with the others of the group."""
        assert self.group.size == self.devices, "the other processes must have been started"
        division = Division(self.group.rank, self.devices, self.accumulate)
        if self.devices == 1:
            super().fit(Divided(module, division), batches, recorder, folder)
            return
        cuda = isinstance(super()._trainer(1, [], folder).accelerator, CUDAAccelerator)
        with self.group.joined("cuda" if cuda else "cpu"):
            state: list[Any] = [module.first, dict(module._saved)]
            distributed.broadcast_object_list(state)
            module.first, module._saved = state  # weights are sent by DDP
            divided = Divided(module, division)
            self._looks_for_unused = divided.leaves_out(batches(module.first))
            super().fit(divided, batches, recorder, folder)

    def follow(self, module: Pretraining, batches: Callable[[int], Batch], steps: int) -> None:
        """Train as another rank than 0, which records nothing."""
        nothing = Plan(steps, frozenset(), frozenset())
        self.fit(module, batches, Recorder(nothing, None, None, lambda *_: None), Path())  # type: ignore[arg-type]

    def _trainer(self, steps: int, callbacks: list[pl.Callback], folder: Path) -> pl.Trainer:
        if self.group.size == 1:
            return super()._trainer(steps, callbacks, folder)
        rounds = self.precision == RoundedProducts.precision
        return pl.Trainer(
            accelerator=self.accelerator,
            devices=self.devices,
            strategy=Joined(find_unused_parameters=self._looks_for_unused, broadcast_buffers=False),
            use_distributed_sampler=False,
            precision=None if rounds else self.precision,  # type: ignore[arg-type]
            plugins=[Member(self.group), *([RoundedProducts()] if rounds else [])],
            default_root_dir=folder,
            max_steps=steps,
            max_epochs=1,
            gradient_clip_val=self.clip or None,
            callbacks=[] if self.group.rank else callbacks,
            logger=False,
            enable_checkpointing=False,
            enable_model_summary=False,
            enable_progress_bar=False,
        )


class Joined(DDPStrategy):
    """DDP in a group that exists: nothing is launched, and the number of threads stays what it was set to."""

    def _configure_launcher(self) -> None:
        self._launcher = None


class Member(LightningEnvironment):
    """Tells Lightning which process of the group this is."""

    creates_processes_externally = True

    def __init__(self, group: Group) -> None:
        super().__init__()
        self._group = group

    def local_rank(self) -> int:
        """Return the rank, which is that of the device too."""
        return self._group.rank

    def node_rank(self) -> int:
        """Return 0: there is one machine."""
        return 0
