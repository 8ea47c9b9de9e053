"""The plan of a study: it lists the runs that the study will make, and its chances follow from the decision rule."""

import math
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest
import yaml

from bertlab.config.compose import load, resolved
from bertlab.config.errors import InputError
from bertlab.data.batches import Batch
from bertlab.evaluation.finetune import EPOCHS, RATES
from bertlab.evaluation.held_out import Finetuning
from bertlab.evaluation.tasks import Task
from bertlab.experiment.plan import speed, tables
from bertlab.experiment.plan.__main__ import main
from bertlab.experiment.plan.outlook import PILOT_SLOPE, TRUTHS, TYPICAL, outlook, prospect
from bertlab.experiment.plan.runs import Runs, evaluation_share, finished_runs, plan_runs, side_by_side
from bertlab.experiment.plan.speed import Stopwatch, seconds_a_step
from bertlab.experiment.plan.tables import duration, levels, of_chances, of_prior
from bertlab.experiment.sequential import EXPLORING, FIRST_EXPLORING
from bertlab.experiment.study_runs import StudyRuns
from bertlab.stats.claim import Expectation, decides
from bertlab.stats.looks import interval_level
from bertlab.stats.moderated import Prior
from bertlab.stats.power import POWER, chance, chances
from bertlab.study.design import Study
from bertlab.study.record import EXPLORATION, Record, canonical, twins
from bertlab.study.regime import Budget, FrozenMargin
from bertlab.study.registration import read_study
from bertlab.study.values import prior_of
from bertlab.sweep.run import Job, prepare_job
from bertlab.tracking.archive import archived_folders, pack
from bertlab.tracking.description import CODE, ENVIRONMENT, KEY, KIND, Identity
from bertlab.tracking.mlflow import Tracker
from bertlab.tracking.run_folder import run_folder_of
from tests.run_folders import finished

SMALL = ("data=oracle", "data.documents=60", "batch.size=4", "batch.length=35", "budget.tokens=700")  # 5 steps
STUDY = ("padding", [*SMALL, "evaluation.sequences=8", "model=tiny", "trainer.progress=false"])
NODE: dict[str, Any] = {
    "id": "heads",
    "question": "Do several heads help?",
    "claim": "One head is worse than two.",
    "baseline": "two",
    "factors": ["model.heads"],
    "arms": {"two": ["model.heads=2"], "one": ["model.heads=1"], "four": ["model.heads=4"]},
    "expects": {"one": "worse"},
    "outcome": "eval/mlm_loss",
    "margin": {"nats": 0.1},
    "family": "attention",
    "seeds": 8,
    "looks": [5, 8],
    "axis": "tokens",
    "floor": 0.3,
    "controls": {"same": ["redraw=order"], "harmful": ["budget.tokens=1_150_000"]},
}


def study(**node: Any) -> Study:
    return read_study({"study": {**NODE, **node}})


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    """The runs of a small study, without a store."""
    folder = tmp_path_factory.mktemp("planned")
    name, overrides = STUDY
    return plan_runs(name, [*overrides, f"tracking.uri=sqlite:///{folder / 'mlflow.db'}"], 0.0)


@pytest.fixture(scope="module")
def job() -> Job:
    config = load([*SMALL, "evaluation.sequences=8", "model=tiny", "trainer.progress=false"])
    return prepare_job(resolved(config))


def test_runs_are_counted_until_each_look(planned: Runs) -> None:
    sums = list(planned.until_each_look())
    assert [each.until for each in sums] == [EXPLORATION, "look at 5 seeds", "look at 8 seeds"]
    assert [each.runs for each in sums] == [3, 3 + 4 * 5, 3 + 4 * 8]  # two arms and two controls
    assert [each.finished for each in sums] == [0, 0, 0]
    harmful = math.ceil(1_150_000 / 140) * 140
    assert [each.tokens for each in sums] == [3 * 700, 18 * 700 + 5 * harmful, 27 * 700 + 8 * harmful]
    assert sums[0].weights == 3 * planned.costs["hidden"].weights > 0
    assert sums[0].seconds is None, "nothing was timed"


