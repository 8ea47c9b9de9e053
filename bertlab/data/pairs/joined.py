"""Pieces of two documents in one sequence, so that short ones leave less padding. No pair label.

With model/visibility=within_segments no token looks at the other document: packing with attention kept within documents
(Krell et al. 2021, arXiv:2107.02027), of two documents at most.
"""

import numpy as np

from bertlab.data.pairs.examples import Examples
from bertlab.data.pairs.single import Single
from bertlab.data.store import Ints, Tokens


class Joined(Single):
    """[CLS] piece [SEP] other piece [SEP]: the pieces of `Single`, those that are short joined with one that fits.

    The longest piece that is left takes the longest one that fits with it; what fits nowhere stays alone.
    """

    def __call__(self, tokens: Tokens, length: int, rng: np.random.Generator) -> Examples:
        """Return the pieces, in the order of their first ones; there is nothing to draw."""
        alone = super().__call__(tokens, length, rng)
        first, second = partners(alone.a_end - alone.a_start, length - 3)  # [CLS] and two [SEP]
        has = second >= 0
        end = alone.a_end[first]
        b_start, b_end = (np.where(has, side[second], end) for side in (alone.a_start, alone.a_end))
        return Examples(alone.a_start[first], end, b_start, b_end, alone.label[first])


def partners(size_N: Ints, room: int) -> tuple[Ints, Ints]:
    """Return the first pieces and the second piece of each, -1 for none. No two together are larger than `room`."""
    order = np.argsort(-size_N, kind="stable").tolist()
    waiting: dict[int, list[int]] = {size: [] for size in range(1, int(size_N.max()) + 1)}
    for number in reversed(order):  # so that the first of equal ones is taken first
        waiting[int(size_N[number])].append(number)
    taken, pairs = set[int](), list[tuple[int, int]]()
    for number in order:
        if number in taken:
            continue
        waiting[int(size_N[number])].pop()  # this one: the first of those of its size that wait
        fits = (size for size in range(min(room - int(size_N[number]), len(waiting)), 0, -1) if waiting[size])
        size = next(fits, 0)
        other = waiting[size].pop() if size else -1
        taken |= {number, other}
        pairs.append((number, other))
    first_P, second_P = np.array(sorted(pairs), np.int64).T
    return first_P, second_P
