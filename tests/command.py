"""The command line in this process, for tests: a new Python process would need seconds for imports."""

import logging
import signal
import sys
from collections.abc import Sequence
from typing import Any

import pytest
from hydra.core.global_hydra import GlobalHydra

from bertlab.commands.run import main


def settled(words: Sequence[str]) -> list[str]:
    """Return the words with only the last value of each key: a test appends words to change its usual ones."""
    return list({word.lstrip("+~").partition("=")[0]: word for word in words}.values())


def exit_code(*words: str) -> Any:
    """Run `python -m bertlab.run` with these words, one per key; return its exit code."""
    return typed_exit_code(*settled(words))


def typed_exit_code(*words: str) -> Any:
    """Run `python -m bertlab.run` with exactly these words; return its exit code. Signals and logging are restored."""
    root, terminate = logging.getLogger(), signal.getsignal(signal.SIGTERM)
    handlers, level = list(root.handlers), root.level
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["run"])  # where Hydra reads what to show
        patch.setenv("HYDRA_FULL_ERROR", "1")
        try:
            main(words)
        except SystemExit as exit_:
            return exit_.code
        finally:
            GlobalHydra.instance().clear()
            signal.signal(signal.SIGTERM, terminate)
            for handler in set(root.handlers) - set(handlers):
                handler.close()
            root.handlers, root.level = handlers, level
    return 0
