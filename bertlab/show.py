"""Look at the data before training: `python -m bertlab.show [key=value ...]`, with the keys of bertlab.run.

Prints the corpus' facts and one training batch in colour: what stands in the text, what the model is given, which
positions it must predict, and which segment each token belongs to.
"""

import sys

from rich.console import Console
from rich.table import Table
from rich.text import Text
from torch import Tensor

from bertlab.batch import Batch
from bertlab.compose import load, resolved
from bertlab.explain import one_line_errors
from bertlab.job import Job, prepare_job
from bertlab.pairs import FOLLOWS, RANDOM
from bertlab.tokenizer import MASK, PAD, Vocabulary

SEQUENCES = 3  # shown of the batch
PAIRS = {FOLLOWS: "B follows A", RANDOM: "B does not follow A"}  # from elsewhere, or the two swapped
SEGMENT_STYLES = ("", "italic bright_blue")


def main() -> None:
    """Enter from the command line."""
    if {"-h", "--help"} & set(sys.argv[1:]):
        print(__doc__)  # noqa: T201
        return
    with one_line_errors():
        job = prepare_job(resolved(load(sys.argv[1:])))
        console = Console()
        console.print(facts(job))
        for sequence in sequences(job.batches(0), job.store.vocabulary):
            console.print(sequence)
        console.print(legend())


def facts(job: Job) -> Table:
    """Return what is known of the corpus, one line a fact."""
    table = Table(title="Corpus", show_header=False, title_justify="left")
    for name, fact in (*job.store.facts.items(), ("fingerprint", job.store.fingerprint)):
        table.add_row(name, fact)
    padding = 1.0 if (real := job.batches(0).real_BL) is None else float(real.float().mean())
    table.add_row("first batch", f"{job.form.size} sequences of {job.form.length} tokens, {padding:.1%} of them real")
    table.add_row("training", f"{job.steps:,} steps, {job.steps * job.form.tokens:,} tokens")
    return table


def sequences(batch: Batch, vocabulary: Vocabulary) -> list[Text]:
    """Return the first sequences of a batch as coloured text, each under the label of its pair."""
    original_BL = batch.ids_BL.clone()
    original_BL.view(-1)[batch.position_M] = batch.target_M
    predicted_BL = batch.ids_BL.new_zeros(batch.ids_BL.shape)
    predicted_BL.view(-1)[batch.position_M] = 1
    rows = zip(original_BL, batch.ids_BL, predicted_BL, batch.segments_BL, batch.pair_B.tolist(), strict=True)
    return [_sequence(number, *row, vocabulary) for number, row in enumerate(rows, 1) if number <= SEQUENCES]


def _sequence(
    number: int,
    original_L: Tensor,
    given_L: Tensor,
    predicted_L: Tensor,
    segment_L: Tensor,
    pair: int,
    vocabulary: Vocabulary,
) -> Text:
    text = Text(f"\n{number}. {PAIRS.get(pair, 'one segment')}\n", style="bold")
    for original, given, predicted, segment in zip(
        original_L.tolist(), given_L.tolist(), predicted_L.tolist(), segment_L.tolist(), strict=True
    ):
        if original == PAD:
            break
        text.append_text(_token(vocabulary.tokens[original], vocabulary.tokens[given], predicted, given, segment))
    return text


def _token(original: str, given: str, predicted: int, given_id: int, segment: int) -> Text:
    """Return one token; a predicted one shows what stood there and what the model is given instead."""
    style = SEGMENT_STYLES[segment]
    if not predicted:
        return Text(original + " ", style=f"{style} dim" if original.startswith("[") else style)
    if given_id == MASK:
        return Text(f"{original}→[MASK] ", style="bold red")
    return (
        Text(f"{original} ", style="bold green") if given == original else Text(f"{original}→{given} ", "bold yellow")
    )


def legend() -> Text:
    """Return what the colours mean."""
    predicted = ("token→[MASK] ", "bold red"), ("token→random ", "bold yellow"), ("token kept", "bold green")
    return Text.assemble("\npredicted: ", *predicted, "; segment A plain, ", ("segment B", SEGMENT_STYLES[1]))


if __name__ == "__main__":
    main()
