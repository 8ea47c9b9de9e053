"""Write the answers of a folder of reports: answers/<id>.md and answers/<id>.zh.md. Equal folders, equal bytes."""

from collections.abc import Mapping
from pathlib import Path

from bertlab.config.errors import InputError
from bertlab.report.answers.page import LANGUAGES, answer, file_name
from bertlab.report.answers.sentences import telling
from bertlab.report.answers.values import Values, read_facts
from bertlab.report.regime import asked, climbed, regime, with_known
from bertlab.report.study.fitness import by_trust
from bertlab.report.study.onset import word_of
from bertlab.report.write import put
from bertlab.study.catalogue import CATALOGUE, Question, question_of, study_files
from bertlab.study.judge import Findings, judge
from bertlab.study.ladder import read_ladder
from bertlab.study.record import FILES, read_record

ANSWERS = "answers"


def write_answers(folder: Path, studies: Mapping[str, Findings] | None = None) -> Path:
    """Write the answers into a folder of reports and return their folder.

    `studies`: those of the folder, if they are judged already. Raises InputError for a missing folder and for a record
    in it that cannot be read.
    """
    if not folder.is_dir():
        raise InputError(f"answers must be a folder that is there, got {folder}; name the one that holds the reports")
    pages = answers(folder, judged(folder) if studies is None else studies)
    put({f"{ANSWERS}/{name}": text.encode() for name, text in pages.items()}, folder, gone=[])
    return folder / ANSWERS


def answers(folder: Path, studies: Mapping[str, Findings], *, brief: bool = False) -> dict[str, str]:
    """Return all pages by file name; `brief` as in `answer`."""
    facts = read_facts(folder)
    made = {name: word_of(findings, telling(findings).arm) for name, findings in studies.items()}
    ladders = climbed(folder, studies)
    by_regime = asked(studies, ladders)
    studies = with_known(studies, by_regime)
    known = {name: by_regime[own] for name, findings in studies.items() if (own := regime(findings)) in by_regime}
    return {
        file_name(question.id, language.code): answer(
            question, _names(question, studies), Values(studies, made, known, facts, language), folder, brief=brief
        )
        for question in CATALOGUE
        for language in LANGUAGES
    }


def judged(folder: Path) -> dict[str, Findings]:
    """Return the judged studies of a folder by name; of a ladder its highest rung."""
    own = {path.parent for path in folder.glob(f"*/{FILES[0]}")}
    return {
        path.name: judge(read_record(path), counting=False) if path in own else highest_rung(path)
        for path in sorted({*own, *(path.parents[1] for path in folder.glob(f"*/*/{FILES[0]}"))})
    }


def highest_rung(folder: Path) -> Findings:
    """Return the findings of a ladder's highest rung. Raises InputError if none of its rungs belongs to the study."""
    ladder = read_ladder(folder)
    if ladder is None:
        raise InputError(f"{folder} must hold rungs that its study names, got none; take the folder away")
    return ladder.highest


def _names(question: Question, studies: Mapping[str, Findings]) -> list[str]:
    names = {name for name in (*study_files(), *studies) if question_of(name) == question}
    return by_trust(names, studies) or ([question.id] if question.study else [])
