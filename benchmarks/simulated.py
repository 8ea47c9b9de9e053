"""A large study without its training: `python benchmarks/simulated.py [cells=1000,3000,10000] [workers=64]`.

One tiny run is trained. All other runs of the study are copies of it, sealed under their own keys, with their own loss
and their own rows in MLflow's SQLite store, as if workers had made them. The rest is what `bertlab study` does: the
study is registered; its runs are planned, looked up, launched, looked up again, archived and judged, at two looks; then
all of them are looked up once more, as when the command is repeated. The result is the CPU seconds of this process
without the copying, which replaces the workers.
  cells=1000,3000,10000   runs of the study: 18 arms and 2 controls, seed by seed
  workers=64              at a time, with run times from a Pareto distribution (shape 1.5)
  failures=0.05           share of the attempts that lose their process
"""

import heapq
import json
import os
import shutil
import sqlite3
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from hydra.core.utils import JobReturn, JobStatus
from measure import Row, save
from store import OWNED, QUICK, copy_table, make_store, number

from bertlab.config.arguments import parse
from bertlab.config.compose import load
from bertlab.config.error_messages import one_line_errors
from bertlab.config.errors import InputError
from bertlab.config.settling import composing
from bertlab.experiment.study_runs import StudyRuns, record_of
from bertlab.study.arms import register
from bertlab.study.judge import judge
from bertlab.study.record import RULE, RULE_NOW
from bertlab.study.regime import FrozenMargin
from bertlab.sweep.run import prepare_job
from bertlab.sweep.sweep_log import SweepLog
from bertlab.tracking.archive import ARCHIVE
from bertlab.tracking.description import TOKEN
from bertlab.tracking.files import sealed
from bertlab.tracking.result import LostError, Outcome, RunResult
from bertlab.tracking.run_folder import (
    POINTS,
    RECORD,
    SEALED,
    STATE,
    RunFolder,
    lasting_hash,
    run_folder_of,
    run_folders_in,
)

DEFAULTS = {"cells": "1000,3000,10000", "workers": "64", "failures": "0.05"}
ARMS, CONTROLS, OUTCOME = 18, 2, "eval/mlm_loss"
STUDY: dict[str, Any] = {
    "id": "simulated",
    "question": "What does a large study cost, without its runs?",
    "claim": "Other rates are worse.",
    "baseline": "arm_0",
    "factors": ["mask.rate"],
    "arms": {f"arm_{part}": [f"mask.rate={0.15 + part / 100:.2f}"] for part in range(ARMS)},
    "expects": {f"arm_{part}": "worse" for part in range(1, ARMS)},
    "outcome": OUTCOME,
    "margin": {"nats": 0.05},
    "family": "masking",
    "axis": "tokens",
    "floor": 0,
    "controls": {"same": ["redraw=order"], "harmful": ["budget.tokens=140"]},
}


def main() -> None:
    """Measure and save."""
    words = parse(DEFAULTS, __doc__, sys.argv[1:])
    sizes = [number("cells", text) for text in words["cells"].split(",")]
    share, workers = float(words["failures"]), number("workers", words["workers"])
    if any(size % (ARMS + CONTROLS) for size in sizes):
        raise InputError(f"cells must be whole seeds of {ARMS + CONTROLS} runs, got {words['cells']}; choose 1000")
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            save([simulate(Path(folder), size, workers, share)], f"_{size}")


def simulate(folder: Path, size: int, workers: int, share: float) -> Row:
    """Run a study with this many cells, and return the cost of its parts."""
    seeds, clock = size // (ARMS + CONTROLS), Clock()
    register_study(folder, seeds)
    tracker = make_store(folder / "store", points=2)
    output_dir = folder / "store" / "outputs"
    (template,) = run_folders_in(output_dir)
    tracker.parent = template.state()["parent"]
    words = [*QUICK, "study=simulated", f"output_dir={output_dir}", f"tracking.uri={tracker.uri}"]
    compose = composing(load)
    with clock.counting("registering"):
        registration = register(lambda own: compose([*words, "budget.tokens=280", *own]))
    launcher = Workers(template, folder / "store", workers, share, clock)
    store = prepare_job(registration.arms[registration.study.baseline]).store.fingerprint
    archive = folder / "report" / ARCHIVE
    client = tracker.connect()

    def study_runs() -> StudyRuns:
        return StudyRuns(registration, words, launcher, tracker, client, store, archive)  # type: ignore[arg-type]

    own = study_runs()
    arms = [*registration.study.arms, *registration.study.controls]
    for look in registration.study.looks:
        with clock.counting("planning"):
            planned = own.cells(arms, range(look))
        with clock.counting("looking for runs, launching and keeping them"):
            runs = own.run(planned)
        with clock.counting("reading the runs"):
            record = record_of(own, runs, {RULE: RULE_NOW})
            record = replace(record, frozen=FrozenMargin(0.05), planned=dict.fromkeys(arms, look))
        with clock.counting("judging"):
            judge(record, counting=False)
    with clock.counting("the same command again"):
        again = study_runs()
        found = again.run(again.cells(arms, range(seeds)))
    assert len(found) >= 0.98 * size, "nearly all runs end, lost or not"
    assert launcher.asked - size <= 3 * share * size, "what is finished is not launched again"
    whole = sum(clock.seconds.values())
    parts = ", ".join(f"{name} {took:.3g} s" for name, took in clock.seconds.items())
    return Row(
        f"a study of {size:,} cells, without its training",
        f"{workers} workers, {share:.0%} of the tries lost, {launcher.lasted:,.0f} mean runs long",
        f"{1000 * whole / size:.1f} CPU ms a cell",
        "",
        None,
        f"{whole:.1f} CPU s: {parts}",
    )


