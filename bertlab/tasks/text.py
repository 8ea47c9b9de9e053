"""The user's own text: how well does the model predict it? Shows, for example, what training on other text forgets.

The loss masks one token at a time (Salazar et al. 2020, arXiv:1910.14659), in nats per token, over all tokens of all
texts. Nothing is trained. Texts are scored in pairs, like minimal pairs; the last text of an odd number is left out.
"""

from collections.abc import Mapping
from functools import partial

import numpy as np

from bertlab.config.errors import InputError
from bertlab.tasks.encoding import Encoder, Example
from bertlab.tasks.kind import Columns, Kind, Prepared
from bertlab.tasks.metrics import Array, Ints
from bertlab.tasks.parts import Three
from bertlab.tasks.table import Row, Rows


def prepare(parts: Three[Rows], columns: Columns, encoder: Encoder) -> Prepared:
    """Return one example per row, one item per two rows. Raises InputError for fewer than two rows."""
    rows = parts.test[: len(parts.test) // 2 * 2]
    if not rows:
        raise InputError(f"a task of kind text must have two rows, got {len(parts.test)}; add texts")
    examples = [_example(encoder, place // 2, row, columns["text"]) for place, row in enumerate(rows)]
    tokens_I = np.array([len(one.ids) - 2 for one in examples]).reshape(-1, 2).sum(1)  # without [CLS] and [SEP]
    return Prepared(Three([], [], examples), 0, partial(judge, tokens_I))


def _example(encoder: Encoder, item: int, row: Row, column: str) -> Example:
    ids, segments, cut = encoder.joined(encoder.ids(row.text(column)))
    if len(ids) < 3:
        raise InputError(f"{row.place}: `{column}` must hold a word, got none that the tokenizer knows; remove the row")
    nothing = np.empty(0, np.int64)
    return Example(ids, segments, nothing, nothing, item, cut)


def judge(tokens_I: Ints, score_R2: Array, _: Array, item_R: Ints) -> Mapping[str, float]:
    """Return the loss per token, from the log-likelihoods (R, 2) of the texts of some items (R,)."""
    return {"loss": float(-score_R2.sum() / tokens_I[item_R].sum())}


KIND = Kind(("text",), (), "alternatives", "none", prepare)
