"""The answers: written by hand where nothing was measured, and from the records where something was."""

import math
import re
import shutil
from collections import Counter
from pathlib import Path

import pytest

from bertlab.config.compose import PACKAGE
from bertlab.config.errors import InputError
from bertlab.report.answers.chinese import CHINESE
from bertlab.report.answers.english import ENGLISH
from bertlab.report.answers.page import HEADING, LANGUAGES, PAGES, SECTIONS, file_name, template
from bertlab.report.answers.sentences import NOT_JUDGED, agreement, everything, plain, telling, trust
from bertlab.report.answers.values import PLACE, Values, read_facts
from bertlab.report.answers.write import ANSWERS, answers, judged, write_answers
from bertlab.report.study.headings import MADE
from bertlab.report.words import escape
from bertlab.stats.claim import Finding
from bertlab.stats.onset import TOO_FEW
from bertlab.stats.rule import Kind
from bertlab.study.catalogue import CATALOGUE
from bertlab.study.judge import Findings, judge
from bertlab.study.ladder import read_ladder
from bertlab.study.onset import EARLY
from bertlab.study.outcome import outcome_of
from bertlab.study.record import read_record
from tests.report.test_book import put_study

REPORTS = PACKAGE.parent / "reports"
TEMPLATES = [(question.id, language.code) for question in CATALOGUE for language in LANGUAGES]
ALLOWED = re.compile(  # digits that nobody measured here, and those that are filled in
    r"```.*?```"  # formulas, pictures and worked examples
    r"|`[^`]*`"
    r"|\{[^{}]*\}"  # of a record, or published and marked so
    r"|arXiv:\d{4}\.\d{4,5}"
    r"|(?<!\d)(?:19|20)\d\d(?!\d)"  # years
    r"|[A-Za-z]-?\d+"  # names: SST-2
    r"|(?<![\d.,])[01](?![\d.,]*\d)",  # nothing and one
    re.DOTALL,
)

ASIDE = re.compile(r"`[^`]*`|\{[^{}]*\}|\([^()]*\)|（[^（）]*）")  # code, places and what stands in brackets


def literal_numbers(text: str) -> list[str]:
    """Return the lines that hold a number which could go stale."""
    return [line for line in ALLOWED.sub("", text).splitlines() if re.search(r"\d", line)]


def found(folder: Path, effect: float, **made: object) -> Findings:
    put_study(folder, "heads", {"one": effect}, **made)  # type: ignore[arg-type]
    return judge(read_record(folder / "heads"))


@pytest.mark.slow
def test_the_committed_answers_are_what_templates_and_records_give() -> None:
    """After a wanted change: `python -m bertlab.report answers=reports`, then `book=reports`."""
    committed = {path.name: path.read_text("utf-8") for path in (REPORTS / ANSWERS).glob("*.md")}
    assert committed == answers(REPORTS, judged(REPORTS))
    for name, text in committed.items():
        for place in re.findall(r"\]\(([^)#]+)", text):
            assert (REPORTS / ANSWERS / place).is_file(), (name, place)


def test_every_question_has_a_template_in_every_language_and_no_template_is_left_over() -> None:
    assert {path.name for path in PAGES.glob("*")} == {f"{name}.{language}.md" for name, language in TEMPLATES}


@pytest.mark.parametrize(("name", "language"), TEMPLATES)
def test_a_template_has_all_sections_and_three_questions(name: str, language: str) -> None:
    title, *parts = HEADING.split(template(name, language))
    assert tuple(parts[::2]) == SECTIONS
    assert bool(title.strip()) == (language != "en")
    by_section = dict(zip(parts[::2], parts[1::2], strict=True))
    assert len(re.findall(r"^Q: .+\nA: .+$", by_section["test"], re.MULTILINE)) == 3
    assert by_section["measured"].count("{measured}") == 1
    ends = r"[.?!](?=\s|$)" if language == "en" else r"[。？！]"
    assert len(re.findall(ends, ASIDE.sub("x", by_section["answer"]).strip())) == 3


@pytest.mark.parametrize(("name", "language"), TEMPLATES)
def test_no_template_holds_a_number_that_could_go_stale(name: str, language: str) -> None:
    title, _, text = template(name, language).partition("\n")
    assert literal_numbers(text if title.startswith("# ") else f"{title}\n{text}") == []


