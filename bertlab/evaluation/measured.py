"""The measures of the common evaluation: one function takes a scored model and returns some rows of measures.csv.

All losses are means in nats, all accuracies shares. A function returns nothing where its measures are not defined.

Legend: M hidden positions, N sequences.
"""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from bertlab.data.pairs import NO_PAIR
from bertlab.data.store import Ints
from bertlab.evaluation import attention as looked_into
from bertlab.evaluation import finetune
from bertlab.evaluation.scored import Floats, Measure, Scored
from bertlab.model.norm import batch_statistics, over_tokens

CHUNKS = 4  # parts of the text, to tell noise of the text from that of seeds
FINAL_CHUNKS = 16  # parts of the final text, likewise
WATCHED = 16  # attention is measured on one sequence of so many


def hidden(scored: Scored) -> dict[str, float]:
    """Score the tokens that are hidden at the main rate, and compare with word frequencies and the best loss."""
    data, (loss_M, hit_M) = scored.data, scored.main
    loss, unigram = float(loss_M.mean()), data.unigram_loss[data.rate]
    measures = {"mlm_loss": loss, "mlm_accuracy": float(hit_M.mean())}
    measures |= {"unigram_loss": unigram, "context_gain": unigram - loss}
    best = None if data.reading.ahead else data.floor.get(data.rate)  # the floor is that of gaps
    if best is not None:
        measures |= {"bayes_loss": best, "captured": (unigram - loss) / (unigram - best)}
    return measures


def attention(scored: Scored) -> dict[str, float]:
    """Measure how far attention spreads on some of the sequences, nothing hidden."""

    def read() -> None:
        for batch in scored.visible(scored.data.text.every(WATCHED)):
            scored.bert.encode(batch)

    return looked_into.spread(scored.model, read)


def pairs(scored: Scored) -> dict[str, float]:
    """Score pairs of segments, on text without any mask."""
    data = scored.data
    if not data.has_pairs:
        return {}
    totals = torch.zeros(2, dtype=torch.float64)
    for batch in scored.visible(data.pairs):
        totals += _totals(scored.model(batch).pair_B2.float(), batch.pair_B)
    loss, hits = (totals / int((data.pairs.label_N != NO_PAIR).sum())).tolist()
    best = {} if data.pair_floor is None else {"bayes_pair_accuracy": data.pair_floor}
    return {"pair_loss": loss, "pair_accuracy": hits} | best


def rates(scored: Scored) -> dict[str, float]:
    """Score every rate of the grid, and the main rate in parts of the text as well."""
    data = scored.data
    losses = {
        rate: scored.main[0] if rate == data.rate else scored.losses(data.text, hidden_M)
        for rate, hidden_M in sorted(data.hidden.items())
    }
    part_M = data.hidden[data.rate] // data.text.ids_NL.shape[1] % CHUNKS
    measures = {f"mlm_loss.rate_{rate:g}": float(loss_M.mean()) for rate, loss_M in losses.items()}
    return measures | _by_part("mlm_loss", losses[data.rate], part_M, CHUNKS)


def replaced(scored: Scored) -> dict[str, float]:
    """Score the hidden tokens where something else than [MASK] is given; not for an arm that predicts ahead."""
    data = scored.data
    if data.reading.ahead:
        return {}
    hidden_M = data.hidden[data.rate]
    split_M, _ = scored.predict(data.text, hidden_M, data.split_M)
    _, named_M = scored.predict(data.text, hidden_M, data.text.ids_NL.reshape(-1)[hidden_M])
    return {"mlm_loss.split_80_10_10": float(split_M.mean()), "visible_accuracy": float(named_M.mean())}


def one_at_a_time(scored: Scored) -> dict[str, float]:
    """Score a sample of tokens, one hidden at a time (pseudo-likelihood, Salazar et al. 2020, arXiv:1910.14659)."""
    if not len(scored.data.pseudo_M):
        return {}
    loss_M, hit_M = scored.predict(*scored.data.text.one_at_a_time(scored.data.pseudo_M))
    return {"pseudo_loss": float(loss_M.mean()), "pseudo_accuracy": float(hit_M.mean())}


def states(scored: Scored) -> dict[str, float]:
    """Probe the frozen states of visible text."""
    features = scored.data.features
    return {} if features is None else features.score(scored.bert, scored.data.reading, scored.device)


def disturbed(scored: Scored) -> dict[str, float]:
    """Measure what the hidden tokens lose when their context is out of order, or shorter."""
    data, (loss_M, _) = scored.data, scored.main
    hidden_M = data.hidden[data.rate]
    first, kept_M, first_M = data.text.first_half(hidden_M)
    costs = {"shuffling_cost": scored.losses(data.shuffled, hidden_M) - loss_M}
    if len(first_M):
        costs["shortening_cost"] = scored.losses(first, first_M) - loss_M[kept_M]
    return {name: float(cost_M.mean()) for name, cost_M in costs.items()}


