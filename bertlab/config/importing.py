"""Importing what is heavy: torch, Lightning and MLflow make more than a million objects, and all of them stay."""

import gc
import sys
from importlib import import_module


def import_heavy(name: str) -> None:
    """Import a module with all that it needs; afterwards `import` finds it at once.

    Python's collector would walk through the objects that stay again and again, while they come, during the runs and
    at the end: a quarter of the time that the imports take. So it waits, and never looks at them again.
    """
    if name in sys.modules:
        return
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        import_module(name)
    finally:
        gc.freeze()
        if was_enabled:
            gc.enable()
