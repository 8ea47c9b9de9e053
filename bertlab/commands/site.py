"""Write the results site: `bertlab site [reports=FOLDER] [out=FOLDER]`; then open FOLDER/index.html.

  reports=FOLDER  the folder of studies, facts and answers; default: reports; your studies are in outputs/reports
  out=FOLDER      where to write, a new folder or an earlier site; default: site

Examples:
  bertlab site
  bertlab site reports=outputs/reports out=my-site

Equal reports give equal bytes. The pages need no server and no network.
"""

from collections.abc import Sequence
from pathlib import Path

from bertlab.config.arguments import parse
from bertlab.config.error_messages import one_line_errors

DEFAULTS = {"reports": "reports", "out": "site"}


def main(words: Sequence[str]) -> None:
    """Run the command."""
    with one_line_errors():
        arguments = parse(DEFAULTS, __doc__, words)
        from bertlab.report.site.write import write_site

        print(write_site(Path(arguments["reports"]), Path(arguments["out"])))  # noqa: T201
