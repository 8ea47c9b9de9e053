"""Launching: with any launcher, each job has a true outcome."""

import logging
from collections.abc import Callable, Sequence
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import pytest
from hydra.core.utils import JobReturn, JobStatus

from bertlab.config.errors import InputError
from bertlab.config.override_policy import check_launcher
from bertlab.sweep.launch import Job, Launches
from bertlab.sweep.sweep_log import SweepLog
from bertlab.tracking.description import Identity
from bertlab.tracking.mlflow import Tracker
from bertlab.tracking.result import CancelledError, LostError, Outcome, RunResult, TerminatedError
from bertlab.tracking.run_folder import KILLED, RunFolder, run_folder_of
from tests.run_folders import finished

JOBS = [Job(Identity(f"key{seed}", "code", "here"), [f"seed={seed}", "hydra.launcher.n_jobs=2"]) for seed in range(3)]
KILLER = BrokenProcessPool("A worker was killed. The exit codes of the workers are {SIGKILL(-9)}")
RESULT = RunResult("7", "finished", {"eval/mlm_loss": 1.0}, None)


class Fake:
    """A launcher that follows a list, one entry per launch, and then succeeds."""

    def __init__(self, folder: Path, *acts: Callable[..., Any]) -> None:
        self.folder, self.acts = folder, list(acts)
        self.given: list[list[str]] = []  # the seeds of each launch
        self.diary = SweepLog(folder, "sweep")

    def launch(self, jobs: Sequence[Sequence[str]], initial_job_idx: int) -> Any:
        """Follow the next entry."""
        self.given.append([job[0].removeprefix("seed=") for job in jobs])
        act = self.acts.pop(0) if self.acts else all_well
        return act(self, jobs, initial_job_idx)

    def cell(self, seed: str) -> RunFolder:
        """The cell of a job."""
        return run_folder_of(self.folder, f"key{seed}", "code", JOBS[int(seed)].identity.made_in)

    def begin(self, job: Sequence[str], number: int) -> RunFolder:
        """Begin a run and do not end it."""
        self.diary.begin(number, [job[0]])
        cell = self.cell(job[0].removeprefix("seed="))
        with cell.held():
            cell.begin(place="", parent="sweep", description={"name": job[0]})
        return cell


def reached(job: Sequence[str]) -> Outcome:
    return Outcome((job[0],), result=RESULT)


def well(job: Sequence[str]) -> JobReturn:
    return JobReturn(overrides=[job[0]], status=JobStatus.COMPLETED, _return_value=reached(job))


def all_well(_: Fake, jobs: Sequence[Sequence[str]], __: int) -> list[JobReturn]:
    return [well(job) for job in jobs]


def raises(error: BaseException, *begun: int) -> Callable[..., Any]:
    """Begin the runs with some indices, then raise."""

    def act(fake: Fake, jobs: Sequence[Sequence[str]], first: int) -> None:
        for place in begun:
            fake.begin(jobs[place], first + place)
        raise error

    return act


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., tuple[list[Outcome], Fake]]:
    """Launch the three jobs, and return how they ended, and the launcher."""

    def launched(*acts: Callable[..., Any]) -> tuple[list[Outcome], Fake]:
        fake: Any = Fake(tmp_path, *acts)
        tracker = Tracker(uri=None, experiment="bertlab", offline=True)
        outcomes = Launches(fake, tracker, str(tmp_path), "sweep").run(JOBS)
        assert not (tmp_path / "crashes").exists()
        return outcomes, fake

    return launched


Run = Callable[..., tuple[list[Outcome], Fake]]


def test_a_launcher_that_works_is_asked_once(run: Run) -> None:
    outcomes, fake = run()
    assert outcomes == [reached(job.overrides) for job in JOBS]
    assert fake.given == [["0", "1", "2"]]


@pytest.mark.parametrize("answers", [[0], [2, 0], [], [0, 1, 2, 0]], ids=str)
def test_an_answer_that_is_missing_is_asked_for_again(run: Run, answers: list[int]) -> None:
    outcomes, fake = run(lambda _, jobs, __: [well(jobs[place]) for place in answers])
    assert outcomes == [reached(job.overrides) for job in JOBS]
    left = [str(seed) for seed in range(3) if seed not in answers]
    assert fake.given == [["0", "1", "2"], *([left] if left else [])]


