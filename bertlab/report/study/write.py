"""Write the report of a study: page, figures, verdicts, and the data files from which all can be made again.

Enters: `Findings`. Leaves: <id>.md and the folder <id> next to it; for a rung of a ladder <id>/<rung>.md and its
folder. The content does not depend on clock, path or machine: `write_study(judge(read_record(folder / id)), other)`
writes the same bytes.
"""

from pathlib import Path

from bertlab.report.study.contrasts import verdict_files
from bertlab.report.study.figures import FIGURES, drawings
from bertlab.report.study.page import page
from bertlab.report.write import put
from bertlab.study.judge import Findings
from bertlab.study.record import twins


def write_study(findings: Findings, folder: Path) -> Path:
    """Write the report into `folder` and return the path of its page.

    Everything is made in memory first and each file is renamed into place, the page last: a failure leaves the old
    files. Figures that only an earlier report had are removed. Raises InputError if the folder cannot be written.
    """
    own = findings.study.place
    drawn = {f"figures/{drawing.name}.svg": drawing.svg for drawing in drawings(findings)}
    judged = {} if findings.study.explores else verdict_files(findings)
    inside = {**twins(findings.record), **judged, **drawn}
    files = {**{f"{own}/{name}": content for name, content in inside.items()}, f"{own}.md": page(findings).encode()}
    put(files, folder, gone=[f"{own}/figures/{name}.svg" for name in FIGURES])
    return folder / f"{own}.md"
