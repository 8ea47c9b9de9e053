"""Write the report of a study: its page, figures, verdicts, and the twins that all of it can be made from again.

Enters: `Findings`. Leaves: <id>.md and the folder <id> beside it, for a rung of a ladder <id>/<rung>.md and its folder.
No clock, no path and no machine name goes into them: `write_study(judge(read_record(folder / id)), other)` writes the
same bytes.
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

    Everything is made in memory first and each file is renamed into place, the page last: a failure leaves what was
    there. Figures of an earlier report that this one lacks are removed. Raises InputError when the folder is no place
    to write.
    """
    own = findings.study.place
    drawn = {f"figures/{drawing.name}.svg": drawing.svg for drawing in drawings(findings)}
    judged = {} if findings.study.explores else verdict_files(findings)
    inside = {**twins(findings.record), **judged, **drawn}
    files = {**{f"{own}/{name}": content for name, content in inside.items()}, f"{own}.md": page(findings).encode()}
    put(files, folder, gone=[f"{own}/figures/{name}.svg" for name in FIGURES])
    return folder / f"{own}.md"
