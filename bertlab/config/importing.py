"""Imports of heavy packages: torch, Lightning and MLflow create over a million permanent objects."""

import gc
import sys
from importlib import import_module


def import_heavy(name: str) -> None:
    """Import a module with all that it needs; a later `import` statement then costs nothing.

    Python's garbage collector would scan the permanent objects again and again, a quarter of the import time. So it is
    off during the import, and these objects are frozen afterwards.
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
