"""The project has its own name on a package index: `bertlab` there belongs to someone else."""

import re
import tomllib
from pathlib import Path

from bertlab import DISTRIBUTION

ROOT = Path(__file__).parents[1]
READ = ("*.md", "docs/*.md", "bertlab/**/*.py", "conf/**/*.yaml", "scripts/*.py", "hydra_plugins/*.py", "Makefile")
FOREIGN = re.compile(r"(?<!un)install\b[^\n]*?[\s'\"`]bertlab(?=$|[\s'\"`\[=<>,;.!?])")


def test_the_distribution_is_asked_for_by_the_name_it_is_built_under() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["name"] == DISTRIBUTION != "bertlab"
    named = {re.split(r"[\[<>=]", need)[0] for extra in project["optional-dependencies"].values() for need in extra}
    assert DISTRIBUTION in named
    assert "bertlab" not in named


def test_no_text_says_to_install_the_foreign_package() -> None:
    assert FOREIGN.search("run: pip install 'bertlab[hub]'")
    assert FOREIGN.search("pip install --upgrade bertlab")
    texts = {path: path.read_text("utf-8") for pattern in READ for path in ROOT.glob(pattern)}
    assert len(texts) > 200
    assert [str(path) for path, text in texts.items() if FOREIGN.search(text)] == []
