"""The sizes and switches that parts of a model agree on; what they may be is said in bertlab/config/bounds.py."""

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Shape:
    """Sizes of one model. Legend of the room: B batch, L length, D width, H heads, K head width, V vocabulary."""

    vocab_size: int
    length: int  # longest sequence of the run, in tokens
    layers: int
    width: int  # D
    heads: int  # H
    inner: int  # width of the feed-forward layer
    dropout: float
    segment_types: int
    embedding_std: float  # deviation of the initial embeddings, before it is cut
    dense_std: float  # likewise of the initial matrices, unless `dense_gain` is given
    stated_head_width: int | None = None
    dense_gain: float | None = None  # of the initial matrices: their deviation is this over the root of the fan-in
    unigram_bias: bool = False  # whether the output bias starts at the log-frequencies of tokens
    skip: bool = True  # whether a part's input is added to its output
    padding_mask: bool = True  # whether padding is kept out of everything that mixes tokens
    tie_output: bool = True  # whether the token embedding scores the vocabulary too

    @property
    def head_width(self) -> int:
        """K: D / H (Vaswani et al. 2017), so that heads are free of cost, unless the config states another one."""
        return self.width // self.heads if self.stated_head_width is None else self.stated_head_width

    def matrix_std(self, fan_in: int) -> float:
        """Return the deviation of an initial matrix whose outputs are sums of `fan_in` terms, before it is cut."""
        return self.dense_std if self.dense_gain is None else self.dense_gain / math.sqrt(fan_in)

    @property
    def heads_width(self) -> int:
        """H * K, the width of all heads together."""
        return self.heads * self.head_width
