"""The runs of a study (arm x seed): finds the finished ones and launches the others.

A finished run with the same key and code is never repeated, even if another study made it.
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
from bertlab.identity.key import identify
from bertlab.study.arms import Registration, trunk_overrides
from bertlab.study.onset import ONSET, onsets_of
from bertlab.study.outcome import curve_name
from bertlab.study.record import EXPLORATION, RESTARTS, Record, canonical, read_published, read_remarks
from bertlab.sweep.grid import say_failures
from bertlab.sweep.launch import Job, Launches, Overrides
from bertlab.tracking.archive import archived_folders, pack, unpack
from bertlab.tracking.description import RESTARTS as TAG
from bertlab.tracking.description import Identity, identity_of
from bertlab.tracking.mlflow import Tracker
from bertlab.tracking.parent_runs import take_over
from bertlab.tracking.result import Outcome
from bertlab.tracking.reuse import REUSED_HERE, finished_folders, finished_runs
from bertlab.tracking.run_folder import RunFolder
from bertlab.tracking.run_log import BestEffort
from bertlab.tracking.runs_table import read_runs_table, run_of_folder

KEPT = ("metrics.eval/", "metrics.perf/")  # metrics that a study's record keeps
ALWAYS = ("eval/mlm_loss", "eval/context_gain")  # curves that every study keeps


@dataclass(frozen=True)
class StudyRun:
    """One run of a study."""

    arm: str
    seed: int
    overrides: Overrides
    identity: Identity  # if this machine makes the run

    @property
    def key(self) -> str:
        """The run's key."""
        return self.identity.key


