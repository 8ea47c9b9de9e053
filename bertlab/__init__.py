"""bertlab: the design claims about BERT, tested by experiment.

    import bertlab

    bertlab.run(["mask.rate=0.3"])                                  # one run
    bertlab.sweep({"mask.rate": [0.15, 0.3], "seed": range(3)})     # a grid
    bertlab.study("mask_rate")                                      # a registered question
    bertlab.load_study("reports/mask_rate").contrasts               # what it found, as a table
    bertlab.judge(arm, baseline, margin=0.1)                        # anybody's paired numbers

`run`, `sweep` and `study` are also modules of the package, which can be called (bertlab/config/callable.py).
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bertlab.api import (
        InputError,
        Judgement,
        RunResult,
        StudyResult,
        SweepResult,
        judge,
        load_study,
        run,
        study,
        sweep,
    )

__version__ = "0.1.0"
__all__ = [
    "InputError",
    "Judgement",
    "RunResult",
    "StudyResult",
    "SweepResult",
    "__version__",
    "judge",
    "load_study",
    "run",
    "study",
    "sweep",
]
DISTRIBUTION = "bertlab-ablations"  # on a package index, where `bertlab` is another project


def __getattr__(name: str) -> Any:
    """Return a part of the API; it is imported on first use."""
    if name not in __all__:
        raise AttributeError(f"module 'bertlab' has no attribute {name!r}")
    return (
        import_module(f"bertlab.{name}") if name in ("study", "sweep") else getattr(import_module("bertlab.api"), name)
    )


def __dir__() -> list[str]:
    return sorted(__all__)
