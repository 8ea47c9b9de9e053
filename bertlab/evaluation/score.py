"""Scoring a model on stored sequences. `measures.csv` is the list of all measures; runs log them as `eval/<name>`.

All arms predict the same tokens (see `sequences.py` for what an arm is given of the text). Arms that predict ahead are
given nothing but plain text: they have no `split_80_10_10` and, as they name another token, no `visible_accuracy`.

Legend: M hidden positions, V vocabulary.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from bertlab.batch.batches import Batch
from bertlab.data.pairs import NO_PAIR
from bertlab.data.store import Ints, TokenStore
from bertlab.evaluation.attention import pruning_cost, spread
from bertlab.evaluation.curve import LAST
from bertlab.evaluation.features import Features, read_features
from bertlab.evaluation.finetune import finetuned, frozen
from bertlab.evaluation.sequences import BERT, NOWHERE, Reading, Sequences
from bertlab.evaluation.tasks import Task, read_tasks
from bertlab.model.bert import Bert
from bertlab.model.norm import batch_statistics, over_tokens

CHUNKS = 4  # parts of the text, to tell noise of the text from that of seeds
FINAL_CHUNKS = 16  # parts of the final text, likewise
WATCHED = 16  # attention is looked into in one sequence of so many
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Evaluation:
    """The stored yardstick of one corpus, ready to score models of one arm."""

    text: Sequences
    shuffled: Sequences  # the text with the words that are not hidden at the main rate in random order
    pairs: Sequences
    hidden: Mapping[float, Ints]  # rate -> flat positions in `text`, ascending
    unigram_loss: Mapping[float, float]  # rate -> nats
    floor: Mapping[float, float]  # rate -> Bayes-optimal loss in nats; empty where the corpus does not know it
    pair_floor: float | None  # Bayes-optimal pair accuracy, likewise
    rate: float  # the one that runs are judged by
    split_M: Ints  # what stands at the hidden positions of that rate once 80-10-10 is drawn
    pseudo_M: Ints  # flat positions in `text` to hide one at a time
    prune: tuple[float, ...]  # shares of the heads
    tasks: Mapping[str, Task]  # that a model is fine-tuned for, by name
    finetune: tuple[int, ...]  # numbers of labelled examples
    finetune_seeds: int  # times that the model is fine-tuned on them, with other chance
    features: Features | None  # what states of visible text are asked, or nothing
    long: Sequences | None  # longer texts, or none
    long_M: Ints  # flat positions hidden there, at the main rate
    final: Sequences | None  # many more texts, scored once, or none
    final_M: Ints  # flat positions hidden there, at the main rate
    final_pairs: Sequences | None  # and pairs
    final_chunks: tuple[Ints, Ints]  # in which part of the text each of them stands
    reading: Reading = BERT
    tokens_per_byte: float = math.nan  # of the held-out text in UTF-8, [UNK] counted as a token

    def score(self, model: nn.Module, *, last: bool = False) -> dict[str, float]:
        """Return the measures at the main rate: losses in nats, accuracies as shares; pairs where there are any.

        The `last` time also what is measured once, at the end of a run. The model is left as it was.
        """
        with _evaluating(model):
            loss_M, hit_M = _predict(model, self.text.batches(self.hidden[self.rate], reading=self.reading))
            loss = float(loss_M.mean())
            measures = {"mlm_loss": loss, "mlm_accuracy": float(hit_M.mean())} | self._against(loss)
            measures |= self._attention(model)
            measures |= self._pairs(model) if (self.pairs.label_N != NO_PAIR).any() else {}
            return measures | (self._last(model, loss_M) if last else {})

    def _last(self, model: nn.Module, loss_M: Floats) -> dict[str, float]:
        """Return what is measured once; `loss_M` is of the tokens that are hidden at the main rate."""
        losses = {
            rate: loss_M if rate == self.rate else self._losses(model, self.text, hidden_M)
            for rate, hidden_M in sorted(self.hidden.items())
        }
        measures = self._rates(losses) | self._given(model) | self._pseudo(model) | self._probes(model)
        measures |= self._disturbed(model, loss_M) | self._pruned(model) | self._by_position(model)
        measures |= self._finetuned(model) | self._finally(model)
        if over_tokens(model):
            with batch_statistics(model):
                measures["mlm_loss.batch_statistics"] = self._mlm(model)[0]
        return measures | self._per_byte({"mlm_loss": float(loss_M.mean()), **measures})

    def _per_byte(self, measures: Mapping[str, float]) -> dict[str, float]:
        """Return losses in nats for each byte of the text, which has as many whatever the tokenizer."""
        names = [name for name in ("mlm_loss", "pseudo_loss") if name in measures]
        return {f"{name}.per_byte": measures[name] * self.tokens_per_byte for name in names}

    @property
    def last_passes(self) -> float:
        """What the last measures cost at most, in passes over the text; pruning and fine-tuning are not counted.

        The same for every arm, so that the curves of all have their points at the same steps.
        """
        tokens = len(self.pseudo_M) * self.text.ids_NL.shape[1]
        tokens += 0 if self.long is None else self.long.ids_NL.size
        tokens += 0 if self.features is None else 2 * self.features.text.ids_NL.size  # as written, and changed
        tokens += sum(each.ids_NL.size for each in (self.final, self.final_pairs) if each is not None)
        return len(self.hidden) + LAST + float(tokens / self.text.ids_NL.size)

    def _mlm(self, model: nn.Module, given_M: Ints | None = None) -> tuple[float, float]:
        loss_M, hit_M = _predict(model, self.text.batches(self.hidden[self.rate], given_M, self.reading))
        return float(loss_M.mean()), float(hit_M.mean())

    def _losses(self, model: nn.Module, text: Sequences, hidden_M: Ints) -> Floats:
        said = _said(model, text.batches(hidden_M, reading=self.reading))
        return torch.cat([_nats_(*each) for each in said]).numpy()

    def _rates(self, losses: Mapping[float, Floats]) -> dict[str, float]:
        """Name the loss at every rate, and that at the main one in parts of the text as well."""
        part_M = self.hidden[self.rate] // self.text.ids_NL.shape[1] % CHUNKS
        parts = {part: losses[self.rate][part_M == part] for part in range(CHUNKS)}
        measures = {f"mlm_loss.rate_{rate:g}": float(loss_M.mean()) for rate, loss_M in losses.items()}
        return measures | {f"mlm_loss.chunk_{part}": float(loss.mean()) for part, loss in parts.items() if len(loss)}

    def _disturbed(self, model: nn.Module, loss_M: Floats) -> dict[str, float]:
        """Measure what it costs the hidden tokens that their context is out of order, or shorter."""
        hidden_M = self.hidden[self.rate]
        first, kept_M, first_M = self.text.first_half(hidden_M)
        costs = {"shuffling_cost": self._losses(model, self.shuffled, hidden_M) - loss_M}
        if len(first_M):
            costs["shortening_cost"] = self._losses(model, first, first_M) - loss_M[kept_M]
        return {name: float(cost.mean()) for name, cost in costs.items()}

    def _attention(self, model: nn.Module) -> dict[str, float]:
        """Look into the attention that some of the sequences are read with, nothing hidden."""

        def reads() -> None:
            assert isinstance(model, Bert)  # as all that have self-attention
            for batch in self.text.every(WATCHED).batches(NOWHERE, reading=self.reading):
                model.encode(batch.to(_device(model)))

        return spread(model, reads)

    def _given(self, model: nn.Module) -> dict[str, float]:
        """Measure what becomes of the hidden tokens where something else than [MASK] stands there."""
        if self.reading.ahead:
            return {}
        original_M = self.text.ids_NL.reshape(-1)[self.hidden[self.rate]]
        return {
            "mlm_loss.split_80_10_10": self._mlm(model, given_M=self.split_M)[0],
            "visible_accuracy": self._mlm(model, given_M=original_M)[1],
        }

    def _pseudo(self, model: nn.Module) -> dict[str, float]:
        if not len(self.pseudo_M):
            return {}
        copies, hidden_M = self.text.one_at_a_time(self.pseudo_M)
        loss_M, hit_M = _predict(model, copies.batches(hidden_M, reading=self.reading))
        return {"pseudo_loss": float(loss_M.mean()), "pseudo_accuracy": float(hit_M.mean())}

    def _probes(self, model: nn.Module) -> dict[str, float]:
        if self.features is None:
            return {}
        assert isinstance(model, Bert)
        return self.features.score(model, self.reading, _device(model))

    def _pruned(self, model: nn.Module) -> dict[str, float]:
        hidden_M = self.hidden[self.rate]
        judges_M = hidden_M // self.text.ids_NL.shape[1] % 2 == 1

        def losses() -> tuple[float, float]:
            loss_M = self._losses(model, self.text, hidden_M)
            return float(loss_M[~judges_M].mean()), float(loss_M[judges_M].mean())

        both = judges_M.any() and not judges_M.all()  # a text of one sequence has no second half
        return pruning_cost(model, self.prune, losses) if self.prune and both else {}

    def _finetuned(self, model: nn.Module) -> dict[str, float]:
        if not self.finetune:
            return {}
        assert isinstance(model, Bert)
        given = (model, self.tasks, self.finetune, self.reading, _device(model))
        return finetuned(*given, self.finetune_seeds) | frozen(*given)

    def _finally(self, model: nn.Module) -> dict[str, float]:
        """Score the final text and pairs, whole and in parts."""
        measures: dict[str, float] = {}
        if self.final is not None:
            loss_M = self._losses(model, self.final, self.final_M)
            part_M = self.final_chunks[0][self.final_M // self.final.ids_NL.shape[1]]
            measures |= _in_parts("final_loss", loss_M, part_M)
        if self.final_pairs is not None:
            right_N = self._pairs_right(model, self.final_pairs)
            measures |= _in_parts("final_pair_accuracy", right_N, self.final_chunks[1])
        return measures

    def _pairs_right(self, model: nn.Module, pairs: Sequences) -> Floats:
        """Return 1 for each pair that is told right, else 0."""
        there = (batch.to(_device(model)) for batch in pairs.batches(NOWHERE, reading=self.reading))
        return torch.cat([(model(each).pair_B2.argmax(1) == each.pair_B).double().cpu() for each in there]).numpy()

    def _by_position(self, model: nn.Module) -> dict[str, float]:
        if self.long is None:
            return {}
        loss_M = self._losses(model, self.long, self.long_M)
        trained, longest = self.text.ids_NL.shape[1], self.long.ids_NL.shape[1]
        bucket_M = self.long_M % longest // trained
        return {
            f"mlm_loss.position_{bucket * trained}_{min((bucket + 1) * trained, longest) - 1}": float(
                loss_M[bucket_M == bucket].mean()
            )
            for bucket in np.unique(bucket_M).tolist()
        }

    def _pairs(self, model: nn.Module) -> dict[str, float]:
        totals = torch.zeros(2, dtype=torch.float64)
        for batch in self.pairs.batches(NOWHERE, reading=self.reading):
            there = batch.to(_device(model))
            totals += _totals(model(there).pair_B2.float(), there.pair_B)
        loss, hits = (totals / int((self.pairs.label_N != NO_PAIR).sum())).tolist()
        best = {} if self.pair_floor is None else {"bayes_pair_accuracy": self.pair_floor}
        return {"pair_loss": loss, "pair_accuracy": hits} | best

    def _against(self, loss: float) -> dict[str, float]:
        unigram = self.unigram_loss[self.rate]
        measures = {"unigram_loss": unigram, "context_gain": unigram - loss}
        best = None if self.reading.ahead else self.floor.get(self.rate)  # which hides what an arm ahead is given
        if best is not None:
            measures |= {"bayes_loss": best, "captured": (unigram - loss) / (unigram - best)}
        return measures


def read_evaluation(
    folder: Path, store: TokenStore, rate: float, prune: Sequence[float], finetune: Sequence[int], finetune_seeds: int
) -> Evaluation:
    """Load the stored yardstick."""
    with np.load(folder / "evaluation.npz") as stored:
        arrays = {name: stored[name] for name in stored}
    text, hidden = _single(arrays["ids_NL"], arrays["segments_NL"]), _by_rate(arrays, "hidden_")
    targets = {rate: text.ids_NL.reshape(-1)[hidden_M] for rate, hidden_M in hidden.items()}
    return Evaluation(
        text=text,
        shuffled=replace(text, ids_NL=arrays["shuffled_NL"]),
        pairs=Sequences(arrays["pair_ids_NL"], arrays["pair_segments_NL"], arrays["pair_N"]),
        hidden=hidden,
        unigram_loss={rate: -float(store.unigram[target_M].mean()) for rate, target_M in targets.items()},
        floor={rate: float(loss[0]) for rate, loss in _by_rate(arrays, "floor_").items()},
        pair_floor=float(arrays["pair_floor"][0]) if "pair_floor" in arrays else None,
        rate=rate,
        tokens_per_byte=len(store.splits["valid"].ids) / store.text_bytes["valid"],
        split_M=arrays["split_M"],
        pseudo_M=arrays["pseudo_M"],
        prune=tuple(prune),
        tasks=read_tasks(arrays),
        finetune=tuple(finetune),
        finetune_seeds=finetune_seeds,
        features=read_features(arrays),
        long=_single(arrays["long_ids_NL"], arrays["long_segments_NL"]) if "long_M" in arrays else None,
        long_M=arrays.get("long_M", NOWHERE),
        final=_single(arrays["final_ids_NL"], arrays["final_segments_NL"]) if "final_M" in arrays else None,
        final_M=arrays.get("final_M", NOWHERE),
        final_pairs=_final_pairs(arrays),
        final_chunks=(arrays.get("final_chunk_N", NOWHERE), arrays.get("final_pair_chunk_N", NOWHERE)),
    )


def _single(ids_NL: Ints, segments_NL: Ints) -> Sequences:
    return Sequences(ids_NL, segments_NL, np.full(len(ids_NL), NO_PAIR))


def _final_pairs(arrays: Mapping[str, Ints]) -> Sequences | None:
    """Return the final pairs where they are pairs."""
    if not (arrays.get("final_pair_N", np.array([NO_PAIR])) != NO_PAIR).all():
        return None
    return Sequences(arrays["final_pair_ids_NL"], arrays["final_pair_segments_NL"], arrays["final_pair_N"])


def _in_parts(name: str, value_M: Floats, part_M: Ints) -> dict[str, float]:
    """Name the mean of all values, and that of each part of the text that they stand in."""
    parts = {part: value_M[part_M == part] for part in range(FINAL_CHUNKS)}
    measures = {f"{name}.chunk_{part}": float(value.mean()) for part, value in parts.items() if len(value)}
    return {name: float(value_M.mean())} | measures


def _by_rate(arrays: Mapping[str, Ints], prefix: str) -> dict[float, Ints]:
    return {float(name.removeprefix(prefix)): arrays[name] for name in arrays if name.startswith(prefix)}


def _predict(model: nn.Module, batches: Iterable[Batch]) -> tuple[Floats, Floats]:
    """Return the loss in nats of each hidden token (M,), and 1 where the first guess is right, else 0 (M,)."""
    losses, hits = [], []
    for logits_MV, target_M in _said(model, batches):
        hits.append(_hits(logits_MV, target_M).double().cpu())
        losses.append(_nats_(logits_MV, target_M))
    return torch.cat(losses).numpy(), torch.cat(hits).numpy()


def _said(model: nn.Module, batches: Iterable[Batch]) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the logits of the hidden tokens of each batch (M, V), and which tokens they are (M,)."""
    for batch in batches:
        there = batch.to(_device(model))
        yield model(there).mlm_MV.float(), there.target_M


