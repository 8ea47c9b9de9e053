"""Small tasks with labels, cut from held-out text, for fine-tuning at the end of a run.

    similarity      are two pieces of text from one document? they do not touch
    proofreading    which errors are in a text: moved words, words of other texts, doubled words? any or none
    continuation    which word comes next? after [MASK], with nothing after it

They represent three uses of BERT: sentence pairs, several labels at once, generation. Examples for training, for
choosing a learning rate, and for testing come from different documents. Translation would need its own corpus.

Legend: N examples, L length, C questions (each yes or no).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields

import numpy as np

from bertlab.config.errors import InputError
from bertlab.data.batches import assemble
from bertlab.data.pairs import NO_PAIR, Examples
from bertlab.data.pairs.single import Single
from bertlab.data.store import Ints, Tokens
from bertlab.data.tokenizer import PAD, SEP
from bertlab.evaluation.sequences import Sequences
from bertlab.mask.corrupt import Bools

TASKS = ("similarity", "proofreading", "continuation")
PARTS = {"teach": 2, "choose": 1, "judge": 1}  # shares of the documents
CHOOSE, JUDGE = 256, 512  # examples
ERRORS = {"moved": 0.2, "strange": 0.15, "doubled": 0.1}  # shares of the words, in a text with the error
APART = 2  # least distance, in places, of two compared pieces of one document


@dataclass(frozen=True)
class Labelled:
    """Examples of a task with their questions."""

    ids_NL: Ints
    segments_NL: Ints
    answer_NC: Ints  # 0 or 1; no questions (C = 0) if a token is to be predicted
    column_N: Ints  # column of the token to predict after [MASK]; 0, the column of [CLS], for none

    def __len__(self) -> int:
        return len(self.ids_NL)

    def __getitem__(self, rows: Ints | slice) -> "Labelled":
        return Labelled(*(getattr(self, field.name)[rows] for field in fields(self)))

    @property
    def questions(self) -> int:
        """Number of questions per example; 0 if a token is to be predicted."""
        return int(self.answer_NC.shape[1])

    @property
    def text(self) -> Sequences:
        """The examples as sequences."""
        return Sequences(self.ids_NL, self.segments_NL, np.full(len(self), NO_PAIR))

    @property
    def hidden(self) -> Ints:
        """Flat positions of the tokens to predict (M,)."""
        row_M = np.flatnonzero(self.column_N)
        hidden_M: Ints = row_M * self.ids_NL.shape[1] + self.column_N[row_M]
        return hidden_M


@dataclass(frozen=True)
class Task:
    """A task: examples for training (`teach`), choosing (`choose`) and testing (`judge`)."""

    teach: Labelled
    choose: Labelled
    judge: Labelled


def draw_tasks(tokens: Tokens, length: int, teach: int, rng: np.random.Generator) -> dict[str, Ints]:
    """Return the arrays for `read_tasks`, with `teach` training examples. Raises InputError for too few documents."""
    part_D = rng.permutation(np.arange(len(tokens.documents) - 1) % sum(PARTS.values()))
    shares = np.repeat(np.arange(len(PARTS)), list(PARTS.values()))
    arrays: dict[str, Ints] = {}
    for number, (part, wanted) in enumerate(zip(PARTS, (teach, CHOOSE, JUDGE), strict=True)):
        inside_D = shares[part_D] == number
        for task, made in _make(tokens, length, inside_D, wanted, rng):
            arrays |= {f"task.{task}.{part}.{field.name}": getattr(made, field.name) for field in fields(made)}
    return arrays


def read_tasks(arrays: Mapping[str, Ints]) -> dict[str, Task]:
    """Return the result of `draw_tasks`, by task; empty if there is nothing."""
    names = [field.name for field in fields(Labelled)]
    return {
        task: Task(*(Labelled(*(arrays[f"task.{task}.{part}.{name}"] for name in names)) for part in PARTS))
        for task in TASKS
        if f"task.{task}.teach.ids_NL" in arrays
    }


def _make(
    tokens: Tokens, length: int, inside_D: Bools, wanted: int, rng: np.random.Generator
) -> Iterator[tuple[str, Labelled]]:
    """Yield the examples of every task from some documents."""
    room = length - 2
    pieces = _pieces(tokens, room, inside_D, rng)
    rows = rng.permutation(len(pieces))[:wanted]
    _enough(len(rows), wanted, f"pieces of {room} tokens")
    yield "similarity", _similarity(tokens, length, inside_D, wanted, rng)
    ids_NL, segments_NL = assemble(tokens, pieces, rows, length)
    yield "proofreading", _proofreading(ids_NL, segments_NL, np.asarray(tokens.ids), rng)
    yield "continuation", _continuation(ids_NL, segments_NL, rng)


def _pieces(tokens: Tokens, room: int, inside_D: Bools, rng: np.random.Generator) -> Examples:
    """Cut some documents into full pieces of `room` tokens, in order."""
    pieces = Single(shortest=room)(tokens, room + 2, rng)  # uses no random numbers
    kept = inside_D[_document(tokens, pieces)]
    return Examples(*(getattr(pieces, field.name)[kept] for field in fields(Examples)))


def _document(tokens: Tokens, pieces: Examples) -> Ints:
    first_D = tokens.sentences[tokens.documents[:-1]]
    return np.searchsorted(first_D, pieces.a_start, side="right") - 1


def _similarity(tokens: Tokens, length: int, inside_D: Bools, wanted: int, rng: np.random.Generator) -> Labelled:
    """Half of the pairs come from one document, the others from two; no piece is first in two pairs."""
    room = (length - 3) // 2
    pieces = _pieces(tokens, room, inside_D, rng)
    document_P = _document(tokens, pieces)
    first, last = (np.searchsorted(document_P, document_P, side=side) for side in ("left", "right"))
    place_P = np.arange(len(pieces))
    kin_P = np.maximum(place_P - first - APART + 1, 0) + np.maximum(last - place_P - APART, 0)
    anchors = rng.permutation(np.flatnonzero((kin_P > 0) & (last - first < len(pieces))))[:wanted]
    _enough(len(anchors), wanted, f"pairs of pieces of {room} tokens")
    same_N = rng.permutation(np.arange(wanted) % 2)
    partners = (
        rng.choice(_others(same, anchor, first[anchor], last[anchor], len(pieces)))
        for anchor, same in zip(anchors, same_N, strict=True)
    )
    others = np.fromiter(partners, np.int64, wanted)
    swap_N = rng.random(wanted) < 0.5  # either piece may come first
    one, two = np.where(swap_N, others, anchors), np.where(swap_N, anchors, others)
    pairs = Examples(pieces.a_start[one], pieces.a_end[one], pieces.a_start[two], pieces.a_end[two], same_N)
    ids_NL, segments_NL = assemble(tokens, pairs, np.arange(wanted), length)
    return Labelled(ids_NL, segments_NL, same_N[:, None], np.zeros(wanted, np.int64))


def _others(same: int, anchor: int, first: int, last: int, pieces: int) -> Ints:
    """Return the possible partners of a piece: from its document at a distance, or from other documents."""
    place = np.arange(pieces)
    inside = (place >= first) & (place < last)
    return np.flatnonzero(inside & (np.abs(place - anchor) >= APART) if same else ~inside)


def _proofreading(ids_NL: Ints, segments_NL: Ints, pool: Ints, rng: np.random.Generator) -> Labelled:
    """Each error is in a text by chance, at separate words; strange words are drawn by their frequency."""
    ids_NL, answer_NC = ids_NL.copy(), rng.integers(0, 2, (len(ids_NL), len(ERRORS)))
    for ids_L, answer_C in zip(ids_NL, answer_NC, strict=True):
        written_L, words = ids_L.copy(), np.arange(1, len(ids_L) - 1)
        ends = np.cumsum([round(share * len(words)) for share in ERRORS.values()])
        moved, strange, doubled, _ = np.split(rng.permutation(words), ends)
        if answer_C[0]:
            ids_L[moved] = written_L[np.roll(moved, 1)]
        if answer_C[1]:
            ids_L[strange] = rng.choice(pool, len(strange))
        if answer_C[2]:
            ids_L[doubled[doubled > 1]] = written_L[doubled[doubled > 1] - 1]
    return Labelled(ids_NL, segments_NL, answer_NC, np.zeros(len(ids_NL), np.int64))


def _continuation(ids_NL: Ints, segments_NL: Ints, rng: np.random.Generator) -> Labelled:
    """Every text ends with a word in its second half, and [SEP]; that word is to be predicted."""
    length = ids_NL.shape[1]
    column_N = rng.integers(length // 2, length - 1, len(ids_NL))
    column_L = np.arange(length)
    ids_NL = np.where(column_L <= column_N[:, None], ids_NL, PAD)
    ids_NL[np.arange(len(ids_NL)), column_N + 1] = SEP
    return Labelled(ids_NL, np.where(ids_NL == PAD, 0, segments_NL), np.zeros((len(ids_NL), 0), np.int64), column_N)


def _enough(found: int, wanted: int, what: str) -> None:
    if found < wanted:
        raise InputError(
            f"evaluation.finetune needs {wanted} {what} of held-out text in a part of its documents, got {found}; "
            "add text, ask for fewer examples or choose evaluation.finetune=[]"
        )