@pytest.mark.parametrize("nothing", [None, 17, "lost"])
def test_what_is_no_answer_counts_as_none(run: Run, nothing: object) -> None:
    outcomes, fake = run(lambda _, jobs, __: [nothing, well(jobs[1]), well(jobs[2])])
    assert outcomes == [reached(job.overrides) for job in JOBS]
    assert fake.given == [["0", "1", "2"], ["0"]]


def test_a_launcher_that_starts_nothing_is_asked_twice(run: Run) -> None:
    outcomes, fake = run(*[raises(OSError("no sbatch here"))] * 3)
    assert len(fake.given) == 2
    assert {outcome.status for outcome in outcomes} == {"not run"}
    assert outcomes[0].error == "the launcher failed before the run began: OSError: no sbatch here"


def test_where_a_cluster_does_not_count_memory_the_key_is_named(run: Run) -> None:
    outcomes, _ = run(*[raises(OSError("sbatch: error: Memory specification can not be satisfied"))] * 3)
    assert outcomes[0].error.endswith("; lower hydra.launcher.mem_gb, or leave it out with hydra.launcher.mem_gb=null")


def test_what_a_job_noted_or_its_cell_holds_is_its_outcome_where_the_launcher_raised(run: Run) -> None:
    def act(fake: Fake, jobs: Sequence[Sequence[str]], first: int) -> None:
        fake.diary.begin(first, [jobs[0][0]])
        fake.diary.end(first, Outcome((jobs[0][0],), "no room"))
        fake.diary.begin(first + 1, [jobs[1][0]])
        finished(fake.cell("1"))
        raise RuntimeError("node 3 went away")

    outcomes, fake = run(act)
    assert [outcome.error for outcome in outcomes] == ["no room", None, None]
    assert outcomes[1].result == RunResult("7", "finished", {"eval/mlm_loss": 0.5}, fake.cell("1").folder)
    assert fake.given == [["0", "1", "2"], ["2"]]


def test_a_killed_worker_costs_only_its_run_and_memory_is_named(run: Run) -> None:
    """A lost job ends its pool: jobs that did not begin run first, then each suspect runs alone."""
    outcomes, fake = run(raises(KILLER, 0, 1), all_well, raises(KILLER, 0))
    assert fake.given == [["0", "1", "2"], ["2"], ["0"], ["1"]]
    assert [outcome.status for outcome in outcomes] == ["failed", "finished", "finished"]
    assert outcomes[0].error is not None
    assert "BrokenProcessPool: {SIGKILL(-9)}" in outcomes[0].error
    assert "memory ran out; lower batch.size or hydra.launcher.n_jobs" in outcomes[0].error
    assert fake.cell("0").state()["status"] == KILLED


def test_a_pool_that_breaks_again_convicts_no_neighbour(run: Run) -> None:
    outcomes, fake = run(raises(KILLER, 0, 1), raises(KILLER, 0))
    assert fake.given == [["0", "1", "2"], ["2"], ["0"], ["1"], ["2"]]
    assert [outcome.status for outcome in outcomes] == ["finished"] * 3
    assert [outcome.lost for outcome in outcomes] == [1, 1, 1]


def test_jobs_of_a_launcher_without_a_pool_go_on_side_by_side(run: Run) -> None:
    outcomes, fake = run(raises(RuntimeError("job 17 was cancelled"), 0, 1))
    assert fake.given == [["0", "1", "2"], ["0", "1", "2"]]
    assert [outcome.status for outcome in outcomes] == ["finished"] * 3


def test_a_cancelled_job_is_given_up_with_the_launchers_words(run: Run) -> None:
    cancelled = raises(RuntimeError("Job 17 failed during processing: OUT_OF_MEMORY"), 0)
    outcomes, _ = run(cancelled, cancelled)
    assert outcomes[0].error is not None
    assert "OUT_OF_MEMORY" in outcomes[0].error
    assert "memory ran out" in outcomes[0].error
    assert [outcome.status for outcome in outcomes[1:]] == ["finished"] * 2


