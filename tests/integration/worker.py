"""One process of a crowd: opens runs one after another and logs numbers as fast as the store takes them.

    python worker.py URI EXPERIMENT NAME RUNS

It says that it is ready and waits for a line, so that all processes of a crowd touch the store at the same moment.
"""

import sys

from bertlab.tracking.mlflow import Dataset, Description, Tracker

STEPS, BATCH = 60, 20  # points of a run; so many are sent together
METRICS = ("train/loss", "perf/tokens", "eval/mlm_loss")
DATA = Dataset("oracle", "0123456789abcdef", "bertlab", "{}", profile="{}")  # the runs of a sweep share their data


def points(run: str) -> list[tuple[str, int, float]]:
    """Return what a run of this name logs: key, step and a value that no other point of the crowd has."""
    worker, number = map(int, run.split())
    return [
        (key, step, worker * 1e6 + number * 1e4 + step * 10 + which)
        for step in range(1, STEPS + 1)
        for which, key in enumerate(METRICS)
    ]


def main(uri: str, experiment: str, worker: str, runs: str) -> None:
    """Open the runs and log the points."""
    print("ready", flush=True)
    sys.stdin.readline()
    tracker = Tracker(uri=uri, experiment=experiment)
    for name in (f"{worker} {number}" for number in range(int(runs))):
        with tracker.run(Description(name, {"worker": worker}, {"bertlab.key": name}, "seed: 0\n", DATA)) as log:
            for key, step, value in points(name):
                log.log(step, {key: value})
                if step % BATCH == 0:
                    log.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
