"""A study at several rungs: effects in tokens, the line through them, and earlier predictions."""

import json
import math
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from bertlab.config.errors import InputError
from bertlab.facts.built import base
from bertlab.model.flops import count_flops
from bertlab.report.answers.chinese import CHINESE
from bertlab.report.answers.write import judged
from bertlab.report.bert_size import BERT_BASE, at_bert_size
from bertlab.report.book import write_book
from bertlab.report.ladder import (
    NOT_BEGUN,
    keep_predictions,
    moves,
    page,
    predictions_words,
    read_rates,
    sentence,
    write_ladder,
)
from bertlab.report.site.scale import _cell
from bertlab.report.study import write_study
from bertlab.stats.ladder import Rung
from bertlab.study.judge import judge
from bertlab.study.ladder import (
    Ladder,
    Prediction,
    fingerprint,
    is_ladder,
    predict,
    predictions_text,
    read_ladder,
    read_predictions,
    rung_of,
    trend,
)
from bertlab.study.record import Record, canonical
from bertlab.study.registration import read_study
from tests.report.study.conftest import make_record

RUNGS = {"nano": 3, "tiny": 3, "mini": 3}
COMPUTE = {"nano": 1e12, "tiny": 4e12, "mini": 16e12}
SLOPE = -0.5 / math.log(2.3 / 1.15)  # of the harmful control: half the tokens, half a nat behind


def rung(name: str, *effects: float, sd: float = 0.004, later: Sequence[str] = ()) -> Record:
    """Make the record of a rung at which rate_05 and rate_30 are behind by these numbers of nats.

    `later`: further rungs of the study.
    """
    arms: dict[str, Any] = {
        arm: {"effect": effect, "sd": sd} for arm, effect in zip(("rate_05", "rate_30"), effects, strict=False)
    }
    node = {
        "ladder": RUNGS | dict.fromkeys(later, 3),
        "rung": name,
        "controls": {"same": ["redraw=order"], "harmful": ["budget.tokens=1_200_000"]},
    }
    record = make_record(arms, node)
    runs = record.runs.assign(**{"perf/flops": COMPUTE[name]})
    runs.loc[runs["arm"] == "harmful", "perf/tokens"] /= 2
    return replace(record, runs=runs)


