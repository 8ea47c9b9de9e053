"""Show the cost of a run's model: `bertlab describe [key=value ...] [against key=value ...]`.

Takes the keys of bertlab run. Builds the model without memory for its weights, and opens no corpus. Prints parameters
and FLOPs by part, the number of attention heads, and the bytes that a training step keeps. The keys after `against`
change the model; the table then shows both models and the difference:

  bertlab describe model=base
  bertlab describe model=base against model/attention=shared_kv
  bertlab describe model=base against model.layers=24 match=width

`match=width` (or `match=inner`) finds the width at which the changed model costs the same FLOPs, and prints it.

Sequences have `batch.length` real tokens. The share of predicted tokens is measured by applying `mask` to generated
ids. The vocabulary size is that of tokenizer=file or tokenizer.vocab_size, else 30,522 (Devlin et al. 2018).
FLOPs count matrix products only; a multiply-add is two. Bytes are for 32-bit numbers and include stored attention
weights.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from bertlab.commands.match import MATCH, with_match
from bertlab.config.arguments import answer
from bertlab.config.building import Parts, build_part, build_parts
from bertlab.config.compose import check, choices, load, resolved
from bertlab.config.error_messages import one_line_errors
from bertlab.config.errors import InputError, at, whole_number
from bertlab.config.leaves import leaves
from bertlab.config.own import take_own
from bertlab.config.reading import written_out
from bertlab.data.of_start import with_model
from bertlab.data.start_weights import with_start_folders
from bertlab.train.early import check_early, form_of

if TYPE_CHECKING:
    from rich.table import Table

    from bertlab.data.batches import Batch
    from bertlab.data.form import Form
    from bertlab.mask import MaskPolicy
    from bertlab.model.count import Memory

AGAINST = "against"
PUBLISHED = 30_522  # Devlin et al. 2018, uncased English
COUNTED = ("tokenizer", "mask", "model", "objective", "optimizer", "evaluation")  # groups that change what is counted
SAMPLE = 2**18  # generated tokens for measuring the share of predicted tokens
TIMES = 20  # of a run, at which the share of predicted tokens is taken


@dataclass(frozen=True)
class Costs:
    """What was counted for one configuration."""

    vocabulary: str
    size: int  # of the vocabulary
    config: Mapping[str, Any]
    heads: tuple[int, ...]  # one per layer
    parameters: Mapping[str, int]  # by part
    forward: Mapping[str, float]  # FLOPs a token, by part
    training: float  # FLOPs a token, forward and backward
    predicted: float  # share of all positions
    memory: "Memory"

    @property
    def batch(self) -> Mapping[str, int]:
        """`size` and `length` of a batch."""
        return dict(self.config["batch"])


def main(words: Sequence[str]) -> None:
    """Run the command."""
    with one_line_errors(words):
        answer(__doc__, words)
        show(take_own(words))


def show(words: Sequence[str]) -> None:
    """Print what the command line asks for. Raises InputError."""
    from rich.console import Console

    console = Console()
    before = list(takewhile(lambda word: word != AGAINST, words))
    changes = list(words[len(before) + 1 :])
    if AGAINST in words and (not changes or AGAINST in changes):
        raise InputError(
            f"{AGAINST} must be followed once by the changes, got {' '.join(words)}; "
            f"write for example {AGAINST} model/attention=shared_kv"
        )
    before, changes = with_model(written_out(before)), with_model(written_out(changes))
    check(before)
    check([word for word in changes if not word.startswith(MATCH)])
    before, changes = with_start_folders(before), with_start_folders(changes)
    if (found := with_match(before, changes, lambda: count(before))) != changes:
        console.print(f"The same FLOPs: {' '.join(word for word in found if word not in changes)}", soft_wrap=True)
        changes = found
    both = [before, [*before, *changes]] if changes else [before]
    for each in both:
        check_early([counted(resolved(load(each)))])
    first, second = count(before), count(both[1]) if changes else None
    for title, table in description(first) if second is None else comparison(first, second):
        console.print(title, style="bold", soft_wrap=True)
        console.print(table)


def count(words: Sequence[str]) -> Costs:
    """Compose a run and count its model. Raises InputError."""
    import torch

    from bertlab.model.combination import check_cls
    from bertlab.model.count import count_heads, count_memory, count_parameters
    from bertlab.model.flops import count_flops, forward_flops

    composed = load(words)
    config = resolved(composed)
    size, vocabulary = _vocabulary(config, words, choices(composed)["tokenizer"])
    parts = build_parts(counted(config))
    form = form_of(config)
    predicted = predicted_share(parts.mask, form.length)
    with torch.device("meta"):  # no memory for weights
        with at("model"):
            model = parts.model(size, parts.evaluation.longest or form.length)
        batch = empty_batch(form, round(predicted * form.tokens))
    if not form.cls:
        check_cls(model.embedding, model.pooling)
    return Costs(
        vocabulary=vocabulary,
        size=size,
        config=config,
        heads=count_heads(model),
        parameters=count_parameters(model),
        forward={part: flops / form.tokens for part, flops in forward_flops(model, batch).items()},
        training=count_flops(model, form.length).of_step(batch) / form.tokens,
        predicted=predicted,
        memory=count_memory(model, parts.optimizer, lambda output: parts.objective(output, batch, 0, 1)["loss"], batch),
    )


def counted(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the configuration without corpora, trackers and trainers: they do not change the model's cost."""
    left_out = Parts.__annotations__.keys() - set(COUNTED)
    return {name: {} if name in left_out else part for name, part in config.items()}


