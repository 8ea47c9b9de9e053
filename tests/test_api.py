"""The public API: what `import bertlab` gives to a Python user."""

import logging
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

import bertlab
from bertlab.config.compose import PACKAGE
from bertlab.config.own import VARIABLE
from bertlab.tracking.result import Outcome
from tests.own import make_own

TINY = (
    *("data=oracle", "data.documents=60", "batch.size=4", "batch.length=35", "budget.tokens=700"),
    *("evaluation.sequences=8", "evaluation.pseudo=0", "trainer.progress=false", "model.layers=1", "model.width=16"),
    *("model.heads=1", "model.inner=16", "tracking.offline=true"),
)
REPORTS = PACKAGE.parent / "reports"


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_import_is_light() -> None:
    heavy = {"torch", "numpy", "hydra", "pandas", "mlflow"}
    seen = f"import sys, bertlab; dir(bertlab); print(*({heavy} & set(sys.modules)))"
    ended = subprocess.run([sys.executable, "-c", seen], capture_output=True, text=True, check=True, cwd=PACKAGE.parent)
    assert ended.stdout == "\n"


def test_all_that_is_promised_is_there() -> None:
    assert [name for name in bertlab.__all__ if getattr(bertlab, name, None) is None] == []
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        bertlab.nothing  # noqa: B018


def test_a_run_is_a_value_and_the_same_run_is_reused(capsys: pytest.CaptureFixture[str]) -> None:
    first = bertlab.run([*TINY, "mask.rate=0.3"])
    assert (first.status, first.reused, first.metrics["perf/tokens"]) == ("finished", False, 700)
    assert first.folder is not None
    assert (first.folder / "record.json").is_file()
    again = bertlab.run({**dict(word.split("=") for word in TINY), "mask.rate": 0.3})
    assert (again.run_id, again.reused, again.metrics) == (first.run_id, True, dict(first.metrics))
    assert capsys.readouterr().out == ""


def test_a_sweep_is_a_table_that_says_which_run_failed(capsys: pytest.CaptureFixture[str]) -> None:
    root, handler = list(logging.getLogger().handlers), signal.getsignal(signal.SIGTERM)
    swept = bertlab.sweep({"mask.rate": [0.15, 0.3], "seed": range(1)}, TINY)
    assert swept.runs["mask.rate"].tolist() == [0.15, 0.3]
    assert swept.runs["status"].tolist() == ["finished"] * 2
    assert swept.runs["eval/mlm_loss"].notna().all()
    assert swept.report is not None
    assert swept.report.is_file()
    assert "<table" in swept._repr_html_()
    assert capsys.readouterr().out == ""
    assert (list(logging.getLogger().handlers), signal.getsignal(signal.SIGTERM)) == (root, handler)


def test_a_short_key_of_a_grid_is_a_column_with_its_values() -> None:
    jobs = [("evaluation=tasks", f"evaluation.tasks.method={each}", f"start.from={each}") for each in ("probe", "none")]
    swept = bertlab.SweepResult(tuple(Outcome(job, "failed") for job in jobs), ("tasks.method", "start"), None)
    assert swept.runs["tasks.method"].tolist() == swept.runs["start"].tolist() == ["probe", "none"]


def test_a_users_own_folder_is_named_among_the_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "")
    own = make_own(tmp_path)
    with pytest.raises(bertlab.InputError, match=r"^mask\.count must be a whole number of at least 1, got 0; "):
        bertlab.run([f"--own={own}", "mask=first", "mask.count=0"])
    with pytest.raises(bertlab.InputError, match=r"call bertlab\.study\('first_tokens'\)$"):
        bertlab.run(["study=first_tokens"])