@pytest.fixture(scope="module")
def two_rungs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return reports of two rungs: the effect of rate_05 is halved from one to the other."""
    folder = tmp_path_factory.mktemp("two_rungs")
    for name, effects in {"nano": (0.4, 0.0), "tiny": (0.2, 0.0)}.items():
        write_study(judge(rung(name, *effects)), folder)
    return folder


@pytest.fixture
def folder(two_rungs: Path, tmp_path: Path) -> Path:
    """Return a copy of these reports."""
    return shutil.copytree(two_rungs, tmp_path, dirs_exist_ok=True)


def there(folder: Path) -> Ladder:
    """Read the ladder that is there."""
    ladder = read_ladder(folder / "mask_rate")
    assert ladder is not None
    return ladder


def test_an_effect_is_counted_in_tokens_by_runs_whose_schedule_ended() -> None:
    found = rung_of(judge(rung("nano", 0.25, 0.0)), "rate_05")
    assert found is not None
    assert found.multiplier == pytest.approx(0.25 / (-0.5 / math.log(2)))
    assert found.compute == COMPUTE["nano"]


def test_rungs_lie_in_the_order_of_the_study_below_it(folder: Path) -> None:
    ladder = there(folder)
    assert [*ladder.rungs] == ["nano", "tiny"]
    assert {path.name for path in (folder / "mask_rate").iterdir()} == {"nano", "nano.md", "tiny", "tiny.md"}
    assert is_ladder(folder / "mask_rate")
    assert not is_ladder(folder / "mask_rate" / "nano")


def test_the_next_rung_is_predicted_on_the_line(folder: Path) -> None:
    (found,) = [each for each in predict(there(folder), "mini", COMPUTE["mini"], "now") if each.arm == "rate_05"]
    assert found.mean == pytest.approx(0.0, abs=0.02)  # -.555, -.277 and on
    assert found.low < found.mean < found.high
    assert found.below == ("nano", "tiny")


def test_a_prediction_is_kept_and_checked_when_its_rung_has_run(folder: Path) -> None:
    made = predict(there(folder), "mini", COMPUTE["mini"], "2026-01-01T00:00:00+00:00")
    keep_predictions(folder / "mask_rate", "mask_rate", tuple(made))
    assert read_predictions(folder / "mask_rate") == tuple(made)
    assert there(folder).checked() == []
    write_study(judge(rung("mini", 0.0, 1.5)), folder)
    checked = {prediction.arm: held for prediction, _, held in there(folder).checked()}
    assert checked == {"rate_05": True, "rate_30": False, "rate_60": True}  # rate_60 is made alike at every rung


def test_a_rung_is_predicted_once(folder: Path) -> None:
    made = predict(there(folder), "mini", COMPUTE["mini"], "now")
    with pytest.raises(InputError, match="one prediction for a rung, got mini again"):
        predictions_text("mask_rate", [*made, *made])


def test_another_prediction_has_another_fingerprint(folder: Path) -> None:
    made = predict(there(folder), "mini", COMPUTE["mini"], "now")
    moved = [replace(each, high=each.high + 0.1) for each in made]
    assert fingerprint(made, "mini") != fingerprint(moved, "mini")
    assert fingerprint(made, "mini") == fingerprint([*made], "mini")


@pytest.mark.parametrize(
    ("effects", "word"),
    [
        ((0.4, 0.25, 0.1), "shrinks"),
        ((0.1, 0.2, 0.3), "grows"),
        ((0.3, 0.29, 0.1), "smaller so far"),
        ((0.1, 0.11, 0.3), "larger so far"),
        ((0.2, 0.2, 0.2), "holds"),
        ((0.2, 0.02, -0.2), "flips"),
    ],
)
def test_a_word_says_how_an_effect_moves(effects: tuple[float, ...], word: str) -> None:
    rungs = {name: judge(rung(name, effect)) for name, effect in zip(RUNGS, effects, strict=True)}
    assert trend(Ladder(rungs["nano"].study, rungs), "rate_05") == word


def test_noise_is_no_trend() -> None:
    rungs = {name: judge(rung(name, 0.2, sd=0.2)) for name in RUNGS}
    assert trend(Ladder(rungs["nano"].study, rungs), "rate_05") == "is not known to move beyond mini"


def with_gain(record: Record, arm: str, gain: float, runs: int = 3) -> Record:
    """Give every run a context gain that passes the floor, and those of an arm a constant one."""
    curves = record.curves.assign(metric="eval/context_gain", value=6.6 - record.curves["value"])
    curves.loc[curves["run_id"].isin([f"{arm}.{seed}" for seed in range(runs)]), "value"] = gain
    return canonical(replace(record, curves=pd.concat([record.curves, curves])))


@pytest.mark.parametrize(
    ("runs", "word", "said"),
    [
        (5, NOT_BEGUN, "% of the tokens at mini (no run began to use context)"),
        (1, "grows", "% of the tokens at mini (1 of 5 runs did not begin to use context): it grows with scale"),
        (0, "grows", "% of the tokens at mini: it grows with scale"),
    ],
)
def test_an_effect_of_runs_that_have_not_begun_does_not_grow(runs: int, word: str, said: str) -> None:
    records = {name: rung(name, effect) for name, effect in zip(RUNGS, (0.1, 0.2, 0.3), strict=True)}
    rungs = {name: judge(with_gain(each, "rate_05", 0.1, runs * (name == "mini"))) for name, each in records.items()}
    ladder = Ladder(rungs["nano"].study, rungs)
    assert moves(ladder, "rate_05") == word
    assert sentence(ladder, "rate_05").endswith(said)
    assert ("开始利用上下文" in sentence(ladder, "rate_05", CHINESE)) is (runs > 0)
    cell = _cell(ladder, "rate_05", "mini")
    assert ("; not begun)" in cell, "; 1 of 5 not begun)" in cell) == (runs == 5, runs == 1)
    elsewhere = Ladder(replace(ladder.study, elsewhere={"rate_05": "worse"}), rungs)
    assert ("not begun at the highest rung" in at_bert_size(elsewhere)) is (runs == 5)


def test_the_page_says_what_an_arm_is_worth_at_each_rung(folder: Path) -> None:
    keep_predictions(folder / "mask_rate", "mask_rate", tuple(predict(there(folder), "mini", 16e12, "now")))
    page = write_ladder(folder, "mask_rate").read_text("utf-8")
    assert "is worth −43 % of the tokens at nano and −24 % of the tokens at tiny" in page
    assert "Registered and not run yet: a mask rate of 5 % at mini" in page
    assert "Not run yet: mini." in page
    assert "[nano](mask_rate/nano.md): 2 layers, width 64, 2 heads" in page
    assert (folder / "mask_rate" / "ladder.svg").read_text("utf-8").startswith("<?xml")


def test_an_effect_whose_sign_is_open_is_an_interval() -> None:
    ladder = Ladder(judge(rung("nano", 0.0, sd=0.2)).study, {"nano": judge(rung("nano", 0.0, sd=0.2))})
    interval = ladder.arms["rate_05"]["nano"].interval()
    low, high = (f"{100 * math.expm1(end):+.0f}".replace("-", "\u2212") for end in (interval.low, interval.high))
    assert f"is worth something from {low} to {high} % of the tokens at nano" in sentence(ladder, "rate_05")


def test_an_effect_within_the_margin_is_a_number_although_its_sign_is_open() -> None:
    equal = judge(rung("nano", 0.0, sd=0.005))
    assert "is worth 0 % of the tokens at nano" in sentence(Ladder(equal.study, {"nano": equal}), "rate_05")


def test_the_page_is_written_again_from_the_records(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    out = tmp_path_factory.mktemp("again")
    assert write_ladder(folder, "mask_rate", out).read_bytes() == write_ladder(folder, "mask_rate").read_bytes()
    assert (out / "mask_rate" / "ladder.svg").read_bytes() == (folder / "mask_rate" / "ladder.svg").read_bytes()


def test_the_book_leads_with_the_highest_rung_and_the_trend(folder: Path) -> None:
    assert judged(folder)["mask_rate"].study.rung == "tiny"
    write_ladder(folder, "mask_rate")
    book = write_book(folder).read_text("utf-8")
    (row,) = [line for line in book.splitlines() if line.endswith("[mask_rate](mask_rate.md) |")]
    assert sentence(there(folder), "rate_30") in row
    assert "- [mask_rate](mask_rate.md): 2 rungs of 3, up to tiny\n\nNo rung has run that was predicted." in book


def test_the_page_says_how_far_a_rung_can_be_trusted(folder: Path) -> None:
    rates = {"nano": {"1e-3": 5.1, "2e-3": 4.8931, "4e-3": 5.0}, "tiny": {"1e-3": 4.0, "2e-3": 4.5}}
    (folder / "rates.json").write_text(json.dumps({"rates": rates}), "utf-8")
    asked = replace(there(folder), rungs={"tiny": there(folder).rungs["tiny"]})
    nano, tiny = [
        line for line in page(there(folder), asked, read_rates(folder)).splitlines() if line.startswith("- [")
    ]
    assert "nats: 2e-3 (4.893), 4e-3 (5.000) and 1e-3 (5.100)" in nano
    assert "known answers: not asked" in nano
    assert "1e-3 (4.000) and 2e-3 (4.500), the edge of what was tried" in tiny
    assert "known answers: 2 of 2" in tiny
    assert "not tuned" in page(there(folder))


def test_a_folder_without_a_rung_has_no_page(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="must have a rung that has run"):
        write_ladder(tmp_path, "mask_rate")


@pytest.mark.parametrize(
    ("ladder", "own", "line"),
    [
        ({"nano": 5}, "nano", "study.ladder must hold two rungs at least"),
        ({"nano": 5, "tiny": 2}, "nano", "study.ladder.tiny must be"),
        ({"nano": 5, "tiny": 3}, "base", "rung must be one of nano, tiny, got base"),
        ({}, "nano", "rung must be left out, as this study has no ladder, got nano"),
    ],
)
def test_what_is_no_ladder_is_refused(ladder: dict[str, int], own: str, line: str) -> None:
    node = {**make_record().node, "ladder": ladder, "rung": own}
    with pytest.raises(InputError, match=line):
        read_study({"study": node})


def test_only_losses_can_be_counted_in_tokens() -> None:
    node = {**make_record().node, "ladder": RUNGS, "outcome": "eval/mlm_accuracy"}
    with pytest.raises(InputError, match=r"study\.outcome must be a loss for a ladder"):
        read_study({"study": node})


def test_a_rung_has_its_own_number_of_seeds() -> None:
    node = {**make_record().node, "ladder": {"nano": 5, "tiny": 4, "mini": 3}}
    looks = {name: read_study({"study": {**node, "rung": name}}).looks for name in node["ladder"]}
    assert looks == {"nano": (3, 5), "tiny": (3, 4), "mini": (3,)}


def test_the_flops_of_bert_base_are_those_of_its_pretraining() -> None:
    stages = ((128, 900_000, 20), (512, 100_000, 77))  # length, steps, predictions of a sequence
    counted = [(steps, count_flops(base(), length), predictions) for length, steps, predictions in stages]
    total = sum(256 * steps * (flops.per_sequence + m * flops.per_prediction) for steps, flops, m in counted)
    assert total == pytest.approx(BERT_BASE, rel=0.001)


@pytest.mark.parametrize(
    ("effects", "sd", "found", "word"),
    [
        ((0.2, 0.21, 0.22), 0.004, "worse", "agrees"),
        ((0.2, 0.21, 0.22), 0.004, "better", "disagrees"),
        ((0.2, 1.2, 2.2), 0.004, "worse", "not credible"),
        ((0.0, 0.0, 0.0), 0.004, "same", "agrees"),
        ((0.0, 0.0, 0.0), 0.2, "same", "cannot be told"),
    ],
)
def test_the_line_is_drawn_on_to_berts_size_beside_what_others_found(
    effects: tuple[float, ...], sd: float, found: str, word: str
) -> None:
    rungs = {name: judge(rung(name, effect, sd=sd)) for name, effect in zip(RUNGS, effects, strict=True)}
    study = replace(rungs["mini"].study, elsewhere={"rate_05": found})
    (row,) = [line for line in at_bert_size(Ladder(study, rungs)).splitlines() if found in line and "|" in line][-1:]
    assert row.endswith(f"| {word} |")


def test_what_others_found_is_told_in_full_and_so_is_the_side_of_the_highest_rung() -> None:
    rungs = {name: judge(rung(name, 0.4, sd=0.004)) for name in RUNGS}
    study = replace(rungs["mini"].study, elsewhere={"rate_05": "worse: slightly worse, or no worse"})
    text = at_bert_size(Ladder(study, rungs))
    assert "| slightly worse, or no worse | worse too |" in text


def test_predictions_say_how_wide_they_were() -> None:
    held = Rung(1e13, 0.1, 0.05, 4)
    wide = [Prediction("mini", "rate_05", 1e13, -high, 0.0, high, ("a", "b"), "now") for high in (0.3, 0.7, 9.0)]
    told = predictions_words([(each, held, each.held(held)) for each in wide])
    assert "spans a factor of 4.1 in tokens in the median, over 1,000 at most" in told
    assert "1 of 3 is narrower than a factor of 2." in told
    assert "it spanned a factor of 1.8 in tokens" in predictions_words([(wide[0], held, True)])


def test_without_results_of_others_nothing_is_said_of_berts_size(folder: Path) -> None:
    assert at_bert_size(there(folder)) == ""


def test_a_title_says_of_an_effect_within_the_margin_that_it_is_worth_as_many_tokens(folder: Path) -> None:
    write_study(judge(rung("mini", 0.4, 0.0)), folder)
    text = page(there(folder))
    assert "; worth about as many tokens at mini: a mask rate of 30 %.]" in text