def _hits(logits_MV: Tensor, target_M: Tensor) -> Tensor:
    """Tell where the target is the first of the most likely tokens (M,): argmax, slow, where it can be that alone."""
    right_M = logits_MV.gather(1, target_M[:, None])[:, 0] == logits_MV.amax(1)
    right_M[right_M.clone()] = logits_MV[right_M].argmax(1) == target_M[right_M]
    return right_M


def _nats_(logits_MV: Tensor, target_M: Tensor) -> Tensor:
    """Return the loss of each hidden token (M,) as float64 on the CPU; takes the memory of the logits for it."""
    said_M, highest_M = logits_MV.gather(1, target_M[:, None])[:, 0], logits_MV.amax(1)
    total_M = logits_MV.sub_(highest_M[:, None]).exp_().sum(1)
    return (total_M.log() + highest_M - said_M).double().cpu()


def _totals(logits: Tensor, target: Tensor) -> Tensor:
    """Return (summed loss in nats, hits) as float64 (2,) on the CPU; NO_PAIR is ignored."""
    loss = cross_entropy(logits, target, reduction="sum", ignore_index=NO_PAIR)
    hits = (logits.argmax(1) == target).sum()
    return torch.stack([loss.double(), hits.double()]).cpu()


def _device(model: nn.Module) -> torch.device:
    return next(model.parameters()).device


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    """Switch dropout off and gradients too, then back."""
    training = model.training
    model.eval()
    with torch.no_grad():
        yield
    model.train(training)
