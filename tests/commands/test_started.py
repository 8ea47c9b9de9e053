"""Commands that describe a future run use the model and the tokenizer of a folder, as the run does."""

import random
from pathlib import Path

import pytest

import bertlab
from bertlab.commands import compare, describe, show
from bertlab.experiment.plan import __main__ as plan
from tests.model.test_start import SIZES, bert, save

MODEL = {"model=base", "model.layers=2", "model.width=12", "model.heads=3", "tokenizer=file"}
FEW = ("batch.length=16", "batch.size=4", "budget.tokens=640")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small BERT with a tokenizer that knows the words w0 to w31."""
    made = tmp_path_factory.mktemp("start") / "bert"
    save(made, bert("BertForPreTraining", SIZES[0]))
    return made


@pytest.fixture
def text(tmp_path: Path) -> Path:
    drawn = random.Random(1)
    documents = (" . ".join(_words(drawn) for _ in range(6)) for _ in range(80))
    (tmp_path / "text.txt").write_text("\n\n".join(documents), "utf-8")
    return tmp_path / "text.txt"


def _words(drawn: random.Random) -> str:
    return " ".join(f"w{drawn.randrange(32)}" for _ in range(9))


def test_describe_counts_the_model_of_the_folder(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    describe.main([f"start={folder}", "batch.length=16"])
    said = capsys.readouterr().out
    assert "attention heads: 6 = 2 layers x 3" in said
    assert "Vocabulary: 37 tokens, as its file has." in said


def test_show_has_the_tokens_of_the_folder(folder: Path, text: Path, capsys: pytest.CaptureFixture[str]) -> None:
    show.main([f"start={folder}", f"data.files={text}", *FEW])
    said = " ".join(capsys.readouterr().out.split())
    assert "37 tokens" in said
    assert "<mask>" in said


def test_compare_describes_the_run_that_the_words_would_make(folder: Path, text: Path) -> None:
    words = compare.check_words([f"start={folder}", f"data.files={text}"])
    assert {*MODEL, "data=text"} <= {*words}


def test_plan_plans_for_the_model_of_the_folder(folder: Path, text: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def read(_: str, *words: str) -> None:
        asked.extend(words)
        raise KeyboardInterrupt

    monkeypatch.setattr("bertlab.study.arms.from_file", read)
    with pytest.raises(KeyboardInterrupt):
        plan.show(["study=adapt", f"start={folder}", f"data.files={text}"])
    assert {*MODEL, "data=text"} <= {*asked}


def test_python_takes_the_model_of_the_folder(folder: Path, text: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def compose(words: list[str]) -> None:
        asked.extend(words)
        raise KeyboardInterrupt

    monkeypatch.setattr("bertlab.config.compose.load", compose)
    with pytest.raises(KeyboardInterrupt):
        bertlab.run({"start": str(folder), "data.files": str(text)})
    assert {*MODEL, "data=text"} <= {*asked}
