"""Write a report: `bertlab report [sweep=NAME | filter='MLflow filter' | from=FOLDER | study=ID] [out=...]`.

Without arguments: the latest sweep of the store in the working directory (`mlflow.db`, or MLFLOW_TRACKING_URI).
  sweep=NAME      the latest sweep of that name, as MLflow shows it
  filter=TEXT     any runs instead of a sweep, e.g. filter="params.model = 'nano' and tags.bertlab.kind = 'run'"
  from=FOLDER     without a store: write the page of a sweep again, FOLDER/report.md, from FOLDER/report
  study=ID        without a store: write the page of a registered study again, reports/ID.md, from reports/ID; with
                  from=FOLDER another folder than reports; ID/RUNG for a rung of a ladder, ID alone for the ladder
  format=paper    for a study or a ladder: tables as LaTeX, figures as PDF, and BibTeX, into outputs/paper/ID
  book=FOLDER     write the answer book of a folder of studies and facts, its README.md
  answers=FOLDER  write the answers of a folder of studies and facts, one page per question, into FOLDER/answers
  dataset=FOLDER  write all runs of a folder of studies as parquet with a card, into outputs/dataset
  out=FOLDER      where to write; default: outputs/report, for a study the folder it was read from
  uri=URI         another MLflow store
  experiment=NAME another experiment than MLFLOW_EXPERIMENT_NAME or bertlab
  output_dir=DIR  the folder with the runs' files, default: outputs; numbers come from these files, not from the store

  bertlab report
  bertlab report study=mask_rate from=outputs/reports
  bertlab report study=mask_rate format=paper out=my_paper
"""

import gc
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bertlab.config.arguments import parse
from bertlab.config.error_messages import one_line_errors
from bertlab.config.errors import InputError
from bertlab.config.own import take_own

DEFAULTS = {
    "sweep": None,
    "filter": None,
    "from": None,
    "study": None,
    "format": "page",
    "book": None,
    "answers": None,
    "dataset": None,
    "out": None,
    "uri": None,
    "experiment": None,
    "output_dir": "outputs",
}

FORMATS = ("page", "paper")


def main(words: Sequence[str]) -> None:
    """Run the command."""
    with one_line_errors():
        print(write(parse(DEFAULTS, __doc__, take_own(words))))  # noqa: T201


def write(arguments: dict[str, Any]) -> Path:
    """Write the report that the arguments ask for and return its path."""
    if arguments["book"]:
        from bertlab.report.book import write_book

        return write_book(Path(arguments["book"]))
    if arguments["answers"]:
        from bertlab.report.answers.write import write_answers

        return write_answers(Path(arguments["answers"]))
    if arguments["dataset"]:
        from bertlab.report.dataset import write_dataset

        return write_dataset(Path(arguments["dataset"]), Path(arguments["out"] or "outputs/dataset"))
    if arguments["format"] not in FORMATS:
        raise InputError(f"format must be one of {', '.join(FORMATS)}, got {arguments['format']}; choose one")
    if arguments["format"] == "paper":
        return write_study_paper(arguments)
    if arguments["study"] or arguments["from"]:
        folder = Path(arguments["from"] or "reports")
        return rebuild_study(arguments["study"] or "report", folder, arguments["out"])
    return report_store(arguments, Path(arguments["out"] or "outputs/report"))


def write_study_paper(arguments: dict[str, Any]) -> Path:
    """Write LaTeX, PDF and BibTeX of the study that the arguments choose."""
    from bertlab.report.paper import write_paper

    if not (study := arguments["study"]):
        raise InputError("format=paper is of a study, got none; add study=ID (bertlab studies lists them)")
    return write_paper(Path(arguments["from"] or "reports"), study, Path(arguments["out"] or f"outputs/paper/{study}"))


def report_store(arguments: dict[str, Any], out: Path) -> Path:
    """Write the report of the runs that the arguments choose in a store."""
    from bertlab.report.gather import gather, report_sweep
    from bertlab.report.study import write_study
    from bertlab.study.judge import judge
    from bertlab.tracking.mlflow import Tracker
    from bertlab.tracking.parent_runs import find_sweep, once
    from bertlab.tracking.runs_table import search

    output_dir = Path(arguments["output_dir"])
    tracker = Tracker(uri=arguments["uri"], experiment=arguments["experiment"])
    client = tracker.existing()
    if wanted := arguments["filter"]:
        facts = {"title": f"Runs with {wanted}", "command": f'python -m bertlab.report filter="{wanted}"'}
        return write_study(
            judge(gather(client, once(search(client, tracker.experiment, wanted)), facts, output_dir)), out
        )
    return report_sweep(client, find_sweep(client, tracker.experiment, arguments["sweep"]), out, output_dir)


def rebuild_study(study: str, folder: Path, out: str | None) -> Path:
    """Judge a study again from the record in `folder`, and write its page."""
    from bertlab.report.ladder import write_ladder
    from bertlab.report.study import write_study
    from bertlab.study.judge import judge
    from bertlab.study.ladder import is_ladder
    from bertlab.study.record import read_record

    if is_ladder(folder / study):
        return write_ladder(folder, study, Path(out or folder))
    return write_study(judge(read_record(folder / study)), Path(out or folder))


if __name__ == "__main__":
    gc.disable()  # this command ends soon; collecting garbage among millions of values takes a tenth of its time
    main(sys.argv[1:])
    gc.freeze()  # no collection at exit either