@pytest.mark.parametrize("error", [TerminatedError("told to end"), ConnectionError("node 3 went away")], ids=repr)
def test_an_exception_in_place_of_an_outcome_is_the_jobs_own(run: Run, error: Exception) -> None:
    def act(_: Fake, jobs: Sequence[Sequence[str]], __: int) -> list[Any]:
        return [JobReturn(overrides=[jobs[0][0]], status=JobStatus.FAILED, _return_value=error), *map(well, jobs[1:])]

    once, fake = run(act)
    assert fake.given == [["0", "1", "2"], ["0"]]
    assert [(outcome.result, outcome.lost) for outcome in once] == [(RESULT, 1), (RESULT, 0), (RESULT, 0)]
    twice, fake = run(act, act)
    assert fake.given == [["0", "1", "2"], ["0"]]
    assert twice[0].error == f"{type(error).__name__}: {error}"


def test_a_job_that_was_cancelled_is_not_launched_again(run: Run) -> None:
    outcomes, fake = run(lambda _, jobs, __: [CancelledError("its job 7_0 was cancelled"), *map(well, jobs[1:])])
    assert fake.given == [["0", "1", "2"]]
    assert [outcome.error for outcome in outcomes] == ["its job 7_0 was cancelled", None, None]


def test_a_job_without_a_result_is_launched_once_more(run: Run) -> None:
    def act(_: Fake, jobs: Sequence[Sequence[str]], __: int) -> list[Any]:
        return [LostError("its job 7_0 ended as OUT_OF_MEMORY"), *map(well, jobs[1:])]

    once, fake = run(act)
    assert fake.given == [["0", "1", "2"], ["0"]]
    assert [outcome.lost for outcome in once] == [1, 0, 0]
    twice, _ = run(act, act)
    assert twice[0].error is not None
    assert "its job 7_0 ended as OUT_OF_MEMORY" in twice[0].error
    assert "hydra.launcher.mem_gb" in twice[0].error


def test_what_jobs_of_an_earlier_command_note_is_not_taken_for_another_jobs(run: Run) -> None:
    """The command was killed and started again: its old job 0 goes on, and is not the new job 0."""

    def act(fake: Fake, jobs: Sequence[Sequence[str]], first: int) -> list[Any]:
        fake.diary.begin(first, ["seed=2"])
        fake.diary.end(first, Outcome(("seed=2",), "no room"))
        return [None, *map(well, jobs[1:])]

    outcomes, fake = run(act)
    assert fake.given == [["0", "1", "2"], ["0"]]
    assert outcomes == [reached(job.overrides) for job in JOBS]


@pytest.mark.parametrize("stop", [KeyboardInterrupt(), SystemExit(143)], ids=repr)
def test_a_request_to_stop_passes_through(run: Run, stop: BaseException) -> None:
    with pytest.raises(type(stop)):
        run(raises(stop, 0))


def test_a_sweep_says_that_it_launches_again(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        run(raises(KILLER, 0))
    assert (
        "runs left without an outcome: 3 (BrokenProcessPool: {SIGKILL(-9)}); they are launched again" in caplog.messages
    )


class Joblib:
    """Hydra's launcher of this name, as far as its settings go."""

    def __init__(self, **settings: Any) -> None:
        self.joblib = settings


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"n_jobs": 0}, "n_jobs == 0"),
        ({"n_jobs": 5_000_000}, "n_jobs must be at most 1024"),
        ({"n_jobs": 2, "pre_dispatch": "foo"}, "'foo'"),
        ({"n_jobs": 2, "batch_size": "0"}, "batch_size"),
        ({"n_jobs": 2, "prefer": "magic"}, "magic"),
        ({"n_jobs": 2, "max_nbytes": "much"}, "much"),
    ],
)
def test_settings_that_joblib_does_not_take_are_refused(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=r"hydra\.launcher") as refused:
        check_launcher(Joblib(**settings))
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("jobs", [-10_000, -1, 1, 2])
def test_settings_that_joblib_takes_pass(jobs: int) -> None:
    check_launcher(Joblib(n_jobs=jobs, verbose=0, pre_dispatch="2*n_jobs", batch_size="auto"))
    check_launcher(object())
