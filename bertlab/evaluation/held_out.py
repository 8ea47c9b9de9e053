"""Held-out data that every run on a corpus is scored on: sequences, the tokens hidden in them, and reference losses.

`common.py` draws and stores the arrays; `HeldOut.read` loads them. All arms predict the same tokens; `sequences.py`
says what an arm sees of the text.

Legend: N sequences, M hidden positions.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np

from bertlab.data.pairs import NO_PAIR
from bertlab.data.store import Ints, TokenStore
from bertlab.evaluation.curve import LAST
from bertlab.evaluation.features import Features, read_features
from bertlab.evaluation.sequences import BERT, Reading, Sequences
from bertlab.evaluation.tasks import Task, read_tasks


@dataclass(frozen=True)
class Hidden:
    """Texts, and the flat positions that are hidden in them at the main rate."""

    text: Sequences
    hidden_M: Ints


@dataclass(frozen=True)
class Final(Hidden):
    """Many more texts and pairs, scored once at the end of a run."""

    part_N: Ints  # the part of the held-out text that each sequence comes from
    pairs: Sequences | None  # None where the sequences are no pairs
    pair_part_N: Ints


@dataclass(frozen=True)
class Finetuning:
    """Small tasks that a model is fine-tuned for."""

    tasks: Mapping[str, Task]
    examples: tuple[int, ...]  # numbers of labelled examples; none: no fine-tuning
    seeds: int  # times that a model is fine-tuned on them


@dataclass(frozen=True)
class HeldOut:
    """The held-out data of one corpus."""

    text: Sequences
    shuffled: Sequences  # the text with the words that are not hidden at the main rate in random order
    pairs: Sequences
    hidden: Mapping[float, Ints]  # rate -> flat positions in `text`, ascending
    unigram_loss: Mapping[float, float]  # rate -> nats
    floor: Mapping[float, float]  # rate -> Bayes-optimal loss in nats; empty where the corpus does not know it
    pair_floor: float | None  # Bayes-optimal pair accuracy, likewise
    rate: float  # the main rate, which runs are judged by
    split_M: Ints  # the tokens at the hidden positions of the main rate after an 80-10-10 draw
    pseudo_M: Ints  # flat positions in `text` to hide one at a time
    prune: tuple[float, ...]  # shares of the heads
    finetuning: Finetuning
    features: Features | None  # what probes of visible text's states are asked
    long: Hidden | None  # longer texts
    final: Final | None
    reading: Reading = BERT
    tokens_per_byte: float = math.nan  # of the held-out text in UTF-8; [UNK] counts as a token

    @classmethod
    def read(
        cls,
        folder: Path,
        store: TokenStore,
        rate: float,
        prune: Sequence[float],
        finetune: Sequence[int],
        finetune_seeds: int,
    ) -> Self:
        """Load what is stored in a folder."""
        with np.load(folder / "evaluation.npz") as stored:
            arrays = {name: stored[name] for name in stored}
        text, hidden = _single(arrays, ""), _by_rate(arrays, "hidden_")
        targets = {rate: text.ids_NL.reshape(-1)[hidden_M] for rate, hidden_M in hidden.items()}
        return cls(
            text=text,
            shuffled=replace(text, ids_NL=arrays["shuffled_NL"]),
            pairs=_pairs(arrays, ""),
            hidden=hidden,
            unigram_loss={rate: -float(store.unigram[target_M].mean()) for rate, target_M in targets.items()},
            floor={rate: float(loss[0]) for rate, loss in _by_rate(arrays, "floor_").items()},
            pair_floor=float(arrays["pair_floor"][0]) if "pair_floor" in arrays else None,
            rate=rate,
            split_M=arrays["split_M"],
            pseudo_M=arrays["pseudo_M"],
            prune=tuple(prune),
            finetuning=Finetuning(read_tasks(arrays), tuple(finetune), finetune_seeds),
            features=read_features(arrays),
            long=Hidden(_single(arrays, "long_"), arrays["long_M"]) if "long_M" in arrays else None,
            final=_final(arrays) if "final_M" in arrays else None,
            tokens_per_byte=len(store.splits["valid"].ids) / store.text_bytes["valid"],
        )

    @property
    def has_pairs(self) -> bool:
        """Whether the sequences of `pairs` are pairs."""
        return bool((self.pairs.label_N != NO_PAIR).any())

    @property
    def last_passes(self) -> float:
        """The most that the measures at the end cost, in passes over the text, without pruning and fine-tuning.

        It is the same for every arm, so that the curves of all arms have their points at the same steps.
        """
        tokens = len(self.pseudo_M) * self.text.ids_NL.shape[1]
        tokens += 0 if self.long is None else self.long.text.ids_NL.size
        tokens += 0 if self.features is None else 2 * self.features.text.ids_NL.size  # as written, and changed
        if self.final is not None:
            tokens += self.final.text.ids_NL.size + (0 if self.final.pairs is None else self.final.pairs.ids_NL.size)
        return len(self.hidden) + LAST + float(tokens / self.text.ids_NL.size)


def _single(arrays: Mapping[str, Ints], prefix: str) -> Sequences:
    ids_NL = arrays[f"{prefix}ids_NL"]
    return Sequences(ids_NL, arrays[f"{prefix}segments_NL"], np.full(len(ids_NL), NO_PAIR))


def _pairs(arrays: Mapping[str, Ints], prefix: str) -> Sequences:
    return Sequences(*(arrays[f"{prefix}pair_{name}"] for name in ("ids_NL", "segments_NL", "N")))


def _final(arrays: Mapping[str, Ints]) -> Final:
    pairs = _pairs(arrays, "final_")
    paired = (pairs.label_N != NO_PAIR).all()
    return Final(
        _single(arrays, "final_"),
        arrays["final_M"],
        arrays["final_chunk_N"],
        pairs if paired else None,
        arrays["final_pair_chunk_N"],
    )


def _by_rate(arrays: Mapping[str, Ints], prefix: str) -> dict[float, Ints]:
    return {float(name.removeprefix(prefix)): arrays[name] for name in arrays if name.startswith(prefix)}
