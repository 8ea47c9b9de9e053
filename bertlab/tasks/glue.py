"""GLUE's file layout (Wang et al. 2018, arXiv:1804.07461): a folder for each task, with train.tsv and dev.tsv in it.

Existing folders are used, without rows that lack a cell (QQP has some). The test files have no labels: `dev` is
the test part, and a part of `train` is the validation part.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bertlab.config.errors import InputError, own

PAIR = {"kind": "classification", "text": "sentence1", "text_pair": "sentence2"}
MATCHED, MISMATCHED = "dev_matched.tsv", "dev_mismatched.tsv"
LAYOUT: Mapping[str, tuple[str, Mapping[str, Any]]] = {  # name: folder, entry
    "cola": (
        "CoLA",
        {"kind": "classification", "text": "sentence", "columns": ["source", "label", "mark", "sentence"]},
    ),
    "sst2": ("SST-2", {"kind": "classification", "text": "sentence"}),
    "mrpc": ("MRPC", {**PAIR, "text": "#1 String", "text_pair": "#2 String", "label": "Quality"}),
    "stsb": ("STS-B", {**PAIR, "kind": "regression", "label": "score"}),
    "qqp": ("QQP", {**PAIR, "text": "question1", "text_pair": "question2", "label": "is_duplicate"}),
    "mnli": ("MNLI", {**PAIR, "label": "gold_label", "valid": MATCHED}),
    "mnli_mismatched": ("MNLI", {**PAIR, "label": "gold_label", "valid": MISMATCHED}),
    "qnli": ("QNLI", {**PAIR, "text": "question", "text_pair": "sentence"}),
    "rte": ("RTE", PAIR),
    "wnli": ("WNLI", PAIR),
}


def glue_entries(folder: Path) -> list[Mapping[str, Any]]:
    """Return an entry for each task of GLUE whose folder is there. Raises InputError where there is none."""
    folder = folder.expanduser()
    found: list[Mapping[str, Any]] = [
        {
            **entry,
            "name": name,
            "skip_broken": True,
            "train": str(folder / own_folder / "train.tsv"),
            "valid": str(folder / own_folder / entry.get("valid", "dev.tsv")),
        }
        for name, (own_folder, entry) in LAYOUT.items()
        if (folder / own_folder).is_dir()
    ]
    if not found:
        names = ", ".join(sorted({name for name, _ in LAYOUT.values()}))
        raise InputError(f"{own('glue')} must hold a folder of GLUE ({names}), got {folder} without one; correct it")
    return found
