"""Show the size of checkpoints and remove those that no run needs: `bertlab clean [from=outputs] [all=true]`.

A finished run needs none: its results and weights are kept.
  from=FOLDER  the output_dir of the runs
  all=true     also remove checkpoints of unfinished runs; these runs then start from the beginning

  bertlab clean
  bertlab clean from=elsewhere all=true
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from bertlab.config.arguments import parse
from bertlab.config.error_messages import one_line_errors
from bertlab.config.errors import InputError
from bertlab.tracking.run_folder import RunFolder, checkpoints, run_folders_in

DEFAULTS = {"from": "outputs", "all": "false"}


def main(words: Sequence[str]) -> None:
    """Run the command."""
    with one_line_errors():
        print("\n".join(clean(parse(DEFAULTS, __doc__, words))))  # noqa: T201


def clean(arguments: dict[str, Any]) -> Iterator[str]:
    """Yield one line for each run with checkpoints, and one with the total size. Raises InputError."""
    if arguments["all"] not in ("true", "false"):
        raise InputError(f"all must be true or false, got {arguments['all']}; choose one")
    freed, folder = 0, Path(arguments["from"])
    if not folder.is_dir():
        raise InputError(f"from must be the output_dir of some runs, got {folder}, which is not a folder; name another")
    for cell in run_folders_in(folder):
        size = sum(path.stat().st_size for path in checkpoints(cell.folder))
        if size:
            kept = _why_kept(cell, everything=arguments["all"] == "true")
            freed += 0 if kept else size
            yield f"{_mega(size):>10}  {cell.folder}  {kept or 'removed'}"
    yield f"{_mega(freed):>10}  freed"


def _why_kept(cell: RunFolder, *, everything: bool) -> str | None:
    """Remove the checkpoints of a run, or return why they are kept."""
    with cell.held(0) as held:
        if not held:
            return "kept: it trains"
        if not everything and not cell.record():
            return "kept: the run can continue from them"
        for path in checkpoints(cell.folder):
            path.unlink()
    return None


def _mega(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"
