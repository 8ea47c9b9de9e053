"""What each launcher costs: `python benchmarks/launchers.py [launchers=basic,joblib] [runs=20] [words=...]`.

The same tiny runs, offline, with each launcher: the wall time of the whole command, and its part that is not training
or evaluation of the runs, assuming that these are spread evenly over the workers. Slurm and Ray are the user's own: a
cluster that `sbatch` and `hydra.launcher.address=auto` find.
  launchers=basic,joblib     of basic, joblib, slurm_local, slurm, ray
  runs=20                    of each launcher
  workers=2                  at a time; the basic launcher has one
  words=                     more words for the commands, separated by spaces
"""

import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from subprocess import run

from measure import Row, save, seconds

from bertlab.config.arguments import parse
from bertlab.config.error_messages import one_line_errors

DEFAULTS = {"launchers": "basic,joblib", "runs": "20", "workers": "2", "words": ""}
TINY = (
    *("data=oracle", "data.documents=60", "batch.size=4", "batch.length=35", "budget.tokens=7000"),
    *("evaluation.sequences=8", "evaluation.pseudo=0", "trainer.progress=false", "tracking.offline=true"),
)


def main() -> None:
    """Measure and save."""
    given = parse(DEFAULTS, __doc__, sys.argv[1:])
    runs, workers = int(given["runs"]), int(given["workers"])
    own = {
        "joblib": (f"hydra.launcher.n_jobs={workers}",),
        "slurm": ("hydra.launcher.mem_gb=null", f"hydra.launcher.array_parallelism={workers}"),
        "slurm_local": (f"hydra.launcher.array_size={workers}",),
    }
    notes = f"{workers} workers side by side where the launcher has several, 1 thread of torch each; offline"
    for launcher in given["launchers"].split(","):
        words = (f"seed=range({runs})", f"hydra/launcher={launcher}", *own.get(launcher, ()), *given["words"].split())
        measured = row(launcher, runs, 1 if launcher == "basic" else workers, words)
        save([measured], ending=f"_{launcher}", notes=notes)


def row(launcher: str, runs: int, workers: int, words: Sequence[str]) -> Row:
    """Run the sweep in a folder of its own, and return its cost."""
    with tempfile.TemporaryDirectory(dir=".") as name:
        folder = Path(name).resolve()
        command = [sys.executable, "-m", "bertlab.run", "-m", *TINY, *words, f"output_dir={folder}/outputs"]
        whole = seconds(lambda: run(command, check=True, capture_output=True))
        training = sum(map(trained, folder.glob("outputs/cells/*")))
    beyond = whole - training / workers
    return Row(
        f"{runs} runs of {TINY[4].partition('=')[2]} tokens, hydra/launcher={launcher}",
        f"their training, {training:.1f} s in all, {workers} at once",
        f"{whole:.1f} s, of which {beyond:.1f} s are not training",
        "",
        None,
        f"{beyond / runs:.2f} s a run",
    )


def trained(cell: Path) -> float:
    """Return the training time of a run in seconds."""
    points = [json.loads(line)["numbers"] for line in (cell / "metrics.jsonl").read_text("utf-8").splitlines()]
    return float(max(point.get("perf/seconds", 0.0) for point in points))


if __name__ == "__main__":
    with one_line_errors():
        main()
