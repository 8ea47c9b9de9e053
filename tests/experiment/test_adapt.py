"""Domain adaptation from end to end: a run is exported, trained further on other text, and judged by three measures."""

import json
from pathlib import Path

import pytest

from bertlab.commands.export import main as export
from bertlab.study.record import read_record
from tests.conftest import Command, prose
from tests.tasks.drawn import rows, write

SMALL = ("batch.size=3", "trainer.points=2", "trainer.progress=false", "evaluation.sequences=4", "evaluation.pseudo=0")
WIDTH = ("model.width=16", "model.heads=1", "model.inner=16")
STUDY = (
    *(
        "study=adapt",
        "budget.tokens=1536",
        "study.floor=0",
        "evaluation.share=0.99",
        "study.seeds=3",
        "study.looks=[3]",
    ),
    *("~study.arms.rate_40", "~study.expects.rate_40", "~study.arms.span", "~study.expects.span"),
    *("~study.labels", "~study.labels_zh", "tasks.seeds=1", "tasks.rates=[3e-3]", "tasks.epochs=1"),
)


MIX = (
    *("study=adapt_mix", "budget.tokens=1536", "study.floor=0", "evaluation.share=0.99"),
    *("study.seeds=3", "study.looks=[3]", "~study.arms.mix_10", "~study.expects.mix_10", "~study.arms.mix_25"),
    *("~study.expects.mix_25", "~study.labels", "~study.labels_zh"),
)


def corpus(path: Path, first: int, held_out: str = "valid") -> Path:
    """Write 96 documents, every eighth of them held out."""
    documents = (
        {"text": prose(first + number, 8), "split": held_out if number % 8 == 3 else "train"} for number in range(96)
    )
    path.write_text("\n".join(map(json.dumps, documents)), "utf-8")
    return path


@pytest.mark.integration
def test_a_run_is_exported_and_adapted_and_judged_by_its_text_a_task_and_forgetting(command: Command) -> None:
    general, domain = corpus(Path("general.jsonl"), 0), corpus(Path("domain.jsonl"), 1000)
    words = ("data=text", f"data.files={general}", "tokenizer.vocab_size=300", "budget.tokens=1500")
    assert command(*SMALL, *WIDTH, *words)[0] == 0
    export(["run=latest", "to=base"])

    write(Path("topics.jsonl"), rows("classification", 60))
    forgetting = f"{{file: {general}, kind: text, name: general, most: 10}}"
    tasks = f"tasks=[{{file: topics.jsonl, kind: classification}}, {forgetting}]"
    code, out, err = command(*STUDY, *SMALL, "start=base", f"data.files={domain}", tasks)
    assert code == 0, err
    assert "The claim" in out
    page = Path("outputs/reports/adapt.md").read_text("utf-8")
    assert "## The question is one of continued training" in page
    assert "All arms start from the same weights, base (hash " in page
    assert "eval/tasks.topics.accuracy" in page.replace("\\", "")
    assert "eval/tasks.general.loss" in page.replace("\\", "")
    record = read_record(Path("outputs/reports/adapt"))
    assert record.arm("rate_30")["eval/tasks.general.loss"].between(2, 8).all(), "nats a token, of 300"


@pytest.mark.integration
def test_general_text_is_mixed_in_and_what_is_forgotten_is_measured_on_other_general_text(command: Command) -> None:
    general, domain = corpus(Path("general.jsonl"), 0, "test"), corpus(Path("domain.jsonl"), 1000)
    words = ("data=text", f"data.files={domain}", "tokenizer.vocab_size=300", "budget.tokens=1500")
    assert command(*SMALL, *WIDTH, *words)[0] == 0
    export(["run=latest", "to=base"])

    code, _, err = command(*MIX, *SMALL, "start=base", f"data.files={domain}", f"data.general={general}")
    assert code == 0, err
    record = read_record(Path("outputs/reports/adapt_mix"))
    alone, half = (record.arm(name) for name in ("mix_0", "mix_50"))
    assert (alone["eval/mlm_loss"] != half["eval/mlm_loss"]).all()
    assert half["eval/tasks.general.loss"].between(2, 8).all()
    assert len({*alone["corpus"], *half["corpus"]}) == 1, "judged on one held-out text"
    page = Path("outputs/reports/adapt_mix.md").read_text("utf-8").replace("\\", "")
    assert "eval/tasks.general.loss" in page
