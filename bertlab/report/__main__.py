"""Write a report: `python -m bertlab.report [sweep=NAME] [filter='MLflow filter'] [from=FOLDER] [out=FOLDER]`.

Without arguments: the latest sweep of the store in the working directory (`mlflow.db`, or MLFLOW_TRACKING_URI).
  sweep=NAME      the latest sweep of that name, as MLflow shows it
  filter=TEXT     any runs instead of a sweep, e.g. filter="params.model = 'nano' and tags.bertlab.kind = 'run'"
  from=FOLDER     no store at all: rebuild a report from the runs.csv and curves.csv that stand beside it
  out=FOLDER      where to write; outputs/report by default
  uri=URI         another MLflow store
  experiment=NAME another experiment than bertlab
"""

from pathlib import Path
from typing import Any

from bertlab.arguments import parse
from bertlab.explain import one_line_errors

DEFAULTS = {
    "sweep": None,
    "filter": None,
    "from": None,
    "out": "outputs/report",
    "uri": None,
    "experiment": "bertlab",
}


def main() -> None:
    """Enter from the command line."""
    with one_line_errors():
        print(write(parse(DEFAULTS, __doc__)))  # noqa: T201


def write(arguments: dict[str, Any]) -> Path:
    """Write the report that the arguments ask for and return its path."""
    from bertlab.report.gather import gather, report_sweep
    from bertlab.report.table import read_table
    from bertlab.report.write import write_report
    from bertlab.tracking.mlflow import Tracker
    from bertlab.tracking.table import find_sweep, search

    out = Path(arguments["out"])
    if arguments["from"]:
        return write_report(read_table(Path(arguments["from"])), out)
    tracker = Tracker(uri=arguments["uri"], experiment=arguments["experiment"])
    client = tracker.connect()
    if wanted := arguments["filter"]:
        facts = {"title": f"Runs with {wanted}", "command": f'python -m bertlab.report filter="{wanted}"'}
        return write_report(gather(client, search(client, tracker.experiment, wanted), facts), out)
    return report_sweep(client, find_sweep(client, tracker.experiment, arguments["sweep"]), out)


if __name__ == "__main__":
    main()
