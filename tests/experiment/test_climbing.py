"""A ladder from the command line: rung by rung, a prediction before the third one, and its errors."""

import json
from pathlib import Path

import pytest
import yaml

from bertlab.config.compose import load, resolved
from bertlab.config.reading import written_out
from bertlab.experiment.plan.rungs import ladder_of, of_ladder, plan_ladder
from bertlab.study.catalogue import study_files
from bertlab.study.ladder import FEWEST, fingerprint, read_ladder, read_predictions
from bertlab.study.record import PREDICTED
from bertlab.study.registration import read_study
from tests.conftest import Command

TINY = (
    *("study=key_value_ladder", "data=oracle", "data.documents=80", "batch.size=3"),
    *("model.width=16", "model.heads=1", "trainer.points=2", "trainer.progress=false"),
    *("evaluation.sequences=4", "evaluation.final=4", "evaluation.share=0.99", "evaluation.pseudo=0"),
    *("tracking.weights=false", "~study.margin.tokens", "+study.margin.nats=0.1", "study.floor=0"),
    *("study.secondary=[]", "study.ladder.nano=3", "~study.ladder.micro", "~study.ladder.mini"),
)


def test_a_rung_is_short_for_its_regime_in_a_study_alone() -> None:
    assert written_out(["study=heads", "rung=nano"]) == ["study=heads", "regime=nano", "++study.rung=nano"]
    assert written_out(["rung=nano"]) == ["rung=nano"]


@pytest.mark.slow
def test_every_rung_of_the_studies_here_is_a_regime_and_costs_more_than_the_one_before() -> None:
    for name, path in study_files().items():
        ladder = yaml.safe_load(path.read_text("utf-8"))["study"].get("ladder", {})
        sizes = []
        for rung in ladder:
            config = resolved(load([f"regime={rung}"]))
            model = config["model"]
            sizes.append(model["layers"] * model["width"] ** 2 * config["budget"]["tokens"])
        assert sizes == sorted(sizes), name


def test_what_depends_on_the_size_is_relative_to_the_rung() -> None:
    changed = {rung: read_study(resolved(load(["study=known_answers", f"rung={rung}"]))) for rung in ("nano", "micro")}
    assert {rung: study.arms["layers_2x"] for rung, study in changed.items()} == {
        "nano": ("model.layers=4",),
        "micro": ("model.layers=8",),
    }
    assert changed["nano"].arms["inner_4x"] == ("model.inner=1024",)
    assert changed["nano"].controls["harmful"] == ("budget.tokens=2300000",)


def test_a_plan_is_of_the_ladder_unless_it_names_a_rung() -> None:
    assert ladder_of("key_value_ladder", []) == {"nano": 5, "nano_long": 3, "study": 3, "micro": 3, "mini": 3}
    assert ladder_of("key_value_ladder", ["rung=nano"]) == {}
    assert ladder_of("heads", []) == {}


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (TINY, "rung must be one of nano, nano_long, study, got nothing; write rung=nano"),
        ((*TINY, "rung=micro"), "rung must be one of nano, nano_long, study, got micro; correct it"),
        (("study=padding", "rung=nano"), "rung must be left out, as this study has no ladder, got nano; correct it"),
        (
            (*TINY, "++study.rung=nano", "regime=study"),
            "regime must be that of the rung nano, got study; write rung=nano",
        ),
    ],
)
def test_what_is_no_rung_is_refused(words: tuple[str, ...], line: str, command: Command) -> None:
    code, out, err = command(*words)
    assert (code, out) == (2, "")
    assert err.startswith(f"bertlab: {line}")
    assert not list(Path.cwd().iterdir())


@pytest.mark.slow
def test_a_ladder_is_climbed_and_the_third_rung_is_predicted_before_its_runs(command: Command) -> None:
    folder = Path("outputs/reports/key_value_ladder")
    for tokens, rung in zip((768, 1536, 3072), ("nano", "nano_long", "study"), strict=True):
        code, out, err = command(*TINY, f"rung={rung}", f"budget.tokens={tokens}")
        assert code == 0, err
        assert "report:    outputs/reports/key_value_ladder.md" in out
        assert ("nothing is predicted" in err) == (rung != "study")
        if rung == "nano_long":
            planned = [*plan_ladder("key_value_ladder", [*TINY[1:], "budget.tokens=3072"], 0)]
        if rung == "study":
            assert f"predicted from nano, nano_long: {folder}/ladder.json" in err
            assert err.index("predicted from") < err.index("look at 3 seeds")
    ladder, predictions = read_ladder(folder), read_predictions(folder)
    assert ladder is not None
    assert [*ladder.rungs] == ["nano", "nano_long", "study"]
    (made,) = predictions
    assert (made.arm, made.rung, len(made.below)) == ("shared_kv", "study", FEWEST)
    expected = {each.runs.study.rung: each.predicted for each in planned}["study"]
    assert [(each.low, each.high) for each in expected] == [(made.low, made.high)], "the plan tells what will be said"
    printed = " ".join(map(str, of_ladder(planned)))
    assert "python -m bertlab.plan study=key_value_ladder rung=NAME" in printed
    (checked,) = ladder.checked()
    assert checked[1].compute == pytest.approx(made.compute, rel=0.1)
    facts = json.loads((folder / "study" / "study.json").read_text("utf-8"))["facts"]
    assert facts[PREDICTED] == fingerprint(predictions, "study")
    assert "[key_value_ladder](key_value_ladder.md)" in Path("outputs/reports/README.md").read_text("utf-8")
    again = (folder / "ladder.json").read_bytes()
    code, _, err = command(*TINY, "rung=study", "budget.tokens=3072")
    assert code == 0, err
    assert (folder / "ladder.json").read_bytes() == again, "a rung is predicted once"