def pruned(scored: Scored) -> dict[str, float]:
    """Measure what the model loses without some of its heads: half of the text ranks them, the other half judges."""
    data = scored.data
    hidden_M = data.hidden[data.rate]
    judges_M = hidden_M // data.text.ids_NL.shape[1] % 2 == 1

    def losses() -> tuple[float, float]:
        loss_M = scored.losses(data.text, hidden_M)
        return float(loss_M[~judges_M].mean()), float(loss_M[judges_M].mean())

    both = judges_M.any() and not judges_M.all()  # a text of one sequence has no second half
    return looked_into.pruning_cost(scored.model, data.prune, losses) if data.prune and both else {}


def by_position(scored: Scored) -> dict[str, float]:
    """Score longer texts than those of training, by range of positions."""
    long = scored.data.long
    if long is None:
        return {}
    loss_M = scored.losses(long.text, long.hidden_M)
    trained, longest = scored.data.text.ids_NL.shape[1], long.text.ids_NL.shape[1]
    bucket_M = long.hidden_M % longest // trained
    return {
        f"mlm_loss.position_{bucket * trained}_{min((bucket + 1) * trained, longest) - 1}": float(
            loss_M[bucket_M == bucket].mean()
        )
        for bucket in np.unique(bucket_M).tolist()
    }


def finetuned(scored: Scored) -> dict[str, float]:
    """Fine-tune a copy of the model for small tasks, and probe its frozen pooled states for them."""
    tuning = scored.data.finetuning
    if not tuning.examples:
        return {}
    given = (scored.bert, tuning.tasks, tuning.examples, scored.data.reading, scored.device)
    return finetune.finetuned(*given, tuning.seeds) | finetune.frozen(*given)


def final_text(scored: Scored) -> dict[str, float]:
    """Score the hidden tokens of the final text, whole and in parts."""
    final = scored.data.final
    if final is None:
        return {}
    loss_M = scored.losses(final.text, final.hidden_M)
    part_M = final.part_N[final.hidden_M // final.text.ids_NL.shape[1]]
    return {"final_loss": float(loss_M.mean())} | _by_part("final_loss", loss_M, part_M, FINAL_CHUNKS)


def final_pairs(scored: Scored) -> dict[str, float]:
    """Score the final pairs, whole and in parts."""
    final = scored.data.final
    if final is None or final.pairs is None:
        return {}
    right = [
        (scored.model(batch).pair_B2.argmax(1) == batch.pair_B).double().cpu() for batch in scored.visible(final.pairs)
    ]
    right_N, name = torch.cat(right).numpy(), "final_pair_accuracy"
    return {name: float(right_N.mean())} | _by_part(name, right_N, final.pair_part_N, FINAL_CHUNKS)


def by_batch_statistics(scored: Scored) -> dict[str, float]:
    """Score a norm over tokens with the statistics of the evaluated batches in place of the running ones."""
    if not over_tokens(scored.model):
        return {}
    with batch_statistics(scored.model):
        loss_M, _ = scored.predict(scored.data.text, scored.data.hidden[scored.data.rate])
    return {"mlm_loss.batch_statistics": float(loss_M.mean())}


def per_byte(measures: Mapping[str, float], tokens_per_byte: float) -> dict[str, float]:
    """Return losses in nats for each byte of the text, which can be compared across tokenizers."""
    names = [name for name in ("mlm_loss", "pseudo_loss") if name in measures]
    return {f"{name}.per_byte": measures[name] * tokens_per_byte for name in names}


CURVE: tuple[Measure, ...] = (hidden, attention, pairs)  # at every point of the curve
END: tuple[Measure, ...] = (  # at the end of a run, too
    *(rates, replaced, one_at_a_time, states, disturbed, pruned, by_position),
    *(finetuned, final_text, final_pairs, by_batch_statistics),
)


def _by_part(name: str, value_M: Floats, part_M: Ints, parts: int) -> dict[str, float]:
    """Return the mean of the values in each part of the text."""
    means = ((part, value_M[part_M == part]) for part in range(parts))
    return {f"{name}.chunk_{part}": float(value.mean()) for part, value in means if len(value)}


def _totals(logits: Tensor, target: Tensor) -> Tensor:
    """Return (summed loss in nats, hits) as float64 (2,) on the CPU; NO_PAIR is ignored."""
    loss = cross_entropy(logits, target, reduction="sum", ignore_index=NO_PAIR)
    hits = (logits.argmax(1) == target).sum()
    return torch.stack([loss.double(), hits.double()]).cpu()