@pytest.mark.parametrize(
    "text", ["a loss of 5.396 nats", "better by 12 %", "40 seeds", "降低了 0.25", "`d` is 64, and 0.3 nats", "0.5"]
)
def test_literal_numbers_are_found(text: str) -> None:
    assert literal_numbers(text) == [re.sub(r"`d`", "", text)]


@pytest.mark.parametrize("text", ["`0.5`", "{published 84.4}", "arXiv:1810.04805 of 2018", "SST-2", "mean 0, sum 1."])
def test_what_nobody_measured_here_is_allowed(text: str) -> None:
    assert literal_numbers(text) == []


@pytest.mark.parametrize("question", [question.id for question in CATALOGUE])
def test_both_languages_name_the_same_numbers_and_papers(question: str) -> None:
    def named(language: str) -> Counter[str]:
        text = template(question, language)
        return Counter([*(place[0] for place in PLACE.finditer(text)), *re.findall(r"arXiv:[\d.]+\d", text)])

    assert named("en") == named("zh")


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_verdict_and_heading_has_words(language: object) -> None:
    assert language in (ENGLISH, CHINESE)
    for words in (ENGLISH, CHINESE):
        assert set(words.relations) == set(words.several) == set(Kind)
        assert set(words.findings) == set(Finding)
        assert set(words.headings) == set(SECTIONS)
    for name in ("texts", "labels", "parts", "agreement", "corpora", "units", "tasks"):
        assert set(getattr(ENGLISH, name)) == set(getattr(CHINESE, name)), name


def test_every_cell_of_a_fact_that_is_words_has_chinese_ones() -> None:
    cells = {
        cell for fact in read_facts(REPORTS).values() for row in [fact["header"], *fact["rows"]] for cell in row if cell
    }
    same = re.compile(r"[\d.,×+ -]+( MiB| %)?|\(.*\)|FLOPs|[a-z_]+(=[a-z_]+)?")  # numbers and names of options
    missing = {cell for cell in cells - CHINESE.cells.keys() if not same.fullmatch(cell)}
    assert missing == set()


@pytest.mark.parametrize(
    ("effect", "made", "said"),
    [
        (0.3, {}, "clearly worse with one head than with two heads"),
        (-0.3, {}, "clearly better with one head than with two heads"),
        (0.12, {"sd": 0.1}, "worse with one head than with two heads, by how much is open"),
        (0.0, {}, "equally well with one head and with two heads"),
        (0.0, {"sd": 0.3}, "it is open whether hidden words are predicted better or worse with one head than"),
    ],
)
def test_the_sentence_follows_the_verdict(tmp_path: Path, effect: float, made: dict[str, object], said: str) -> None:
    labels = {"labels": {"one": "one head", "two": "two heads"}}
    findings = found(tmp_path, effect, **labels, **made)
    assert said in plain(findings, ENGLISH)
    assert plain(findings, ENGLISH).startswith("After short training, ")
    assert plain(findings, ENGLISH) == everything(findings, ENGLISH)


def test_agreement_with_others_follows_the_verdict_too(tmp_path: Path) -> None:
    worse = telling(found(tmp_path, 0.3))
    assert agreement(worse, "worse") == "same"
    assert agreement(worse, "better") == "opposite"
    assert agreement(worse, "same") == "apart"
    assert Kind.VACUOUS in NOT_JUDGED


def test_numbers_come_from_the_record_by_name(tmp_path: Path) -> None:
    values = Values({"heads": found(tmp_path, 0.3)}, {"heads": ""}, {}, {"count": {"numbers": {"heads": 144}}}, ENGLISH)
    assert values.fill("{study.heads.one.difference}; {study.heads.margin}") == "+0.300 nats; 0.100 nats"
    assert values.fill("{fact.count.heads} {published 84.4} {study.gone.margin}") == "144 84.4 –"
    for wrong in ("study.heads.three.value", "study.heads.colour", "fact.count.feet", "agrees heads.one taller"):
        with pytest.raises(InputError, match="may name"):
            values.fill(f"{{{wrong}}}")


def test_chinese_has_no_space_before_a_percent_sign() -> None:
    assert Values({}, {}, {}, {}, CHINESE).fill("{published 84.4 %}") == "84.4%"
    assert Values({}, {}, {}, {}, ENGLISH).fill("{published 84.4 %}") == "84.4 %"


