"""Shared fixtures: a small corpus of generated prose, its token store, and a separate cache for the session.

Tests do not use the user's terminal, store or cluster.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from functools import cache as cache_calls
from getpass import getuser
from itertools import accumulate, chain
from pathlib import Path
from tempfile import gettempdir
from typing import Any

import numpy as np
import pytest
import torch
from hydra.utils import instantiate

from bertlab.config.cache import digest
from bertlab.config.compose import load
from bertlab.data.documents import Document
from bertlab.data.prepare import prepare
from bertlab.data.store import Tokens, TokenStore
from bertlab.data.tokenizer.wordpiece import WordPiece
from tests.composing import keep_compositions

STEERING = ("MLFLOW_", "SLURM_", "HYDRA_", "BERTLAB_OWN", "FORCE_COLOR", "NO_COLOR", "COLUMNS", "LINES")
for _name in [name for name in os.environ if name.startswith(STEERING)]:
    del os.environ[_name]
os.environ |= {"COLUMNS": "80", "LINES": "25", "MLFLOW_DISABLE_TELEMETRY": "true"}  # rich would ask the terminal
# torch makes its folder for compiled code where the temporary files are when it is first asked, in whichever test
os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(Path(gettempdir()) / f"torchinductor_{getuser()}"))
_worker = os.environ.get("PYTEST_XDIST_WORKER")
if _worker and hasattr(os, "sched_setaffinity"):  # one core each: workers that take all of them wait for each other
    _cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {_cores[int(_worker.removeprefix("gw")) % len(_cores)]})

keep_compositions()

TOPICS = {  # a document has words of one topic, so its sentences help to predict the next one
    "sea": ["ship", "harbour", "sailor", "anchor", "wave", "storm", "captain", "island", "current", "lantern"],
    "farm": ["farmer", "barn", "harvest", "plough", "meadow", "horse", "orchard", "shepherd", "fence", "cider"],
    "town": ["market", "tower", "bridge", "printer", "council", "baker", "library", "bell", "square", "lamp"],
}
OPENERS = ["The", "A", "Every", "One"]
VERBS = ["keeps", "finds", "sees", "follows", "leaves", "mends", "watches", "passes"]
LINKS = ["near", "behind", "before", "without", "beside"]


class Listed:
    """A corpus with its documents in memory, which counts how often they are read."""

    name = "listed"

    def __init__(self, documents: Sequence[Document]) -> None:
        self.listed = list(documents)
        self.reads = 0

    def key(self) -> str:
        return digest([[document.id, document.text, document.split] for document in self.listed])

    def documents(self) -> Iterator[Document]:
        self.reads += 1
        yield from self.listed

    def facts(self) -> dict[str, str]:
        return {"source": "a list", "licence": "none", "content": self.key()}


def prose(number: int, sentences: int) -> str:
    """Make a text of one topic; equal numbers give equal texts."""
    rng = np.random.default_rng(number)
    nouns = TOPICS[sorted(TOPICS)[number % len(TOPICS)]]

    def sentence() -> str:
        parts = [rng.choice(OPENERS), rng.choice(nouns), rng.choice(VERBS), "the", rng.choice(nouns)]
        for _ in range(rng.integers(3)):
            parts += [rng.choice(LINKS), "the", rng.choice(nouns)]
        return " ".join(parts) + "."

    return " ".join(sentence() for _ in range(sentences))


Command = Callable[..., tuple[Any, str, str]]


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run `python -m bertlab.run` in a folder of its own, in this process: (exit code, output, messages)."""
    monkeypatch.chdir(tmp_path)
    for name in ("MLFLOW_TRACKING_URI", "BERTLAB_TRACEBACK"):
        monkeypatch.delenv(name, raising=False)

    def run(*words: str) -> tuple[Any, str, str]:
        from tests.command import exit_code  # it imports what most tests do not need

        return exit_code(*words), *capsys.readouterr()

    return run


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The cache folder of the session: no test reads or writes that of the user."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BERTLAB_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def make_corpus() -> Callable[[Sequence[Document]], Listed]:
    """Make a corpus of given documents; its `reads` counts the calls of `documents()`."""
    return Listed


@pytest.fixture(scope="session")
def tiny_corpus() -> Listed:
    """96 documents of 5 to 14 sentences, every eighth of them held out: about 7,300 tokens for training."""
    return Listed(
        [
            Document(f"tiny-{number}", prose(number, 5 + 7 * number % 10), "valid" if number % 8 == 3 else "train")
            for number in range(96)
        ]
    )


@pytest.fixture(scope="session")
def store(tiny_corpus: Listed, cache: Path) -> TokenStore:
    """The tiny corpus, prepared with WordPiece."""
    return prepare(tiny_corpus, WordPiece(vocab_size=300, lowercase=True))


@pytest.fixture(scope="session")
def make_tokens() -> Callable[[Sequence[Sequence[Sequence[int]]]], Tokens]:
    """Make a split from documents, each a list of sentences, each a list of token ids."""

    def make(documents: Sequence[Sequence[Sequence[int]]]) -> Tokens:
        sentences = list(chain.from_iterable(documents))
        return Tokens(
            np.array(list(chain.from_iterable(sentences)), "<u2"),
            np.array([0, *accumulate(map(len, sentences))], "<i8"),
            np.array([0, *accumulate(map(len, documents))], "<i8"),
        )

    return make


@pytest.fixture(scope="session")
def build_part() -> Callable[..., Any]:
    """Build one part as a run would: `build_part("mask=token", "mask.rate=0.3")`."""

    @cache_calls
    def build(choice: str, *overrides: str) -> Any:
        return instantiate(load([choice, *overrides])[choice.partition("=")[0]], _convert_="all")

    return build


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start with the slowest tests, so that no worker runs one alone at the end."""
    items.sort(key=lambda item: "integration" not in item.path.parts)