@pytest.mark.slow
def test_a_search_is_counted_with_the_exploration_and_its_arms_at_two_values(tmp_path: Path) -> None:
    name, overrides = STUDY
    search = "+study.search={setting: optimizer.lr, values: [0.001, 0.002, 0.004], seeds: 2}"
    own = [*overrides, search, f"tracking.uri=sqlite:///{tmp_path / 'mlflow.db'}"]
    searching = plan_runs(name, own, 0.0)
    assert set(searching.study.arms) == {"hidden", "seen", "seen_tuned"}
    explored = 2 * 3 * 2 + 1  # two arms at three values on two seeds; the slope takes one seed more
    runs = [each.runs for each in searching.until_each_look()]
    assert runs == [explored, explored + 5 * 5, explored + 5 * 8]  # three arms and two controls


def test_the_runs_of_a_plan_are_those_that_the_study_makes(planned: Runs) -> None:
    (fingerprint,) = {cost.fingerprint for cost in planned.costs.values()}
    tracker, fixed = SimpleNamespace(parent="p"), ["study=padding", *STUDY[1]]
    nowhere = Path("none")
    study_runs = StudyRuns(planned.registration, fixed, None, tracker, None, fingerprint, nowhere)  # type: ignore[arg-type]
    cells = study_runs.cells(["hidden", "seen", "same", "harmful"], range(8))
    cells += study_runs.cells([EXPLORATION], range(FIRST_EXPLORING, FIRST_EXPLORING + EXPLORING))
    assert {cell.identity.as_reused("same") for cell in cells} == {planned.identity(c.arm, c.seed) for c in cells}
    assert len({cell.key for cell in cells}) == list(planned.until_each_look())[-1].runs


@pytest.mark.parametrize("code", ["code", "0ther"])
def test_a_study_that_is_stopped_early_keeps_what_its_archive_held(planned: Runs, tmp_path: Path, code: str) -> None:
    kept, here, there = tmp_path / "cells.tar.xz", tmp_path / "here", tmp_path / "there"
    pack([finished(run_folder_of(there, key, code)) for key in ("early", "late")], kept)
    arms = {name: {**config, "output_dir": str(here)} for name, config in planned.registration.arms.items()}
    tracker = SimpleNamespace(parent="p", reuse="same")
    study_runs = StudyRuns(replace(planned.registration, arms=arms), [], None, tracker, None, "data", kept)  # type: ignore[arg-type]
    study_runs.restore()
    finished(run_folder_of(here, "new", "code"))
    study_runs.wanted["new"] = Identity("new", "code", "")  # as its first runs are, when it is stopped
    study_runs.keep()
    assert archived_folders(kept, here).keys() == {"early", "late", "new"}
    assert all(cell.record() for cell in archived_folders(kept, here).values())


def test_runs_of_other_code_leave_the_archive_once_this_code_has_its_own_or_a_new_report(
    planned: Runs, tmp_path: Path
) -> None:
    kept, here = tmp_path / "cells.tar.xz", tmp_path / "here"
    pack([finished(run_folder_of(tmp_path / "there", key, "0ther")) for key in ("again", "gone")], kept)
    arms = {name: {**config, "output_dir": str(here)} for name, config in planned.registration.arms.items()}
    tracker = SimpleNamespace(parent="p", reuse="same")
    study_runs = StudyRuns(replace(planned.registration, arms=arms), [], None, tracker, None, "data", kept)  # type: ignore[arg-type]
    study_runs.restore()
    again = Identity("again", "code", "here")
    finished(run_folder_of(here, again.key, again.code, again.made_in))
    study_runs.wanted["again"] = again
    study_runs.keep()
    folders = {key: cell.folder.name for key, cell in archived_folders(kept, here).items()}
    assert folders == {"again": f"again-code-{again.made_in}", "gone": "gone-0ther"}
    study_runs.drop_earlier()
    assert archived_folders(kept, here).keys() == {"again"}


def test_finished_runs_are_found_in_the_store(planned: Runs, tmp_path: Path) -> None:
    tracker = Tracker(uri=f"sqlite:///{tmp_path / 'mlflow.db'}", experiment="bertlab")
    assert list(finished_runs(tracker)) == list(tmp_path.iterdir()) == [], "a plan makes no store"
    client = tracker.connect()
    for arm, seed, changed in (
        ("seen", 2, {}),
        ("same", 7, {}),
        ("seen", 3, {CODE: "?"}),
        ("seen", 4, {ENVIRONMENT: "?"}),
    ):
        key, code, environment = planned.identity(arm, seed)
        tags = {KIND: "run", KEY: key, CODE: code, ENVIRONMENT: environment, **changed}
        client.set_terminated(tracker.start(client, "a run", tags), "FINISHED")
    found = replace(planned, done=finished_runs(tracker))
    assert [sums.finished for sums in found.until_each_look()] == [0, 1, 2]