@pytest.mark.parametrize(
    ("call", "line"),
    [
        (lambda: bertlab.run(["lr=0.01"]), "lr is not a key of the configuration; did you mean optimizer.lr?"),
        (lambda: bertlab.run(["mask.rate=2"]), "mask.rate must lie in (0, 1), got 2; choose a number inside"),
        (lambda: bertlab.run("mask.rate=0.3"), "overrides must be a list or a mapping, got 'mask.rate=0.3'; write "),
        (lambda: bertlab.run(["study=mask_rate"]), "run makes one run, got a study; call bertlab.study('mask_rate')"),
        (lambda: bertlab.sweep({"mask.rate": [0.1, 2]}), "mask.rate must lie in (0, 1), got 2; choose a number inside"),
        (lambda: bertlab.run([3]), "overrides must be words or a mapping, got [3]; write for example "),
        (lambda: bertlab.run(3), "overrides must be words or a mapping, got 3; write for example "),
        (lambda: bertlab.sweep(["seed=0,1"]), "grid must be a mapping from keys to values, got ['seed=0,1']; write "),
        (lambda: bertlab.sweep({"seed": []}), "a key of a grid must have at least one value, got an empty list; "),
        (lambda: bertlab.study("mask_rates"), "study=mask_rates is not an option; did you mean mask_rate"),
        (lambda: bertlab.load_study("nothing"), "a study's folder must hold study.json, runs.csv, curves.csv; "),
        (lambda: bertlab.run(["data._target_=os.system"]), "data._target_ must name a part of bertlab, got os.system"),
    ],
)
def test_what_cannot_be_is_an_input_error_that_leaves_nothing(call: object, line: str, tmp_path: Path) -> None:
    assert callable(call)
    with pytest.raises(bertlab.InputError) as caught:
        call()
    assert str(caught.value).startswith(line)
    assert list(tmp_path.iterdir()) == []


def test_values_of_any_kind_are_typed_as_a_person_would() -> None:
    from bertlab.api import _choices, _words
    from bertlab.config.compose import load, resolved

    assert _choices([True, None, 1e-5, np.float64(0.3), "a b", [0.8, 0.1]]) == "true,null,1e-05,0.3,'a b',[0.8,0.1]"
    words = _words({"data": "text", "data.files": "it's, a=b {c}.txt", "mask.split": (1.0, 0, 0), "trainer.clip": 1e-5})
    config = resolved(load(words))
    assert config["data"]["files"] == "it's, a=b {c}.txt"
    assert (config["mask"]["split"], config["trainer"]["clip"]) == ([1.0, 0, 0], 1e-5)


def test_a_committed_study_is_read_as_tables() -> None:
    found = bertlab.load_study(REPORTS / "mask_rate")
    assert found.status == "UNDECIDED"
    assert found.page == REPORTS / "mask_rate.md"
    primary = found.contrasts[found.contrasts["role"] == "primary"]
    assert primary["arm"].tolist() == ["rate_05", "rate_10", "rate_20", "rate_30", "rate_40", "rate_60"]
    assert set(found.contrasts["role"]) == {"primary", "control"}
    assert {"arm", "seed", "run_id", "eval/mlm_loss"} <= set(found.runs.columns)
    assert list(found.curves.columns) == ["run_id", "metric", "step", "tokens", "value"]
    assert "rate_40" in found._repr_html_()


def test_paired_numbers_of_anybody_are_judged() -> None:
    baseline = np.array([2.0, 2.1, 1.9, 2.05, 1.95])
    worse = bertlab.judge(baseline + np.array([0.5, 0.52, 0.48, 0.5, 0.5]), baseline, margin=0.1)
    assert (worse.verdict, worse.n, worse.needed) == ("WORSE (material)", 5, None)
    assert worse.mean == pytest.approx(0.5)
    assert worse.low < worse.mean < worse.high
    accuracy = bertlab.judge([0.9, 0.91, 0.9], [0.8, 0.81, 0.79], margin=0.02, lower_is_better=False)
    assert accuracy.verdict == "BETTER (material)"
    assert accuracy.mean > 0
    assert "BETTER (material)" in accuracy._repr_html_()
    assert bertlab.judge([1.0, 1.4, 0.8], [1.0, 1.0, 1.0], margin=0.1).verdict == "INCONCLUSIVE"
    for arm, base, margin in (([1.0, 2.0], [1.0], 0.1), ([1.0], [1.0], 0.1), ([1.0, 2.0], [1.0, 2.5], 0.0)):
        with pytest.raises(ValueError, match=r"must share their seeds|at least 2 pairs|margin must be positive"):
            bertlab.judge(arm, base, margin=margin)


def test_the_rooms_of_the_package_stay_modules() -> None:
    import bertlab.study.design as design

    assert bertlab.study.design is design
    assert callable(bertlab.study)


def test_a_function_of_the_api_that_is_also_a_module_can_be_called_after_its_import() -> None:
    doors = [name for name in bertlab.__all__ if find_spec(f"bertlab.{name}")]
    assert doors == ["run", "study", "sweep"]
    calls = "; ".join(f"import bertlab.{name}" for name in doors)
    told = f"{calls}; print(*(callable(getattr(bertlab, name)) for name in {doors})); bertlab.run(3)"
    ended = subprocess.run(
        [sys.executable, "-c", told], capture_output=True, text=True, check=False, cwd=PACKAGE.parent
    )
    assert ended.stdout == "True True True\n"
    assert "InputError: overrides must be words or a mapping, got 3" in ended.stderr
