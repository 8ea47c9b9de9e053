"""Write benchmarks/README.md from the results of the benchmarks: python benchmarks/table.py"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ORDER = (
    *("training", "saturated", "data", "sweep", "launchers", "tracking", "startup", "store", "memory", "growth"),
    *("simulated", "breakdown"),
)
REACHED = {True: "yes", False: "**no**", None: ""}
OPENING = """# Benchmarks

Written by `python benchmarks/table.py` from `benchmarks/results`, one file a benchmark. Numbers are medians over rounds
in which all contestants ran in alternation, so ratios hold where the machine was busy; times do so less.

Model FLOPs are those of all positions, padding included, as is usual: beside the rate of the step's products stands
what share of that rate the step reaches in the products that it does compute.
"""


def main() -> None:
    """Write the page."""
    paths = [path for name in ORDER for path in sorted((HERE / "results").glob(f"{name}*.json"))]
    found = [json.loads(path.read_text("utf-8")) for path in paths]
    (HERE / "README.md").write_text("\n".join(page(found)), "utf-8")


def page(found: list[Mapping[str, Any]]) -> Iterator[str]:
    """Yield the lines of the page."""
    yield OPENING
    yield "| what | against | measured | to reach | reached | where, when |"
    yield "|---|---|---|---|---|---|"
    for result in found:
        for row in result["rows"]:
            detail = f" ({row['detail']})" if row["detail"] else ""
            where = f"{device(result['machine'])}, {result['measured']}"
            cells = (row["what"], row["against"], row["measured"] + detail, row["target"], REACHED[row["reached"]])
            yield f"| {' | '.join(cells)} | {where} |"
    yield "\n## Commands and machines\n"
    for result in found:
        yield f"- `{result['command']}`, {result['measured']}: {result['machine']}"
        yield from (f"  {line}" for line in result.get("notes", "").splitlines())
    figures = sorted(HERE.glob("*.png"))
    for figure in figures:
        yield f"\n![{figure.stem}]({figure.name})"
    yield ""


def device(machine: str) -> str:
    """Return the GPU of a machine, else its processor and cores."""
    *card, processor, _ = machine.split("; ")
    return card[0] if card else ", ".join(processor.split(", ")[:2])


if __name__ == "__main__":
    main()
