"""What readers call the arms of a study: `labels` and `labels_zh` of its file, which are no part of its registration.

Enters: a study, an arm and a language. Leaves: a phrase that follows "with", or the arm's name where nobody wrote one.
A study without labels of its own has those of the file that it comes from: mask_rate_oracle those of mask_rate.
"""

from functools import cache
from typing import Any

import yaml

from bertlab.study.catalogue import study_files
from bertlab.study.design import Study
from bertlab.study.registration import FOR_READERS
from bertlab.study.search import tuned

TUNED = {"en": "{label} (with its own learning rate)", "zh": "{label}（用自己的学习率）"}


def label(study: Study, arm: str, language: str = "en") -> str:
    """Return what readers call an arm."""
    known = _own(study, language) or _of_file(study.id).get(_key(language), {})
    for name, words in known.items():
        if arm == tuned(name):
            return TUNED[language].format(label=words)
    return str(known.get(arm, arm))


def _own(study: Study, language: str) -> dict[str, str]:
    return dict(study.labels if _key(language) == FOR_READERS[0] else study.labels_zh)


def _key(language: str) -> str:
    return FOR_READERS[0] if language == "en" else f"{FOR_READERS[0]}_{language}"


@cache
def _of_file(study: str) -> dict[str, Any]:
    """Return the node of the study file that a study is called by, or that its name begins with; empty without one."""
    files = study_files()
    names = [name for name in files if study == name or study.startswith(f"{name}_")]
    if not names:
        return {}
    return dict(yaml.safe_load(files[max(names, key=len)].read_text("utf-8"))["study"])
