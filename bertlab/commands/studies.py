"""List the studies with their questions and states: `bertlab studies [from=FOLDER] [state=WORD]`.

The state is the result of the claim: supported, refuted, undecided, or not judged (the study could not have seen a
difference). `not run`: there is no report. `ladder`: a question at several sizes. Reports are judged again from their
numbers; this takes some seconds. quick=true leaves out the states.
  from=FOLDER   the report_dir of studies; else outputs/reports, then reports
  state=WORD    only studies whose state starts with WORD
  quick=true    only names and questions

  bertlab studies state=supported
  bertlab study mask_rate                  runs one; bertlab plan mask_rate shows its cost
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from bertlab.config.arguments import parse
from bertlab.config.error_messages import one_line_errors
from bertlab.config.errors import InputError
from bertlab.study.catalogue import question_of, study_files

DEFAULTS = {"from": None, "state": None, "quick": "false"}
PLACES = ("outputs/reports", "reports")
NOT_RUN, OF_LADDER = "not run", "ladder"
STATES = ("supported", "refuted", "undecided", "not judged", NOT_RUN, OF_LADDER)


def main(words: Sequence[str]) -> None:
    """Run the command."""
    with one_line_errors():
        for line in studies(parse(DEFAULTS, __doc__, words)):
            print(line, flush=True)  # noqa: T201


def studies(arguments: dict[str, Any]) -> Iterator[str]:
    """Yield a line for each study. Raises InputError."""
    if arguments["quick"] not in ("true", "false"):
        raise InputError(f"quick must be true or false, got {arguments['quick']}; choose one")
    state = (arguments["state"] or "").lower()
    if not any(each.startswith(state) for each in STATES):
        raise InputError(
            f"state must be the beginning of one of {', '.join(STATES)}, got {arguments['state']}; choose one"
        )
    if state and arguments["quick"] == "true":
        raise InputError(f"state must be left out with quick=true, which shows no states, got {arguments['state']}")
    if arguments["from"] and not Path(arguments["from"]).is_dir():
        raise InputError(f"from must be the report_dir of studies, got {arguments['from']}, which is no folder")
    places = [Path(place) for place in ([arguments["from"]] if arguments["from"] else PLACES)]
    for name, path in study_files().items():
        found = "" if arguments["quick"] == "true" else state_of(name, places)
        if found.startswith(state):
            yield f"{name:<22} {found:<10} {question(name, path)}".rstrip()


def state_of(name: str, places: Sequence[Path]) -> str:
    """Return a claim's state from the first folder with a report of the study. Raises InputError if it is damaged."""
    from bertlab.report.study.verdict import status_word
    from bertlab.study.judge import judge
    from bertlab.study.ladder import is_ladder
    from bertlab.study.record import FILES, read_record

    for folder in (place / name for place in places):
        if (folder / FILES[0]).is_file():
            return status_word(judge(read_record(folder), counting=False)).lower()
        if is_ladder(folder):
            return OF_LADDER
    return NOT_RUN


def question(name: str, path: Path) -> str:
    """Return the question of a study: its own, its base study's, or the catalogue's."""
    node = yaml.safe_load(path.read_text(encoding="utf-8"))
    if own := (node.get("study") or {}).get("question"):
        return str(own)
    asked = question_of(name)
    return asked.words if asked else ""
