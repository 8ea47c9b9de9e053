"""Names of a study's arms: in sentences those for readers, in tables those of the study's file."""

from bertlab.report.words import escape
from bertlab.study.design import Study
from bertlab.study.labels import label, phrase


def named(study: Study, arm: str, language: str = "en") -> str:
    """Return an arm's name as part of a sentence, in markdown."""
    return escape(phrase(study, arm, language))


def arms_in_words(study: Study) -> list[str]:
    """Give the arms' names in tables with those in sentences, in one line; nothing if they are the same."""
    told = {arm: label(study, arm) for arm in study.arms}
    lines = [f"*{escape(arm)}*: {escape(words)}" for arm, words in told.items() if words != arm]
    return [f"Arms in words. {'; '.join(lines)}."] if lines else []
