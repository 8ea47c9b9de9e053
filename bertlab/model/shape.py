"""The sizes and switches that parts of a model share; their bounds are in bertlab/config/bounds.py."""

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
    inner: int  # inner width of the feed-forward layer
    dropout: float
    segment_types: int
    embedding_std: float  # standard deviation of initial embeddings, before truncation
    dense_std: float  # the same for initial matrices, unless `dense_gain` is given
    stated_head_width: int | None = None
    dense_gain: float | None = None  # initial matrices: standard deviation times the root of the fan-in
    unigram_bias: bool = False  # whether the output bias starts at the tokens' log-frequencies
    skip: bool = True  # whether a part's input is added to its output
    padding_mask: bool = True  # whether padding is masked in everything that mixes tokens
    tie_output: bool = True  # whether the token embedding is also the output embedding

    @property
    def head_width(self) -> int:
        """K: D / H (Vaswani et al. 2017), so that the number of heads costs nothing, unless the config states K."""
        return self.width // self.heads if self.stated_head_width is None else self.stated_head_width

    def matrix_std(self, fan_in: int) -> float:
        """Return the standard deviation, before truncation, of an initial matrix whose outputs sum `fan_in` terms."""
        return self.dense_std if self.dense_gain is None else self.dense_gain / math.sqrt(fan_in)

    @property
    def heads_width(self) -> int:
        """H * K, the width of all heads together."""
        return self.heads * self.head_width