def _vocabulary(config: Mapping[str, Any], words: Sequence[str], tokenizer: str) -> tuple[int, str]:
    """Return the vocabulary size that is counted, and a line that says where it comes from."""
    if "vocab_size" not in config["tokenizer"]:
        size = build_part(config, "tokenizer").read().get_vocab_size()
        return size, f"Vocabulary: {size:,} tokens, as its file has."
    usual = load([f"tokenizer={tokenizer}"]).tokenizer.vocab_size
    stated = config["tokenizer"]["vocab_size"]
    if stated != usual or any(word.lstrip("+").startswith("tokenizer.vocab_size=") for word in words):
        size = whole_number("tokenizer.vocab_size", stated, 1)
        return size, f"Vocabulary: {size:,} tokens, as tokenizer.vocab_size says."
    return PUBLISHED, f"Vocabulary: {PUBLISHED:,} tokens, as BERT's; state tokenizer.vocab_size to count another."


def predicted_share(mask: "MaskPolicy", length: int) -> float:
    """Return the share of positions that a policy predicts, in generated sequences [CLS] A [SEP] B [SEP].

    If the policy's rate changes during a run, this is the mean over the run.
    """
    import numpy as np

    from bertlab.data.tokenizer import CLS, SEP, SPECIALS, Vocabulary
    from bertlab.data.tokenizer.vocabulary import CONTINUES
    from bertlab.mask import Moment
    from bertlab.streams import Streams

    streams, rows = Streams(0), TIMES * (SAMPLE // length // TIMES + 1)
    vocabulary = Vocabulary([*SPECIALS, *(f"{'' if n % 4 else CONTINUES}word{n}" for n in range(1000))])
    ids_BL = streams.generator("describe").integers(vocabulary.first_real, vocabulary.size, (rows, length))
    ids_BL[:, 0], ids_BL[:, length // 2], ids_BL[:, -1] = CLS, SEP, SEP
    times = (np.arange(TIMES) + 0.5) / TIMES  # a part of the sequences at each of these shares of the run
    parts = zip(times, np.array_split(np.arange(rows), TIMES), strict=True)
    moments = [(Moment(streams, step, time, 0, row_B), row_B) for step, (time, row_B) in enumerate(parts)]
    return sum(len(mask(ids_BL[row_B], vocabulary, moment).position_M) for moment, row_B in moments) / ids_BL.size


def empty_batch(form: "Form", predictions: int) -> "Batch":
    """Return a batch of zeros on torch's current device, without padding."""
    import torch

    from bertlab.data.batches import Batch

    ids_BL = torch.zeros(form.size, form.length, dtype=torch.int64)
    place_M = ids_BL.flatten()[:predictions]
    return Batch(ids_BL, ids_BL, None, place_M, place_M, ids_BL[:, 0], has_pairs=True)


def description(costs: Costs) -> Iterator[tuple[str, "Table"]]:
    """Yield the tables of one configuration with their titles."""
    total, length = sum(costs.parameters.values()), costs.batch["length"]
    yield (
        f"{total:,} parameters, attention heads: {heads(costs.heads)}\n{costs.vocabulary}\n\n"
        f"Parameters, and FLOPs of a token in sequences of {length} with {costs.predicted:.1%} predicted",
        parts(costs),
    )
    yield f"Memory of a training step on {costs.batch['size']} sequences", memory(costs)


def heads(by_layer: Sequence[int]) -> str:
    """Write the number of heads with its factors if all layers have the same number."""
    total, alike = sum(by_layer), len(set(by_layer)) == 1
    return f"{total} = {len(by_layer)} layers x {by_layer[0]}" if total and alike else str(total)


def parts(costs: Costs) -> "Table":
    """Return parameters and forward FLOPs by part."""
    table = _table("part", "parameters", "share", "forward FLOPs", "share")
    total, forward = sum(costs.parameters.values()), sum(costs.forward.values())
    for part in {**costs.parameters, **costs.forward}:
        here, flops = costs.parameters.get(part, 0), costs.forward.get(part, 0.0)
        table.add_row(part, f"{here:,}", f"{here / total:.1%}", f"{flops:,.0f}", f"{flops / forward:.1%}")
    table.add_section()
    table.add_row("total", f"{total:,}", "", f"{forward:,.0f}", "")
    table.add_row("forward and backward", "", "", f"{costs.training:,.0f}", "")
    return table


def memory(costs: Costs) -> "Table":
    """Return the memory that a training step keeps."""
    table = _table("what", "MiB")
    for name, size in costs.memory.by_name.items():
        table.add_row(name, f"{size / 2**20:,.1f}")
    table.add_section()
    table.add_row("total", f"{costs.memory.total / 2**20:,.1f}")
    return table


def comparison(first: Costs, second: Costs) -> Iterator[tuple[str, "Table"]]:
    """Yield the tables of the differences between two configurations, with their titles."""
    yield "\n".join(dict.fromkeys((first.vocabulary, second.vocabulary))) + "\n\nChanged keys", changed(first, second)
    one, other = ({"attention heads": sum(costs.heads), **costs.parameters} for costs in (first, second))
    totals = [sum(costs.parameters.values()) for costs in (first, second)]
    yield "Parameters", differences(one, other, {"all parameters": totals})
    forward = [sum(costs.forward.values()) for costs in (first, second)]
    both = {"forward": forward, "forward and backward": [first.training, second.training]}
    yield "FLOPs of a token", differences(first.forward, second.forward, both)
    memories = {"total": [first.memory.total, second.memory.total]}
    yield "Bytes of a training step", differences(first.memory.by_name, second.memory.by_name, memories)


def changed(first: Costs, second: Costs) -> "Table":
    """Return the differing keys of the configuration; a part is named by its class."""
    table = _table("key", "first", "second")
    one, other = dict(_settings(first.config)), dict(_settings(second.config))
    for key in one | other:
        if one.get(key) != other.get(key):
            table.add_row(key, one.get(key, "-"), other.get(key, "-"))
    return table


def _settings(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for key, value in leaves(config):
        part = key.removesuffix("._target_")
        yield part, str(value) if part == key else str(value).rpartition(".")[2]


def differences(
    first: Mapping[str, float], second: Mapping[str, float], totals: Mapping[str, Sequence[float]]
) -> "Table":
    """Return both values and the difference, for each name with different values and for all totals."""
    table = _table("", "first", "second", "difference", "relative")
    for name in {**first, **second}:
        if first.get(name, 0) != second.get(name, 0):
            table.add_row(*difference(name, first.get(name, 0), second.get(name, 0)))
    table.add_section()
    for name, (one, other) in totals.items():
        table.add_row(*difference(name, one, other))
    return table


def difference(name: str, one: float, other: float) -> tuple[str, ...]:
    """Write two values with their absolute and relative difference; no relative one if a value is missing."""
    if one == other:
        return name, f"{one:,.0f}", f"{other:,.0f}", "none"
    relative = f"{(other - one) / one:+.1%}" if one else "new"
    return name, f"{one:,.0f}", f"{other:,.0f}", f"{other - one:+,.0f}", relative


def _table(*columns: str) -> "Table":
    """Return an empty table: names on the left, numbers on the right."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD)
    for place, column in enumerate(columns):
        table.add_column(column, justify="right" if place else "left", overflow="fold")
    return table
