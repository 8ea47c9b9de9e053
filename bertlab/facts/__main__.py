"""Write the page of facts: `bertlab facts [out=FOLDER] [measure=true]`.

Facts are claims about BERT that the code itself decides: counts, equalities, leaks. Each is computed from small
models; a test checks its numbers. The page is FOLDER/facts.md.
  out=FOLDER     default: reports
  measure=true   first time heads again, a few minutes, into FOLDER/facts/head_cost.csv; default: use that file

  bertlab facts out=my-reports
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from bertlab.config.arguments import parse
from bertlab.config.error_messages import one_line_errors
from bertlab.config.errors import InputError

DEFAULTS = {"out": "reports", "measure": "false"}


def main(words: Sequence[str]) -> None:
    """Run the command."""
    with one_line_errors():
        arguments = parse(DEFAULTS, __doc__, words)
        if arguments["measure"] not in ("true", "false"):
            raise InputError(f"measure must be true or false, got {arguments['measure']}; choose one")
        print(write(Path(arguments["out"]), again=arguments["measure"] == "true"))  # noqa: T201


def write(folder: Path, *, again: bool) -> Path:
    """Write the page, after new time measurements if `again`, and return its path."""
    from bertlab.facts import measure, page

    if again:
        path, text = folder / measure.FILE, measure.text(measure.measure())
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return page.write(folder, measure.read(folder))


if __name__ == "__main__":
    main(sys.argv[1:])