def test_times_follow_flops_evaluation_and_what_runs_side_by_side(planned: Runs) -> None:
    cost = planned.costs["hidden"]
    timed = replace(planned, speed=cost.flops / 100, side_by_side=2)  # a run trains for 100 s
    alone = 100 * (1 + cost.evaluation)
    assert timed.seconds("hidden") == pytest.approx(alone)
    harmful = planned.costs["harmful"]
    assert timed.seconds("harmful") == pytest.approx(100 * harmful.flops / cost.flops * (1 + harmful.evaluation))
    assert next(timed.until_each_look()).seconds == pytest.approx(3 * alone / 2)
    left = replace(timed, done={timed.identity(EXPLORATION, FIRST_EXPLORING + seed) for seed in range(2)})
    first = next(left.until_each_look())
    assert (first.finished, first.seconds) == (2, pytest.approx(alone)), "one run cannot be divided"


def test_a_study_of_a_measure_at_the_end_explores_nothing(planned: Runs) -> None:
    registration = planned.registration
    last = replace(registration.study, outcome="eval/pseudo_loss")
    runs = replace(planned, registration=replace(registration, study=last))
    assert EXPLORATION not in runs.configs
    assert [sums.runs for sums in runs.until_each_look()] == [4 * 5, 4 * 8]


def test_fine_tuning_costs_what_it_trains_on(job: Job) -> None:
    tasks = {name: cast(Task, None) for name in ("similarity", "continuation")}
    tuned = replace(job, evaluation=replace(job.evaluation, finetuning=Finetuning(tasks, (8, 32), 2)))
    trained = 2 * 2 * (8 + 32) * len(RATES) * EPOCHS * job.form.length
    assert evaluation_share(tuned) - evaluation_share(job) == pytest.approx(trained / (job.steps * job.form.tokens))


def test_joblib_divides_the_time() -> None:
    assert side_by_side(load([])) == 1
    assert side_by_side(load(["hydra/launcher=joblib", "hydra.launcher.n_jobs=1"])) == 1
    assert side_by_side(load(["hydra/launcher=joblib", "hydra.launcher.n_jobs=-1"])) >= 1
    with pytest.raises(InputError, match=r"hydra\.launcher\.n_jobs must be a number of processes"):
        side_by_side(load(["hydra/launcher=joblib", "hydra.launcher.n_jobs=0"]))


def test_speed_is_measured_by_training(job: Job) -> None:
    asked: list[int] = []

    def batches(step: int) -> Batch:
        asked.append(step)
        return job.batches(step)

    assert seconds_a_step(replace(job, batches=batches), 1e-9) > 0
    assert asked[:2] == [0, 1]
    assert len(asked) < job.steps, "it stops as soon as it may"


