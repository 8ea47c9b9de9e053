"""Energy that the processor counts, where it tells: RAPL, of Intel and AMD, as Linux shows it.

A package counts microjoules and begins again at its range (docs.kernel.org/power/powercap/powercap.html). It counts all
that runs on it, not this run alone; memory and GPUs are not in it. Most systems let nobody but root read it.
"""

import os
import re
from pathlib import Path

POWERCAP = Path("/sys/class/powercap")
PACKAGE = re.compile(r"[a-z-]*rapl(?:-msr)?:\d+")  # intel-rapl:0; its parts, intel-rapl:0:0, are within
MICRO = 1e-6


class Energy:
    """Joules since it was made, over all packages whose counter can be read."""

    def __init__(self, folder: Path = POWERCAP) -> None:
        found = sorted(folder.iterdir()) if folder.is_dir() else []
        self._range = {
            path: _number(path / "max_energy_range_uj")
            for path in found
            if PACKAGE.fullmatch(path.name) and os.access(path / "energy_uj", os.R_OK)
        }
        self._last = {path: _number(path / "energy_uj") for path in self._range}
        self._micro = 0

    def metrics(self) -> dict[str, float]:
        """Return `energy_joules`; nothing where no processor tells. It must be asked once a round of the counter."""
        for path, last in self._last.items():
            now = _number(path / "energy_uj")
            self._micro += now - last if now >= last else now - last + self._range[path]
            self._last[path] = now
        return {"energy_joules": MICRO * self._micro} if self._range else {}


def _number(path: Path) -> int:
    return int(path.read_text("ascii"))
