"""Public git repositories at one commit: fetched once without history, or read from a local mirror."""

import os
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bertlab.config.errors import InputError

HOST = "https://github.com"
WITHOUT_IMAGES = "--filter=blob:limit=4m"  # larger files are scans of covers; git fetches them only on demand


@dataclass(frozen=True)
class Repository:
    """A repository of HOST at a commit, whose hash fixes all of its bytes."""

    name: str  # owner/name
    commit: str

    @property
    def url(self) -> str:
        """The address to fetch from."""
        return f"{HOST}/{self.name}"

    def place(self, folder: Path) -> Path:
        """Return its git folder inside `folder`."""
        return folder / f"{self.name}.git"

    def is_in(self, folder: Path) -> bool:
        """Return whether it has been fetched into its place there."""
        return (self.place(folder) / "HEAD").exists() and has(self.place(folder), self.commit)


@dataclass(frozen=True)
class Tree:
    """The files of a repository's commit, in a git folder on disk."""

    folder: Path
    commit: str

    def paths(self, under: str) -> list[str]:
        """Return the paths of all files under a folder, sorted."""
        listed = git(self.folder, "ls-tree", "-r", "-z", "--name-only", self.commit, "--", f"{under}/")
        return sorted(filter(None, listed.decode().split("\0")))

    def read(self, paths: Sequence[str]) -> Iterator[tuple[str, bytes]]:
        """Yield path and content of each file. Raises InputError for a missing one."""
        asked = "".join(f"{self.commit}:{path}\n" for path in paths).encode()
        answer, start = git(self.folder, "cat-file", "--batch", given=asked), 0
        for path in paths:
            end = answer.index(b"\n", start)
            words = answer[start:end].split()
            if words[1:2] != [b"blob"]:
                raise InputError(f"{self.folder} must hold {path} at {self.commit}, got none; fetch it again")
            start = end + 1 + int(words[2]) + 1
            yield path, answer[end + 1 : start - 1]


def fetched(repository: Repository, folder: Path) -> Tree:
    """Return the repository's tree; fetch it into `folder` if needed. Raises InputError."""
    if not (folder / "HEAD").exists():
        folder.mkdir(parents=True, exist_ok=True)
        git(folder, "init", "--quiet", "--bare")
    if not has(folder, repository.commit):
        git(folder, "fetch", "--quiet", "--no-tags", "--depth", "1", WITHOUT_IMAGES, repository.url, repository.commit)
    return Tree(folder, repository.commit)


def mirrored(repository: Repository, mirror: Path) -> Tree:
    """Return the tree from a mirror: a git folder or a checkout at <mirror>/<owner>/<name>, or <name>.git."""
    plain = mirror / repository.name
    for folder in (plain / ".git", plain, plain.with_name(f"{plain.name}.git")):
        if (folder / "HEAD").exists() and has(folder, repository.commit):
            return Tree(folder, repository.commit)
    raise InputError(f"mirror must hold {plain} with the commit {repository.commit}, got none; fetch it there")


def has(folder: Path, commit: str) -> bool:
    """Return whether a git folder contains a commit."""
    return _run(folder, "cat-file", "-e", f"{commit}^{{commit}}").returncode == 0


def git(folder: Path, *words: str, given: bytes | None = None) -> bytes:
    """Return git's output. Raises InputError with its last line if it fails."""
    done = _run(folder, *words, given=given)
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines() or ["nothing"]
        raise InputError(f"git {words[0]} must work for {words[-1]}, got: {said[-1]}; type the same again to go on")
    return done.stdout


def _run(folder: Path, *words: str, given: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    never_asks = {**os.environ, "GIT_TERMINAL_PROMPT": "0"}
    command = ["git", f"--git-dir={folder}", *words]
    try:
        return subprocess.run(command, input=given, capture_output=True, env=never_asks, check=False)
    except OSError as error:
        raise InputError(f"git must be installed to read books, got: {error.strerror}; install it") from error
