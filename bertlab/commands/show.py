"""Look at the data before training: `bertlab show [key=value ...]`, with the keys of bertlab run.

Prints facts about the corpus and one training batch in colour: the original text, the model's input, the positions
to predict, and the segment of each token.

  bertlab show mask.rate=0.4
  bertlab show data=text 'data.files=corpus/*.txt.gz'
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from bertlab.config.arguments import answer
from bertlab.config.compose import check, load, resolved
from bertlab.config.error_messages import one_line_errors
from bertlab.config.importing import import_heavy
from bertlab.config.own import take_own
from bertlab.config.reading import written_out
from bertlab.data.of_start import with_model
from bertlab.data.pairs import FOLLOWS, RANDOM
from bertlab.data.start_weights import with_start_folders
from bertlab.data.tokenizer import MASK, PAD, SPECIALS, Vocabulary
from bertlab.train.early import check_early

if TYPE_CHECKING:
    from torch import Tensor

    from bertlab.data.batches import Batch
    from bertlab.sweep.run import Job

SEQUENCES = 3  # number of sequences shown
NOTHING = -1  # target of a position that is not predicted
PAIRS = {FOLLOWS: "B follows A", RANDOM: "B does not follow A"}  # RANDOM: from another document, or the two swapped
SEGMENT_STYLES = ("", "italic bright_blue")
MASKED, REPLACED, KEPT, OTHER, UNPREDICTED = "bold red", "bold yellow", "bold green", "bold cyan", "magenta"


def main(words: Sequence[str]) -> None:
    """Run the command."""
    with one_line_errors(words):
        answer(__doc__, words)
        words = with_model(written_out(take_own(words)))
        check(words)
        config = resolved(load(with_start_folders(words)))
        check_early([config])
        import_heavy("bertlab.sweep.run")  # import late, so that configuration errors appear at once
        from bertlab.sweep.run import prepare_job

        job = prepare_job(config)
        console = Console()
        console.print(facts(job))
        for sequence in sequences(job.batches.original(0), job.batches(0), job.store.vocabulary):
            console.print(sequence)
        console.print(legend())


def facts(job: "Job") -> Table:
    """Return facts about the corpus, one per line."""
    table = Table(title="Corpus", show_header=False, title_justify="left")
    for name, fact in (*job.store.facts.items(), ("fingerprint", job.store.fingerprint)):
        table.add_row(name, Text(fact))  # square brackets in a name are not colour markup
    first = job.batches(0)
    rows, length = first.ids_BL.shape
    padding = 1.0 if first.real_BL is None else float(first.real_BL.float().mean())
    table.add_row("first batch", f"{rows} sequences of {length} tokens, {padding:.1%} of them real")
    table.add_row("training", f"{job.steps:,} steps, {job.steps * job.form.tokens:,} tokens")
    return table


def sequences(original_BL: "Tensor", batch: "Batch", vocabulary: Vocabulary) -> list[Text]:
    """Return the first sequences of a batch as coloured text, each below the label of its pair."""
    target_BL = batch.ids_BL.new_full(batch.ids_BL.shape, NOTHING)
    target_BL.view(-1)[batch.position_M] = batch.target_M
    rows = zip(original_BL, batch.ids_BL, target_BL, batch.segments_BL, batch.pair_B.tolist(), strict=True)
    return [_sequence(number, *row, vocabulary) for number, row in enumerate(rows, 1) if number <= SEQUENCES]


def _sequence(
    number: int,
    original_L: "Tensor",
    given_L: "Tensor",
    target_L: "Tensor",
    segment_L: "Tensor",
    pair: int,
    vocabulary: Vocabulary,
) -> Text:
    text = Text(f"\n{number}. {PAIRS.get(pair, 'one segment')}\n", style="bold")
    columns = (each.tolist() for each in (original_L, given_L, target_L, segment_L))
    for original, given, target, segment in zip(*columns, strict=True):
        if original == PAD:
            break
        text.append(f"{_words(original, given, target, vocabulary)} ", _style(original, given, target, segment))
    return text


def _words(original: int, given: int, target: int, vocabulary: Vocabulary) -> str:
    """Return the original token of a position, the input token, and the target if it differs from the original."""
    token = vocabulary.tokens
    words = token[original] if given == original else f"{token[original]}→{token[given]}"
    return words if target in (NOTHING, original) else f"{words}⇒{token[target]}"


def _style(original: int, given: int, target: int, segment: int) -> str:
    if target == NOTHING:
        special = "dim" if original < len(SPECIALS) else ""
        return UNPREDICTED if given != original else f"{SEGMENT_STYLES[segment]} {special}".strip()
    if target != original:
        return OTHER
    return KEPT if given == original else MASKED if given == MASK else REPLACED


def legend() -> Text:
    """Return the meaning of the colours."""
    predicted = ("token→[MASK] ", MASKED), ("token→random ", REPLACED), ("token kept ", KEPT), ("place⇒token", OTHER)
    others = ("token→given", UNPREDICTED), ("; segment A plain, ", ""), ("segment B", SEGMENT_STYLES[1])
    return Text.assemble("\npredicted: ", *predicted, "; not predicted: ", *others)
