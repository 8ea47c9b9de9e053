"""Data preparation against other tools: `python benchmarks/data.py [rounds=7]`, without the first harvest of data=docs.

Masking and collation: all batches of a run, including cutting its examples, against transformers' collator, which gets
sequences that are already cut; 32 x 128 tokens, a vocabulary of 8,192. Token arrays: from the harvest in memory to a
finished store, including sentence splitting and checksums, against `encode_batch` of the plain tokenizer on the same
sentences in one call, both with one thread. Cached start: in fresh processes, without imports, files in the page cache.
  rounds=7     of all comparisons
  share=0.3    of the harvest's documents that become token arrays
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from unittest.mock import patch

from measure import Row, alternate, ratio, save, seconds, spread
from tokenizers import Tokenizer
from training import DEFAULTS as TRAINING
from training import Case, Ours, Theirs, prepared

from bertlab.config.arguments import parse
from bertlab.config.error_messages import one_line_errors
from bertlab.data.batches import Batches
from bertlab.data.documents import Corpus, Document
from bertlab.data.prepare import prepare
from bertlab.data.sentences import sentences
from bertlab.sweep.run import Job

DEFAULTS = {"rounds": "7", "share": "0.3"}
COLLATION, STEP, ENCODING, START = 10.0, 0.03, 0.9, 1.0  # targets
OPEN = """
import sys, time
from bertlab.config.building import build_parts
from bertlab.config.compose import load, resolved
from bertlab.data.prepare import prepare
parts = build_parts(resolved(load(sys.argv[1:])))
start = time.perf_counter()
prepare(parts.data, parts.tokenizer)
print(time.perf_counter() - start)
"""


def main() -> None:
    """Measure and save."""
    arguments = parse(DEFAULTS, __doc__, sys.argv[1:])
    rounds, job = int(arguments["rounds"]), prepared(Case("nano", "nsp", 32, 128))
    rows = [*batches(job, rounds), arrays(job, float(arguments["share"]), rounds), cached_start(rounds)]
    save(rows, notes=f"{TRAINING['threads']} thread of torch and of tokenizers")


def batches(job: Job, rounds: int) -> Iterator[Row]:
    """Compare making batches with transformers, and with the training step of a batch."""
    ours, theirs = Ours(job), Theirs(job)
    found = alternate(
        {"ours": lambda: own_pace(job), "theirs": lambda: their_pace(theirs), "step": lambda: ours.pace(15)}, rounds
    )
    speed = {name: job.form.tokens / median(paces) for name, paces in found.items()}
    faster, share = ratio(found["theirs"], found["ours"]), ratio(found["ours"], found["step"])
    yield Row(
        "masking and collation",
        "transformers' DataCollatorForLanguageModeling",
        f"{faster:.1f}x: {speed['ours']:,.0f} against {speed['theirs']:,.0f} tokens/s",
        f"{COLLATION:g}x",
        faster >= COLLATION,
        spread(found["theirs"], found["ours"]),
    )
    yield Row(
        "making a batch",
        "the training step of nano that it is made for",
        f"{share:.1%}: {1e3 * median(found['ours']):.2f} of {1e3 * median(found['step']):.1f} ms",
        f"at most {STEP:.0%}",
        share <= STEP,
        f"over {rounds} rounds",
    )


def own_pace(job: Job) -> float:
    """Return the seconds per batch, over a whole run including cutting its examples."""
    parts, tokens = job.parts, job.store.splits["train"]

    def work() -> None:
        made = Batches(tokens, job.store.vocabulary, parts.pairs, parts.mask, job.form, job.streams, job.steps)
        for step in range(job.steps):
            made(step)

    return seconds(work) / job.steps


def their_pace(theirs: Theirs) -> float:
    """Return the seconds per batch, over the sequences that transformers got."""
    size, examples = theirs.job.form.size, theirs.examples
    starts = range(0, len(examples), size)
    return seconds(lambda: [theirs.collator(examples[start : start + size]) for start in starts]) / len(starts)


class InMemory:
    """A corpus of existing documents."""

    name = "memory"

    def __init__(self, documents: Sequence[Document]) -> None:
        self._documents = documents

    def key(self) -> str:
        """Return a fixed key; the cache is empty in every round."""
        return self.name

    def documents(self) -> Iterator[Document]:
        """Yield the documents."""
        return iter(self._documents)

    def facts(self) -> dict[str, str]:
        """Return the facts of the corpus."""
        return {"source": self.name}


class Trained:
    """A tokenizer that needs no training."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._text = tokenizer.to_str()

    def key(self) -> str:
        """Return a fixed key."""
        return "trained"

    def train(self, sentences: Iterator[str]) -> Tokenizer:
        """Return a copy."""
        return Tokenizer.from_str(self._text)


def arrays(job: Job, share: float, rounds: int) -> Row:
    """Compare making a token store with the plain tokenizer."""
    corpus: Corpus = job.parts.data
    documents = list(corpus.documents())
    documents = documents[: max(round(share * len(documents)), 100)]
    lines = [sentence for document in documents for sentence in sentences(document.text)]
    memory, trained = InMemory(documents), Trained(job.store.tokenizer)
    bare = trained.train(iter(()))
    tokens = sum(len(encoding.ids) for encoding in bare.encode_batch(lines, add_special_tokens=False))

    def ours() -> float:
        with tempfile.TemporaryDirectory() as folder, patch.dict(os.environ, BERTLAB_CACHE=folder):
            return seconds(lambda: prepare(memory, trained))

    peers = {"theirs": bare.encode_batch, "fast": bare.encode_batch_fast}  # the latter without offsets, like ours
    theirs = {name: lambda encode=encode: seconds(lambda: encode(lines)) for name, encode in peers.items()}
    found = alternate({"ours": ours, **theirs}, rounds)
    faster, fast = (ratio(found[name], found["ours"]) for name in peers)
    speed = {name: tokens / median(times) for name, times in found.items()}
    return Row(
        "corpus in memory to token arrays on disk",
        "tokenizers' encode_batch over the same sentences",
        f"{faster:.2f}x: {speed['ours']:,.0f} against {speed['theirs']:,.0f} tokens/s",
        f"{ENCODING:g}x",
        faster >= ENCODING,
        f"{spread(found['theirs'], found['ours'])}; {fast:.2f}x encode_batch_fast; {tokens:,} tokens",
    )


def cached_start(rounds: int) -> Row:
    """Time how long a fresh process takes to open an existing store."""
    command = [sys.executable, "-c", OPEN, "data=docs", f"tokenizer.vocab_size={TRAINING['vocabulary']}"]
    took = [
        float(subprocess.run(command, check=True, capture_output=True, text=True, cwd=Path(__file__).parent).stdout)
        for _ in range(rounds)
    ]
    return Row(
        "token arrays that are in the cache, opened and verified",
        "",
        f"{median(took):.2f} s",
        f"{START:g} s",
        median(took) <= START,
        f"{min(took):.2f} to {max(took):.2f} s over {rounds} fresh processes",
    )


if __name__ == "__main__":
    with one_line_errors():
        main()
