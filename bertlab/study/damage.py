"""Damaged files of a report, as one line. Imports nothing heavy, as a report of a sweep needs it too."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bertlab.config.errors import InputError
from bertlab.ledger.seal import DAMAGE


@contextmanager
def reading(folder: Path) -> Iterator[None]:
    """Turn what damaged files raise while they are read into an InputError."""
    try:
        yield
    except InputError:
        raise
    except (*DAMAGE, AttributeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(
            f"{folder} must hold the files of a report as they were written, got a damaged one "
            f"({type(error).__name__}: {reason}); fetch them again, or type the command that wrote the report"
        ) from error
