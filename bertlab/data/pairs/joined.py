"""Pieces of two documents in one sequence, to reduce padding. No pair label.

With model/visibility=within_segments tokens do not attend to the other document: packing with attention inside
documents (Krell et al. 2021, arXiv:2107.02027), of at most two documents.
"""

import numpy as np

from bertlab.data.pairs.examples import Examples
from bertlab.data.pairs.single import Single
from bertlab.data.store import Ints, Tokens


class Joined(Single):
    """[CLS] piece [SEP] other piece [SEP]: the pieces of `Single`; short ones are joined if they fit together.

    The longest remaining piece gets the longest one that fits; a piece without a partner stays alone.
    """

    def __call__(self, tokens: Tokens, length: int, rng: np.random.Generator) -> Examples:
        """Return the pieces, in the order of their first ones; uses no random numbers."""
        alone = super().__call__(tokens, length, rng)
        first, second = partners(alone.a_end - alone.a_start, length - 3)  # [CLS] and two [SEP]
        has = second >= 0
        end = alone.a_end[first]
        b_start, b_end = (np.where(has, side[second], end) for side in (alone.a_start, alone.a_end))
        return Examples(alone.a_start[first], end, b_start, b_end, alone.label[first])


def partners(size_N: Ints, room: int) -> tuple[Ints, Ints]:
    """Return the first pieces and the partner of each, -1 for none. No pair is longer than `room`."""
    order = np.argsort(-size_N, kind="stable").tolist()
    waiting: dict[int, list[int]] = {size: [] for size in range(1, int(size_N.max()) + 1)}
    for number in reversed(order):  # reversed, so that pop takes the first of equal sizes
        waiting[int(size_N[number])].append(number)
    taken, pairs = set[int](), list[tuple[int, int]]()
    for number in order:
        if number in taken:
            continue
        waiting[int(size_N[number])].pop()  # this piece itself: the first waiting one of its size
        fits = (size for size in range(min(room - int(size_N[number]), len(waiting)), 0, -1) if waiting[size])
        size = next(fits, 0)
        other = waiting[size].pop() if size else -1
        taken |= {number, other}
        pairs.append((number, other))
    first_P, second_P = np.array(sorted(pairs), np.int64).T
    return first_P, second_P
