"""Citation of a study: a BibTeX entry with the hash of its registration, which identifies what was judged.

Enters: `Findings`. Leaves: text.
"""

from bertlab.report.study.verdict import status_word
from bertlab.report.table import in_latex
from bertlab.report.words import escape
from bertlab.study.judge import Findings

AUTHORS = "{The bertlab developers}"


def key(findings: Findings) -> str:
    """Return the citation key."""
    return f"bertlab-{findings.study.place.replace('/', '-')}"


def bibtex(findings: Findings) -> str:
    """Return the entry of a study."""
    facts = findings.record.facts
    note = [f"Claim {status_word(findings).lower()}: {findings.study.claim.rstrip('.')}"]
    note += [f"registered as {facts['registration']}"] if "registration" in facts else []
    fields = {
        "author": AUTHORS,
        "title": f"{{{in_latex(escape(findings.study.question))}}}",
        "year": facts.get("registered", "")[:4],
        "howpublished": in_latex(escape(f"bertlab {facts.get('version', '')}, study {findings.study.place}")),
        "note": in_latex(escape("; ".join(note))),
    }
    lines = [f"  {name} = {{{text}}}," for name, text in fields.items() if text]
    return "\n".join([f"@misc{{{key(findings)},", *lines, "}"])


def citing(findings: Findings) -> str:
    """Describe how to cite the study."""
    paper = f"`bertlab report study={findings.study.place} format=paper` writes its tables and figures for LaTeX."
    return "\n\n".join(["## How to cite this study", f"```bibtex\n{bibtex(findings)}\n```", paper])
