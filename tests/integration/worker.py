"""Many processes that open runs one after another and log numbers as fast as the store accepts them.

    python worker.py URI EXPERIMENT WORKERS RUNS

The processes are forked after all heavy imports, and wait at a barrier, so that all of them use the store for the first
time at the same moment. Nothing of the store is open before.
"""

import multiprocessing
import sys
from multiprocessing.synchronize import Barrier

import mlflow.store.tracking.sqlalchemy_store  # noqa: F401  # now, and not in each process

from bertlab.tracking.description import Dataset, Description
from bertlab.tracking.mlflow import Tracker

STEPS, BATCH = 18, 6  # points of a run; so many are sent together
METRICS = ("train/loss", "perf/tokens", "eval/mlm_loss")
DATA = Dataset("oracle", "0123456789abcdef", "bertlab", "{}", profile="{}")  # the runs of a sweep share their data


def points(run: str) -> list[tuple[str, int, float]]:
    """Return the points that a run of this name logs: key, step and a unique value."""
    worker, number = map(int, run.split())
    return [
        (key, step, worker * 1e6 + number * 1e4 + step * 10 + which)
        for step in range(1, STEPS + 1)
        for which, key in enumerate(METRICS)
    ]


def work(uri: str, experiment: str, worker: int, runs: int, together: Barrier) -> None:
    """Open the runs and log the points."""
    together.wait()
    tracker = Tracker(uri=uri, experiment=experiment)
    for name in (f"{worker} {number}" for number in range(runs)):
        about = Description(name, {"worker": str(worker)}, {"bertlab.key": name}, "seed: 0\n", DATA)
        with tracker.run(about) as log:
            for key, step, value in points(name):
                log.log(step, {key: value})
                if step % BATCH == 0:
                    log.flush()


def main(uri: str, experiment: str, workers: int, runs: int) -> bool:
    """Start the processes and wait for their end; return whether one failed."""
    fork = multiprocessing.get_context("fork")
    together = fork.Barrier(workers)
    crowd = [fork.Process(target=work, args=(uri, experiment, worker, runs, together)) for worker in range(workers)]
    for process in crowd:
        process.start()
    for process in crowd:
        process.join()
    return any(process.exitcode for process in crowd)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