def test_a_step_takes_what_the_clock_says(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = count(0, 3)
    monkeypatch.setattr(speed, "time", SimpleNamespace(monotonic=lambda: next(ticks)))
    assert seconds_a_step(job, 6.0) == 3.0
    assert next(ticks) == 9, "three steps: one that is not timed, and two of three seconds"


def test_a_run_shorter_than_the_measurement_is_timed_to_its_end(job: Job) -> None:
    watch = Stopwatch(job, 3600.0)
    watch.ends = [1.0, 2.0, 4.0]
    assert watch.seconds_a_step == 1.5
    assert seconds_a_step(job, 3600.0) > 0


def test_chances_are_those_of_the_rule_at_the_last_look(tmp_path: Path) -> None:
    plan = outlook(study(), tmp_path, sd=0.07)
    level = interval_level([5, 8])
    assert plan.level == level
    (shown,) = plan.chances.values()
    assert [each.effect for each in shown] == pytest.approx([truth * 0.1 for truth in TRUTHS])
    for each in shown:
        assert each.by_kind == chances(8, 0.07, each.effect, 0.1, level)
        assert each.decided == pytest.approx(
            chance(8, 0.07, each.effect, 0.1, level, decides(Expectation.WORSE)), abs=1e-12
        )


def test_several_claims_are_read_at_the_level_of_one(tmp_path: Path) -> None:
    plan = outlook(study(expects={"one": "worse", "four": "not_better"}), tmp_path, sd=0.07)
    assert plan.level == interval_level([5, 8])
    assert "A refutation is corrected for 2 arms too" in levels(plan)
    assert "corrected" not in levels(outlook(study(), tmp_path, sd=0.07))
    better, worse = plan.chances[Expectation.NOT_BETTER], plan.chances[Expectation.WORSE]
    assert [each.effect for each in better] == [-each.effect for each in worse], "each on the side that decides it"


def test_another_true_effect_may_be_asked_for(tmp_path: Path) -> None:
    (shown,) = outlook(study(), tmp_path, sd=0.07, effect=-0.04).chances.values()
    assert shown[-1].effect == -0.04


def test_a_margin_in_tokens_is_worth_what_the_slope_says(tmp_path: Path) -> None:
    by_tokens = study(margin={"tokens": 0.25})
    assert outlook(by_tokens, tmp_path).scale.margin == pytest.approx(PILOT_SLOPE * math.log(1.25))
    assert outlook(by_tokens, tmp_path, slope=0.2).scale.margin == pytest.approx(0.2 * math.log(1.25))
    accuracy = study(margin={"tokens": 0.25}, outcome="eval/mlm_accuracy")
    with pytest.raises(InputError, match=r"slope must be given .* eval/mlm_accuracy, got nothing; .* slope=0\.2"):
        outlook(accuracy, tmp_path)
    assert outlook(accuracy, tmp_path, slope=0.1).scale.margin == pytest.approx(0.1 * math.log(1.25))


def test_without_a_pilot_the_spread_is_a_row_of_values(tmp_path: Path) -> None:
    assert outlook(study(), tmp_path).scale.sds == TYPICAL
    shares = study(outcome="eval/mlm_accuracy", margin={"share": 0.02})
    assert outlook(shares, tmp_path).scale.sds == pytest.approx((0.005, 0.01, 0.02, 0.04))


def test_an_earlier_report_is_the_pilot(tmp_path: Path) -> None:
    put_report(tmp_path, sd=0.06, slope=-0.3)
    by_tokens = study(margin={"tokens": 0.25})
    scale = outlook(by_tokens, tmp_path).scale
    assert scale.sds == pytest.approx((0.06,), rel=1e-5)
    assert scale.margin == pytest.approx(0.3 * math.log(1.25))
    stated = outlook(by_tokens, tmp_path, sd=0.01, slope=0.2).scale
    assert (stated.sds, stated.slope) == ((0.01,), 0.2), "what is stated comes first"
    other = study(outcome="eval/pseudo_loss")
    assert outlook(other, tmp_path).scale.sds == TYPICAL, "a report on another outcome says nothing of this one"


def put_report(folder: Path, *, sd: float, slope: float) -> None:
    """Write the record of an earlier study whose differences spread by `sd`."""
    shape = np.array([-1.0, -1.0, 0.0, 1.0, 1.0])
    about = {"diverged": False, "code": "c", "corpus": "d", "evaluation": "e"}
    rows = [
        {**about, "arm": arm, "seed": seed, "run_id": f"{arm}{seed}", "eval/mlm_loss": 4 + spread * shape[seed]}
        for arm, spread in {"two": 0.0, "one": sd, "same": 0.01, "harmful": 0.01}.items()
        for seed in range(5)
    ]
    curves = pd.DataFrame(columns=["run_id", "metric", "step", "tokens", "value"])
    (folder / "heads").mkdir()
    for name, content in twins(
        canonical(Record(NODE, {}, pd.DataFrame(rows), curves, FrozenMargin(0.1, slope)))
    ).items():
        (folder / "heads" / name).write_bytes(content)


@pytest.mark.parametrize("expects", list(Expectation))
def test_what_a_decision_takes_is_enough_and_not_too_much(expects: Expectation) -> None:
    found = prospect(8, 0.12, 0.1, 0.94, expects)
    side = -1 if "better" in expects.value else 1
    near = side if expects in (Expectation.WORSE, Expectation.BETTER) else 0

    def least(n: int, margin: float) -> float:
        truths = (near * margin, 2 * side * margin)
        return min(chance(n, 0.12, truth, margin, 0.94, decides(expects)) for truth in truths)

    assert min(found.near, found.far) == pytest.approx(least(8, 0.1))
    assert not found.likely
    assert found.seeds is not None
    assert least(found.seeds, 0.1) >= POWER > least(found.seeds - 1, 0.1)
    assert least(8, found.margin) == pytest.approx(POWER, abs=1e-6)
    assert prospect(8, 0.12, 1.01 * found.margin, 0.94, expects).likely


def test_there_is_a_warning_only_if_a_decision_is_unlikely(tmp_path: Path) -> None:
    def warnings(sd: float, **node: Any) -> list[str]:
        shown = of_chances(outlook(study(**node), tmp_path, sd=sd))
        return [line for line in shown if isinstance(line, str) and line.startswith("Warning")]

    assert warnings(0.02) == []
    (line,) = warnings(0.15)
    (found,) = outlook(study(), tmp_path, sd=0.15).prospects[Expectation.WORSE]
    assert f"about {found.seeds} seeds, or a margin of {{nats: {found.margin:.2g}}}, or longer runs" in line
    assert "more than 100 seeds" in warnings(3.0)[0]
    share = math.expm1(found.margin / PILOT_SLOPE)
    assert f"{{tokens: {share:.2g}}}" in warnings(0.15, margin={"tokens": math.expm1(0.1 / PILOT_SLOPE)})[0]


def test_times_have_one_sensible_unit() -> None:
    assert [duration(each) for each in (None, 0.4, 59, 90, 5400)] == ["", "0 s", "59 s", "1.5 min", "1.5 h"]


@pytest.fixture
def command(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[Any, str, str]]:
    """Run `python -m bertlab.plan` with some words in an empty folder, in this process."""
    monkeypatch.delenv("BERTLAB_TRACEBACK", raising=False)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> tuple[Any, str, str]:
        code: Any = 0
        try:
            main(words)
        except SystemExit as exit_:
            code = exit_.code
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def test_a_plan_is_printed_and_nothing_is_written(command: Callable[..., tuple[Any, str, str]], tmp_path: Path) -> None:
    code, out, err = command("study=padding", *STUDY[1], "seconds=0.001", "sd=0.1")
    assert (code, err) == (0, "")
    assert "How is padding masked, and what if it is not?" in out
    assert "for the slope" in out
    assert "one run after another" in out
    assert "WORSE (size unresolved)" in out
    assert "Warning: a decision is unlikely" in out
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "study must be given, got nothing; add study=<id>"),
        (("study=paddings",), "study=paddings is not an option; did you mean padding "),
        (("study=padding", "sd=0"), "sd must lie in (0, 100), got 0"),
        (("study=padding", "sd=wide"), "sd must lie in (0, 100), got wide"),
        (("study=padding", "seconds=-1"), "seconds must lie in [0, 3600], got -1"),
        (("study=padding", "modle=tiny"), "modle is not a key of the configuration; did you mean model"),
        (("study=padding", "model/attention=nope"), "model/attention=nope is not an option; choose one of "),
    ],
)
def test_what_cannot_be_planned_is_one_line(
    command: Callable[..., tuple[Any, str, str]], words: tuple[str, ...], message: str
) -> None:
    code, out, err = command(*words)
    assert (code, out) == (2, "")
    assert err.startswith(f"bertlab: {message}")
    assert len(err.splitlines()) == 1


