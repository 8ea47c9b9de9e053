"""The numbers of a record: written and read again they are the same, and a record of words is refused."""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from bertlab.config.errors import InputError
from bertlab.identity.text_and_scoring import PreparedText, Scoring, TextSize
from bertlab.report.stated import stated
from bertlab.study.judge import judge
from bertlab.study.record import Record, canonical, read_record, twins
from bertlab.study.regime import (
    UNKNOWN,
    Budget,
    FrozenMargin,
    ModelSize,
    Optimizer,
    Regime,
    StartWeights,
    plain_frozen,
    plain_regime,
    read_frozen,
    read_regime,
)

MakeRecord = Callable[..., Record]
WHOLE = Regime(
    corpus=PreparedText("a list; of two", TextSize(1_000, 2_000, 30_000), TextSize(7, 11, 13)),
    scoring=Scoring(sequences=256, rate=0.15, texts=2_048, pairs=4_096),
    model=ModelSize(2, 64, 4),
    budget=Budget(1_124, 16, 35),
    optimizer=Optimizer("adamw", 0.002),
    start=StartWeights("novels", "e66e100b"),
)


@pytest.mark.parametrize("regime", [WHOLE, UNKNOWN, Regime(model=ModelSize(1, 2, 1))])
def test_a_regime_is_the_same_after_it_was_written(regime: Regime) -> None:
    assert read_regime(json.loads(json.dumps(plain_regime(regime)))) == regime


def test_a_margin_is_the_same_to_the_last_digit_and_an_unknown_slope_is_null() -> None:
    known = FrozenMargin(0.13248896032992794, -0.5937386921989488, seeds=3, part=0.5)
    assert read_frozen(json.loads(json.dumps(plain_frozen(known)))) == known
    unknown = json.dumps(plain_frozen(FrozenMargin(0.02)), allow_nan=False)
    assert math.isnan(read_frozen(json.loads(unknown)).slope)


def test_a_record_is_read_with_its_numbers(make_record: MakeRecord, tmp_path: Path) -> None:
    planned = {"one": 8, "two": 5}
    record = canonical(replace(make_record(), regime=WHOLE, planned=planned, frozen=FrozenMargin(0.1, -0.4, 3, 0.5)))
    for name, content in twins(record).items():
        (tmp_path / name).write_bytes(content)
    again = read_record(tmp_path)
    assert (again.regime, again.planned, again.frozen) == (record.regime, planned, record.frozen)
    assert judge(again).margin == 0.1


def test_a_record_without_these_numbers_is_refused_in_one_line(make_record: MakeRecord, tmp_path: Path) -> None:
    for name, content in twins(make_record()).items():
        (tmp_path / name).write_bytes(content)
    about = json.loads((tmp_path / "study.json").read_text("utf-8"))
    del about["frozen"]
    (tmp_path / "study.json").write_text(json.dumps(about), "utf-8")
    with pytest.raises(InputError, match="'frozen'"):
        read_record(tmp_path)


def test_the_words_of_a_page_are_made_of_the_numbers(make_record: MakeRecord) -> None:
    record = replace(make_record(), regime=WHOLE)
    assert stated(record, "model") == "2 layers, width 64, 4 heads"
    assert stated(record, "budget") == "1,124 steps of 16 sequences of 35 tokens"
    assert stated(record, "optimizer") == "adamw, learning rate 0.002"
    assert stated(record, "corpus").endswith("; held out 7 documents, 11 sentences, 13 tokens")
    assert stated(record, "evaluation").endswith("; at the end 2048 texts and 4096 pairs")
    assert stated(record, "licence") == ""
