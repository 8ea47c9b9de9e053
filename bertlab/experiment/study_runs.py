"""The runs of a study (arm x seed), which of them are finished, and the launching of those that are not.

A finished run with the same key and code is never repeated, whichever study it was made for.
"""

import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from hydra.plugins.launcher import Launcher
from mlflow.entities import Run
from mlflow.tracking import MlflowClient

from bertlab.experiment.trunk import NAME as TRUNK
from bertlab.experiment.trunk import SEEDS, bring_weights, trunk_folder
from bertlab.ledger.archive import archived_folders, pack, unpack
from bertlab.ledger.result import Outcome
from bertlab.ledger.run_folder import RunFolder
from bertlab.study.arms import Registration, trunk_overrides
from bertlab.study.onset import ONSET, onsets_of
from bertlab.study.outcome import curve_name
from bertlab.study.record import EXPLORATION, RESTARTS, Record, canonical, read_remarks
from bertlab.sweep.grid import say_failures
from bertlab.sweep.launch import Job, Launches, Overrides
from bertlab.tracking.description import RESTARTS as TAG
from bertlab.tracking.description import Identity, identity_of
from bertlab.tracking.identity import identify
from bertlab.tracking.mlflow import Tracker
from bertlab.tracking.parent_runs import take_over
from bertlab.tracking.reuse import REUSED_HERE, finished_folders, finished_runs
from bertlab.tracking.run_log import BestEffort
from bertlab.tracking.runs_table import read_runs_table, run_of_folder

KEPT = ("metrics.eval/", "metrics.perf/")  # of a run, in a study's record
ALWAYS = ("eval/mlm_loss", "eval/context_gain")  # curves that every study keeps


@dataclass(frozen=True)
class StudyRun:
    """One run of a study."""

    arm: str
    seed: int
    overrides: Overrides
    identity: Identity  # if this machine makes it

    @property
    def key(self) -> str:
        """The run's key."""
        return self.identity.key


@dataclass
class StudyRuns:
    """Where a study's runs are made and found again. `registration` has the arms of the stage that the study is at."""

    registration: Registration
    fixed: Overrides  # what all runs share, the choice of the study included
    launcher: Launcher
    tracker: Tracker
    client: MlflowClient
    fingerprint: str  # of the data, which all arms share
    archive: Path  # what the study's finished runs are kept in beside its report
    outcomes: list[Outcome] = field(default_factory=list)  # of what was launched
    launched: int = 0  # jobs, those that were launched again included
    wanted: dict[str, Identity] = field(default_factory=dict)  # of all cells so far, by key
    seen: dict[str, Run] = field(default_factory=dict)  # finished runs, by key
    telling: BestEffort = field(default_factory=BestEffort)
    earlier: dict[str, RunFolder] = field(default_factory=dict)  # those of the archive, of whatever code, by key
    starts: dict[int, Path] = field(default_factory=dict)  # weights of the trunks, by seed of the arms

    @property
    def output_dir(self) -> str:
        """Where the ledger lies."""
        return str(self.registration.arms[self.registration.study.baseline]["output_dir"])

    def cells(self, arms: Sequence[str], seeds: Sequence[int]) -> list[StudyRun]:
        """Return the cells of some arms and seeds, seed by seed, so that what is there early is paired.

        What an arm's runs are known by depends on the weights that they start from: trunks are trained first.
        """
        if self.registration.trunk is not None:
            self._grow(self.registration.trunk, [seed for seed in seeds if seed not in self.starts])
        return [self._cell(arm, seed) for seed in seeds for arm in arms]

    def _grow(self, config: Mapping[str, Any], seeds: Sequence[int]) -> None:
        """Train the trunks of some seeds and bring their weights here. Raises SystemExit when one of them failed.

        They are not archived: without its weights a trunk is of no use.
        """
        own = trunk_overrides(trunk) if (trunk := self.registration.study.trunk) else []
        cells = [self._made(TRUNK, SEEDS + seed, own, config) for seed in seeds]
        if cells:
            say(f"trunks of {len(cells)} seeds")
        runs = self.run(cells, archived=False) if cells else []
        if len(runs) < len(cells):
            say_failures(self.outcomes)
        for cell, run in runs:
            folder = self.starts[cell.seed - SEEDS] = trunk_folder(self.output_dir, cell.identity)
            bring_weights(self.client, run, folder)

    def run(self, cells: Sequence[StudyRun], *, archived: bool = True) -> list[tuple[StudyRun, Run]]:
        """Launch the cells that are not finished yet, and return those that are finished then."""
        wanted = {cell.key: cell.identity for cell in cells}
        self.wanted |= wanted if archived else {}
        done = self._finished(wanted.values())
        missing = list({cell.key: cell for cell in cells if cell.key not in done}.values())
        say(f"{len(cells) - len(missing)} of {len(cells)} runs are there already")
        if missing:
            launches = Launches(self.launcher, self.tracker, self.output_dir, str(self.tracker.parent), self.launched)
            self.outcomes += launches.run([Job(cell.identity, cell.overrides) for cell in missing])
            self.launched = launches.count
            done |= self._finished([cell.identity for cell in missing], REUSED_HERE[self.tracker.reuse])
        self.telling(lambda: take_over(self.client, str(self.tracker.parent), done.values()))
        self.keep()
        return [(cell, done[cell.key]) for cell in cells if cell.key in done]

    def has_any(self, cells: Sequence[StudyRun]) -> bool:
        """Tell whether one of the cells is finished."""
        return bool(self._finished([cell.identity for cell in cells]))

    def _finished(self, identities: Collection[Identity], reuse: str | None = None) -> dict[str, Run]:
        """Return the finished runs by key; where the store went away, those seen there and those on this disk."""
        found = self.telling(lambda: finished_runs(self.tracker, self.output_dir, identities, reuse))
        if found is None:
            say(f"the store went away, the study goes on with the files in {self.output_dir}: {self.telling.failure}")
            cells = finished_folders(self.output_dir, identities, reuse or self.tracker.reuse)
            found = self.seen | {key: run_of_folder(cell) for key, cell in cells.items()}
        self.seen |= found
        return {each.key: found[each.key] for each in identities if each.key in found}

    def restore(self) -> None:
        """Take the runs that an earlier machine kept in the archive."""
        if not self.archive.is_file():
            return
        if count := unpack(self.archive, self.output_dir):
            say(f"{count} runs are taken from {self.archive}")
        self.earlier = archived_folders(self.archive, self.output_dir)

    def keep(self) -> None:
        """Write all that is finished on this disk into the archive.

        A run of other code stays until one of this code is there, or the report that rests on it is written anew.
        """
        reuse = REUSED_HERE[self.tracker.reuse]
        made = finished_folders(self.output_dir, self.wanted.values(), reuse)
        if cells := {**self.earlier, **made}:  # a study that is stopped early writes no earlier run away
            pack(cells.values(), self.archive)

    def drop_earlier(self) -> None:
        """Leave runs of other code out of the archive, once no report rests on them any more."""
        if self.earlier:
            self.earlier = {}
            self.keep()

    def _cell(self, arm: str, seed: int) -> StudyRun:
        study = self.registration.study
        own = study.arms[arm] if arm in study.arms else (*study.arms[study.baseline], *study.controls.get(arm, ()))
        config = self._config(arm)
        if seed in self.starts:
            start = f"run:{self.starts[seed]}"
            config = {**config, "start": {**config["start"], "from": start}}
            own = (*own, f"start.from='{start}'")
        return self._made(arm, seed, own, config)

    def _made(self, arm: str, seed: int, own: Sequence[str], config: Mapping[str, Any]) -> StudyRun:
        study = self.registration.study
        about = [f"tracking.study={study.id}", f"tracking.arm={arm}", f"tracking.parent={self.tracker.parent}"]
        factors = ",".join(f"'{factor}'" for factor in study.factors)
        overrides = [*self.fixed, *own, f"seed={seed}", f"tracking.factors=[{factors}]", *about]
        return StudyRun(arm, seed, overrides, identify({**config, "seed": seed}, self.fingerprint))

    def _config(self, arm: str) -> Mapping[str, Any]:
        arms = {**self.registration.arms, **self.registration.controls}
        return arms[self.registration.study.baseline if arm == EXPLORATION else arm]