def test_help_comes_before_anything_heavy_is_imported() -> None:
    seen = (
        "import sys; from bertlab.experiment.plan.__main__ import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        "print(*({'torch', 'numpy', 'scipy', 'mlflow', 'pandas'} & set(sys.modules)), file=sys.stderr)"
    )
    ended = subprocess.run([sys.executable, "-c", seen], capture_output=True, text=True, check=True)
    assert ended.stdout.startswith("Plan a registered study before it runs")
    assert ended.stderr.strip() == ""


def test_a_plan_tells_the_prior_of_its_regime_as_a_study_file_states_it(
    planned: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert [*of_prior(planned)] == [], "no report of the regime is there"
    asked = []
    monkeypatch.setattr(tables, "prior_in", lambda *given: asked.append(given) or Prior(0.00123, 8.5, 12))
    (text,) = of_prior(planned)
    ((_, regime, outcome),) = asked
    assert (regime[0], outcome) == (planned.costs["hidden"].fingerprint, "eval/mlm_loss")
    assert regime[2] == Budget(steps=5, sequences=4, length=35)
    stated = yaml.safe_load(str(text).rpartition("run:\n")[2])["prior"]
    assert prior_of(stated) == Prior(0.00123, 8.5, 12)
    given = replace(
        planned, registration=replace(planned.registration, study=replace(planned.study, prior=Prior(1, 2, 10)))
    )
    assert [*of_prior(given)] == [], "it has one"