@dataclass
class StudyRuns:
    """Makes and finds a study's runs. `registration` has the arms of the study's current stage."""

    registration: Registration
    fixed: Overrides  # overrides of all runs, including the choice of the study
    launcher: Launcher
    tracker: Tracker
    client: MlflowClient
    fingerprint: str  # of the data; equal for all arms
    archive: Path  # file with the study's finished runs, next to its report
    outcomes: list[Outcome] = field(default_factory=list)  # of launched jobs
    launched: int = 0  # number of launched jobs, repeated ones included
    wanted: dict[str, Identity] = field(default_factory=dict)  # of all runs so far, by key
    seen: dict[str, Run] = field(default_factory=dict)  # finished runs, by key
    telling: BestEffort = field(default_factory=BestEffort)
    earlier: dict[str, RunFolder] = field(default_factory=dict)  # run folders from the archive, of any code, by key
    starts: dict[int, Path] = field(default_factory=dict)  # weights of the trunks, by seed of the arms

    @property
    def output_dir(self) -> str:
        """Folder of the run folders."""
        return str(self.registration.arms[self.registration.study.baseline]["output_dir"])

    def cells(self, arms: Sequence[str], seeds: Sequence[int]) -> list[StudyRun]:
        """Return the runs of some arms and seeds, ordered by seed, so that early results are paired.

        An arm's runs are identified by the weights from which they start, so trunks are trained first.
        """
        if self.registration.trunk is not None:
            self._grow(self.registration.trunk, [seed for seed in seeds if seed not in self.starts])
        return [self._cell(arm, seed) for seed in seeds for arm in arms]

    def _grow(self, config: Mapping[str, Any], seeds: Sequence[int]) -> None:
        """Train the trunks of some seeds and copy their weights to this machine. Raises SystemExit if one failed.

        Trunks are not archived: the archive has no weights, and without these a trunk is useless.
        """
        # trunks are runs without an arm, on seeds of their own
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
        """Launch the unfinished runs, and return all that are finished afterwards."""
        wanted = {cell.key: cell.identity for cell in cells}
        self.wanted |= wanted if archived else {}
        # reuse finished runs, launch the others once per key
        done = self._finished(wanted.values())
        missing = list({cell.key: cell for cell in cells if cell.key not in done}.values())
        say(f"{len(cells) - len(missing)} of {len(cells)} runs are there already")
        if missing:
            launches = Launches(self.launcher, self.tracker, self.output_dir, str(self.tracker.parent), self.launched)
            self.outcomes += launches.run([Job(cell.identity, cell.overrides) for cell in missing])
            self.launched = launches.count
            done |= self._finished([cell.identity for cell in missing], REUSED_HERE[self.tracker.reuse])
        # link all runs to this study, then update the archive
        self.telling(lambda: take_over(self.client, str(self.tracker.parent), done.values()))
        self.keep()
        return [(cell, done[cell.key]) for cell in cells if cell.key in done]

    def has_any(self, cells: Sequence[StudyRun]) -> bool:
        """Return whether at least one run is finished."""
        return bool(self._finished([cell.identity for cell in cells]))

    def _finished(self, identities: Collection[Identity], reuse: str | None = None) -> dict[str, Run]:
        """Return the finished runs by key; if the store fails, those seen earlier and those on this disk."""
        found = self.telling(lambda: finished_runs(self.tracker, self.output_dir, identities, reuse))
        if found is None:
            failure = self.telling.failure
            say(f"the store does not answer, the study continues with the files in {self.output_dir}: {failure}")
            cells = finished_folders(self.output_dir, identities, reuse or self.tracker.reuse)
            found = self.seen | {key: run_of_folder(cell) for key, cell in cells.items()}
        self.seen |= found
        return {each.key: found[each.key] for each in identities if each.key in found}

    def restore(self) -> None:
        """Unpack the runs that an earlier machine put into the archive."""
        if not self.archive.is_file():
            return
        if count := unpack(self.archive, self.output_dir):
            say(f"{count} runs are taken from {self.archive}")
        self.earlier = archived_folders(self.archive, self.output_dir)

    def keep(self) -> None:
        """Write all finished runs on this disk to the archive.

        A run of other code stays until the same run exists with this code, or the report that uses it is written again.
        """
        reuse = REUSED_HERE[self.tracker.reuse]
        made = finished_folders(self.output_dir, self.wanted.values(), reuse)
        if cells := {**self.earlier, **made}:  # a study that stops early must not remove earlier runs
            pack(cells.values(), self.archive)

    def drop_earlier(self) -> None:
        """Remove runs of other code from the archive; no report uses them any more."""
        if self.earlier:
            self.earlier = {}
            self.keep()

    def _cell(self, arm: str, seed: int) -> StudyRun:
        study = self.registration.study
        own = study.arms[arm] if arm in study.arms else (*study.arms[study.baseline], *study.controls.get(arm, ()))
        config = self._config(arm)
        # start from the seed's trunk
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
    """Print a line for the user; Hydra sets up logging only for jobs."""
    print(line, file=sys.stderr, flush=True)  # noqa: T201


def record_of(study_runs: StudyRuns, runs: Sequence[tuple[StudyRun, Run]], facts: Mapping[str, str]) -> Record:
    """Return the record of some finished runs; numbers come from run folders that are on this disk."""
    study = study_runs.registration.study
    # read numbers from run folders, else from the store
    unique = list({run.info.run_id: run for _, run in runs}.values())
    truth = read_runs_table(study_runs.client, unique, study_runs.output_dir)
    stored = truth.runs.set_index("run_id")
    wanted = dict.fromkeys(map(curve_name, [study.outcome, *study.secondary, *ALWAYS]))
    rows = []
    for cell, run in runs:
        # one row per run: what made it, then its metrics
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
    # add the onset, which needs whole curves; then keep only the study's curves
    start = onsets_of(curves, study.floor)
    rows = [row | ({ONSET: start[row["run_id"]]} if row["run_id"] in start else {}) for row in rows]
    curves = curves[curves["metric"].isin(list(wanted))]
    folder, node = study_runs.archive.parent, study_runs.registration.node
    own = {"remarks": read_remarks(folder), "published": read_published(folder)}  # written by hand
    return canonical(Record(node, dict(facts), pd.DataFrame(rows), curves, **own))
