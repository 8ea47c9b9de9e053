"""A run on several devices of one machine: Lightning's DDP (Li et al. 2020, arXiv:2006.15704), one process per device.

Every process draws the same batches and computes its own rows. Only rank 0 has a recorder: it evaluates, writes points
and checkpoints, and talks to the store. The other processes start with the run (`bertlab/sweep/ranks.py`) and receive
the checkpoint's state from rank 0, so a run may continue with another number of devices.
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

from bertlab.config.bounds import bounded
from bertlab.config.errors import InputError, own
from bertlab.data.batches import Batch
from bertlab.train import fit
from bertlab.train.divided import Divided, Division
from bertlab.train.module import Pretraining
from bertlab.train.precision import RoundedProducts
from bertlab.train.recorder import Plan, Recorder

LONGEST_WAIT = timedelta(hours=12)  # the other ranks wait while rank 0 evaluates
BACKENDS = {"cpu": "gloo", "cuda": "cpu:gloo,cuda:nccl"}  # state is sent from CPU memory


@dataclass(frozen=True)
class Group:
    """The processes of a run, including this one. They meet at a file that no other run uses."""

    rank: int
    size: int
    meeting: Path

    @contextmanager
    def joined(self, device: str) -> Iterator[None]:
        """Join the group inside this context; all processes must do it."""
        hook = sys.excepthook  # from here on torch would prefix each line of a traceback
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
    """`devices` of one kind; each computes its rows of a batch in `accumulate` parts, one after the other."""

    @bounded
    def __init__(self, *, devices: int, accumulate: int, **hardware: Any) -> None:
        super().__init__(**hardware)
        self.devices, self.accumulate = devices, accumulate
        self.group = Group(0, 1, Path())  # until the other processes exist
        self._looks_for_unused = True
        if self.compile:
            raise InputError(
                f"{own('compile')} must be false where a batch is divided, got {self.compile}; leave it as it is"
            )

    def check(self) -> None:
        """Raise InputError for hardware that this machine does not have."""
        super().check()
        kind = self._trainer(1, [], Path()).accelerator
        there = self.devices if isinstance(kind, CPUAccelerator) else kind.auto_device_count()
        if self.devices > there:
            raise InputError(
                f"{own('devices')} must be at most {there}, as many as there are here, got {self.devices}; lower it"
            )

    def fit(self, module: Pretraining, batches: Callable[[int], Batch], recorder: Recorder, folder: Path) -> None:
        """Train like one device, together with the other processes of the group."""
        assert self.group.size == self.devices, "the other processes must have been started"
        division = Division(self.group.rank, self.devices, self.accumulate)
        if self.devices == 1:
            super().fit(Divided(module, division), batches, recorder, folder)
            return
        cuda = isinstance(super()._trainer(1, [], folder).accelerator, CUDAAccelerator)
        with self.group.joined("cuda" if cuda else "cpu"):
            state: list[Any] = [module.first, dict(module._saved)]
            distributed.broadcast_object_list(state)
            module.first, module._saved = state  # DDP sends the weights itself
            divided = Divided(module, division)
            self._looks_for_unused = divided.leaves_out(batches(module.first))
            super().fit(divided, batches, recorder, folder)

    def follow(self, module: Pretraining, batches: Callable[[int], Batch], steps: int) -> None:
        """Train as a rank other than 0; records nothing."""
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
    """DDP in an existing group: launches nothing, and does not change the number of threads."""

    def _configure_launcher(self) -> None:
        self._launcher = None


class Member(LightningEnvironment):
    """Tells Lightning the rank of this process."""

    creates_processes_externally = True

    def __init__(self, group: Group) -> None:
        super().__init__()
        self._group = group

    def local_rank(self) -> int:
        """Return the rank, which is also the number of the device."""
        return self._group.rank

    def node_rank(self) -> int:
        """Return 0: there is only one machine."""
        return 0
