"""What a study's file tells readers of its arms: names, and what others found; no part of the registration.

Enters: a study, an arm and a language. Leaves: a phrase that follows "with", or the arm's name if there is no label.
A study without labels uses those of the study that its name starts with: mask_rate_oracle uses those of mask_rate.
"""

from functools import cache
from typing import Any

import yaml

from bertlab.study.catalogue import study_files
from bertlab.study.design import Study
from bertlab.study.registration import FOR_READERS
from bertlab.study.search import tuned

QUOTED = {"en": ",", "zh": ""}  # what a label in quotation marks contains: in English a comma, else a list is unclear
TUNED = {"en": "{label} (with its own learning rate)", "zh": "{label}（用自己的学习率）"}


def label(study: Study, arm: str, language: str = "en") -> str:
    """Return an arm's name for readers."""
    known = _own(study, language) or _of_file(study.id).get(_key(language), {})
    for name, words in known.items():
        if arm == tuned(name):
            return TUNED[language].format(label=words)
    return str(known.get(arm, arm))


def phrase(study: Study, arm: str, language: str = "en") -> str:
    """Return an arm's name as part of a sentence: one with a comma is in quotation marks, in Chinese every one."""
    words = label(study, arm, language)
    return f"“{words}”" if QUOTED[language] in words else words


def elsewhere(study: Study, arm: str) -> str:
    """Return what others found of an arm at BERT's own size: worse, better or same; "" if the file does not say."""
    return _elsewhere(study, arm)[0]


def elsewhere_words(study: Study, arm: str) -> str:
    """Return the same in the file's own words: of `better: slightly better, or no better` those after the colon."""
    direction, words = _elsewhere(study, arm)
    return words or direction


def _elsewhere(study: Study, arm: str) -> tuple[str, str]:
    found = str((_of_file(study.id).get("elsewhere") or study.elsewhere).get(arm, ""))
    direction, _, words = found.partition(":")
    return direction, words.strip()


def _own(study: Study, language: str) -> dict[str, str]:
    return dict(study.labels if _key(language) == FOR_READERS[0] else study.labels_zh)


def _key(language: str) -> str:
    return FOR_READERS[0] if language == "en" else f"{FOR_READERS[0]}_{language}"


@cache
def _of_file(study: str) -> dict[str, Any]:
    """Return the content of the study's file, or of the file whose name is a prefix; empty if there is none."""
    files = study_files()
    names = [name for name in files if study == name or study.startswith(f"{name}_")]
    if not names:
        return {}
    return dict(yaml.safe_load(files[max(names, key=len)].read_text("utf-8"))["study"])
