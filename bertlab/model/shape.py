"""The sizes and switches that parts of a model agree on."""

import math
from dataclasses import dataclass

from bertlab.errors import InputError, closed_interval, open_interval, whole_number


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

    def __post_init__(self) -> None:
        for name in ("layers", "width", "heads", "inner", "segment_types"):
            whole_number(f"model.{name}", getattr(self, name), 1)
        closed_interval("model.dropout", self.dropout, 0, 0.99)
        open_interval("model.embedding_std", self.embedding_std, 0, 10)
        open_interval("model.dense_std", self.dense_std, 0, 10)
        if self.dense_gain is not None:
            open_interval("model.dense_gain", self.dense_gain, 0, 100)
        for name in ("skip", "padding_mask", "tie_output", "unigram_bias"):
            if not isinstance(getattr(self, name), bool):
                raise InputError(f"model.{name} must be true or false, got {getattr(self, name)}; choose one")
        if self.stated_head_width is not None:
            whole_number("model.head_width", self.stated_head_width, 1)
        elif self.width % self.heads:
            raise InputError(f"model.heads must divide model.width {self.width}, got {self.heads}; choose a divisor")

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
