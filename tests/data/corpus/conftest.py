"""Two small sources as git folders, in the form of the real ones."""

import os
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from bertlab.data.corpus import eltec, standard_ebooks
from bertlab.data.corpus.git import Repository
from bertlab.data.corpus.sources import Source

Mirror = Callable[[Mapping[str, Mapping[str, str]]], list[Source]]


def git(folder: Path, *words: str) -> str:
    who = {f"GIT_{role}_{what}": "x" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    who |= {f"GIT_{role}_DATE": "2020-01-01T00:00:00Z" for role in ("AUTHOR", "COMMITTER")}
    command = ["git", "-C", str(folder), "-c", "commit.gpgsign=false", *words]
    return subprocess.run(command, check=True, capture_output=True, text=True, env=os.environ | who).stdout.strip()


@pytest.fixture
def mirror(tmp_path: Path) -> Mirror:
    """Commit files of repositories under tmp_path/mirror and return their sources."""

    def make(repositories: Mapping[str, Mapping[str, str]]) -> list[Source]:
        sources = []
        for name, files in repositories.items():
            folder = tmp_path / "mirror" / name
            for path, content in files.items():
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                (folder / path).write_text(content, "utf-8")
            git(folder, "init", "--quiet")
            git(folder, "add", "--all")
            git(folder, "commit", "--quiet", "--message", "books")
            reader = eltec.books if name.startswith("COST") else standard_ebooks.books
            sources.append(Source(Repository(name, git(folder, "rev-parse", "HEAD")), reader, 1))
        return sources

    return make