def test_a_label_with_a_comma_is_one_thing_in_a_list(tmp_path: Path) -> None:
    labels = {"labels": {"one": "one head, wide", "two": "two heads"}}
    assert "with “one head, wide” than with two heads" in plain(found(tmp_path, 0.3, **labels), ENGLISH)


def test_the_answer_says_the_rung_and_which_known_answers_the_regime_gives(tmp_path: Path) -> None:
    for name in ("key_value_ladder", "known_answers"):
        shutil.copytree(
            REPORTS / name / "nano", tmp_path / name / "nano", ignore=shutil.ignore_patterns("figures", "*.xz")
        )
    ladder = read_ladder(tmp_path / "key_value_ladder")
    assert ladder is not None
    texts = answers(tmp_path, judged(tmp_path))
    english, chinese = texts["key_value.md"], texts["key_value.zh.md"]
    share = f"{100 * math.expm1([*ladder.arms['shared_kv'].values()][-1].multiplier):+.0f}".replace("-", "−")
    assert f"*Scale*: One matrix for keys and values is worth {share} % of the tokens at nano" in english
    assert f"*规模*: “K 与 V 共用一个矩阵”在 nano 级相当于训练词元 {share}%" in chinese
    right = sum(judged.finding is Finding.SUPPORTED for judged in judge_known(tmp_path).primary.values())
    assert f"*Known answers*: training of this kind gives {right} of 5 answers" in english
    assert f"5 个公认答案中的 {right} 个" in chinese


def judge_known(folder: Path) -> Findings:
    return judge(read_record(folder / "known_answers" / "nano"))


def test_a_folder_without_records_still_has_every_answer(tmp_path: Path) -> None:
    written = write_answers(tmp_path)
    assert {path.name for path in written.iterdir()} == {file_name(*each) for each in TEMPLATES}
    text = (written / "mask_rate.md").read_text("utf-8")
    assert "Not run yet: `" in text
    assert not PLACE.search(text)


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="must be a folder that is there"):
        write_answers(tmp_path / "gone")


def test_every_outcome_that_a_study_is_judged_by_has_a_task_in_words() -> None:
    metrics = {"eval/mlm_loss", "eval/mlm_accuracy", "eval/pair_accuracy", "eval/pseudo_loss", "eval/visible_accuracy"}
    metrics |= {
        "eval/final_loss",
        "eval/final_pair_accuracy",
        "eval/moved_accuracy",
        "eval/sense_accuracy",
        "eval/finetuned.examples_1024",
    }
    for metric in metrics:
        assert outcome_of(metric)
        assert all(any(re.fullmatch(pattern, metric) for pattern in words.tasks) for words in LANGUAGES)


def test_every_word_on_what_a_difference_is_made_of_is_translated() -> None:
    words = {*MADE, EARLY, TOO_FEW, "worse at equal onset", "better at equal onset"}
    for language in LANGUAGES:
        assert set(language.parts) == words


def test_answers_name_runs_that_never_began_to_use_context() -> None:
    findings = judge(read_record(REPORTS / "mask_policy_ladder" / "study"))
    start = {each.code: trust(findings, "never started (3 of 3 runs)", each)["start"] for each in LANGUAGES}
    label = escape(findings.study.labels["mask_100_0_0"])
    assert start["en"] == (
        f"with {label} no run began to use context before training ended: there the difference is about whether and "
        "when that begins"
    )
    assert "的运行到训练结束都没有开始利用上下文，那里的差别在于是否开始、何时开始" in start["zh"]


def test_answers_say_of_a_start_before_the_first_evaluation_that_it_is_a_bound() -> None:
    findings = judge(read_record(REPORTS / "mask_rate_ladder" / "nano"))
    values = Values({"mask_rate_ladder": findings}, {}, {}, {}, ENGLISH)
    assert values.fill("{study.mask_rate_ladder.rate_40.onset}") == "at most 0.46"
    assert values.fill("{study.mask_rate_ladder.rate_15.onset}") == "0.49"
    length = judge(read_record(REPORTS / "length"))
    assert "begins to use context within the first 10.0 % of its training" in trust(length, "", ENGLISH)["training"]
    continued = judge(read_record(REPORTS / "prediction_rate_continued"))
    assert "use context" not in trust(continued, "", ENGLISH)["training"]