def say(line: str) -> None:
    """Tell the person at the command line what a study does; Hydra sets up logging for jobs only."""
    print(line, file=sys.stderr, flush=True)  # noqa: T201


def record_of(study_runs: StudyRuns, runs: Sequence[tuple[StudyRun, Run]], facts: Mapping[str, str]) -> Record:
    """Return the record of some finished runs, its numbers read from their files where those lie here."""
    study = study_runs.registration.study
    unique = list({run.info.run_id: run for _, run in runs}.values())
    truth = read_runs_table(study_runs.client, unique, study_runs.output_dir)
    stored = truth.runs.set_index("run_id")
    wanted = dict.fromkeys(map(curve_name, [study.outcome, *study.secondary, *ALWAYS]))
    rows = []
    for cell, run in runs:
        own = stored.loc[run.info.run_id].dropna()
        about = {name: own[f"tags.bertlab.{name}"] for name in ("corpus", "evaluation")}
        made_by = identity_of(run.data.tags)
        about["code"] = study_runs.registration.code if made_by.code == cell.identity.code else made_by.code
        about["environment"] = made_by.environment
        if restarts := own.get(f"tags.{TAG}"):
            about[RESTARTS] = restarts
        about |= {"arm": cell.arm, "seed": cell.seed, "run_id": run.info.run_id}
        about["diverged"] = own.get("tags.bertlab.diverged", "false")
        metrics = {name.removeprefix("metrics."): own[name] for name in own.index if name.startswith(KEPT)}
        rows.append({**about, **metrics})
    curves = truth.curves
    start = onsets_of(curves, study.floor)
    rows = [row | ({ONSET: start[row["run_id"]]} if row["run_id"] in start else {}) for row in rows]
    curves = curves[curves["metric"].isin(list(wanted))]
    remarks = read_remarks(study_runs.archive.parent)
    return canonical(Record(study_runs.registration.node, dict(facts), pd.DataFrame(rows), curves, remarks))