def register_study(folder: Path, seeds: int) -> None:
    """Write the study into the user's own folder."""
    place = folder / "simulated_lab" / "sweeps" / "study"
    place.mkdir(parents=True)
    study = {**STUDY, "seeds": seeds, "looks": [seeds // 2, seeds]}
    text = yaml.safe_dump({"hydra": {"mode": "MULTIRUN"}, "study": study}, sort_keys=False, width=1000)
    (place / "simulated.yaml").write_text(f"# @package _global_\n{text}", "utf-8")
    os.environ["BERTLAB_OWN"] = str(folder / "simulated_lab")


@dataclass
class Clock:
    """CPU seconds of this process by purpose, without the work of the workers."""

    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    _left_out: float = 0.0

    @contextmanager
    def counting(self, name: str) -> Iterator[None]:
        """Count the block."""
        begin, left = time.process_time(), self._left_out
        yield
        self.seconds[name] += time.process_time() - begin - (self._left_out - left)

    @contextmanager
    def left_out(self) -> Iterator[None]:
        """Do not count the block."""
        begin = time.process_time()
        yield
        self._left_out += time.process_time() - begin


class Workers:
    """A launcher whose workers copy a run instead of training; jobs end in the order of their times."""

    def __init__(self, template: RunFolder, folder: Path, workers: int, share: float, clock: Clock) -> None:
        self._template, self._folder, self._share, self._clock = template, folder, share, clock
        self._state, self._record = template.state(), template.record() or {}
        self._points = [json.loads(line) for line in (template.folder / POINTS).read_text("utf-8").splitlines()]
        self._free, self._names = [0.0] * workers, list[str]()
        self._rng = np.random.default_rng(0)
        self.asked = self._made = 0

    @property
    def lasted(self) -> float:
        """The time when the last worker was done; the mean run takes 1."""
        return max(self._free)

    def name_runs(self, names: Sequence[str]) -> None:
        """Take the names of the runs of the next launch."""
        self._names = list(names)

    def launch(self, job_overrides: Sequence[list[str]], initial_job_idx: int) -> list[Any]:
        """Return the outcome of each job, or the error that describes its loss."""
        with self._clock.left_out():
            back: list[Any] = [None] * len(job_overrides)
            took = self._rng.pareto(1.5, len(back)) / 2  # their mean is 1
            ends = sorted((self._end(seconds), place) for place, seconds in enumerate(took))
            with closing(sqlite3.connect(self._folder / "mlflow.db")) as database, database:
                for _, place in ends:
                    number = initial_job_idx + place
                    back[place] = self._work(database, self._names[place], number, list(job_overrides[place]))
            return back

    def _end(self, seconds: float) -> float:
        end = heapq.heappop(self._free) + seconds
        heapq.heappush(self._free, end)
        return end

    def _work(self, database: sqlite3.Connection, name: str, number: int, overrides: list[str]) -> Any:
        self.asked += 1
        diary = SweepLog(self._folder / "outputs", str(self._state["parent"]))
        diary.begin(number, overrides)
        if self._rng.random() < self._share:
            return LostError("its process was killed")
        loss = 2.5 + 0.05 * self._rng.standard_normal()
        run_id = f"{self._made:032x}"
        self._made += 1
        self._copy_cell(*name.split("-"), run_id, loss)
        self._copy_rows(database, *name.split("-"), run_id, loss)
        outcome = Outcome(tuple(overrides), result=RunResult(run_id, "finished", {OUTCOME: loss}, None))
        diary.end(number, outcome)
        diary.progress()
        return JobReturn(overrides=overrides, _return_value=outcome, status=JobStatus.COMPLETED)

    def _copy_cell(self, key: str, code: str, run_id: str, loss: float) -> None:
        copy = run_folder_of(self._folder / "outputs", key, code, self._template.environment)
        copy.folder.mkdir()
        for name in SEALED:
            shutil.copyfile(self._template.folder / name, copy.folder / name)
        last = {**self._points[-1], "numbers": {**self._points[-1]["numbers"], OUTCOME: loss}}
        text = "".join(f"{json.dumps(point)}\n" for point in [*self._points[:-1], last])
        (copy.folder / POINTS).write_text(text, "utf-8")
        about = self._state["description"]
        about = {**about, "tags": {**about["tags"], "bertlab.key": key, "bertlab.code": code}}
        state = {**self._state, "token": run_id, "run_id": run_id, "description": about}
        files = {**self._record["files"], POINTS: sha256(text.encode()).hexdigest()}
        record = {**self._record, "key": key, "code": code, "run": lasting_hash(state), "files": files}
        for name, fields in ((STATE, state), (RECORD, record)):
            (copy.folder / name).write_text(sealed(fields), "utf-8")

    def _copy_rows(self, database: sqlite3.Connection, key: str, code: str, run_id: str, loss: float) -> None:
        for table in OWNED:
            copy_table(database, table, {"run_uuid": run_id}, ("run_uuid", self._state["run_id"]))
        for tag, value in (("bertlab.key", key), ("bertlab.code", code), (TOKEN, run_id)):
            database.execute("UPDATE tags SET value = ? WHERE run_uuid = ? AND key = ?", (value, run_id, tag))
        for table in ("metrics", "latest_metrics"):
            database.execute(f"UPDATE {table} SET value = ? WHERE run_uuid = ? AND key = ?", (loss, run_id, OUTCOME))


if __name__ == "__main__":
    with one_line_errors():
        main()
