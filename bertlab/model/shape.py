"""The sizes that parts of a model agree on."""

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
    dense_std: float  # likewise of the initial matrices

    def __post_init__(self) -> None:
        for name in ("layers", "width", "heads", "inner", "segment_types"):
            whole_number(f"model.{name}", getattr(self, name), 1)
        closed_interval("model.dropout", self.dropout, 0, 0.99)
        open_interval("model.embedding_std", self.embedding_std, 0, 10)
        open_interval("model.dense_std", self.dense_std, 0, 10)
        if self.width % self.heads:
            raise InputError(f"model.heads must divide model.width {self.width}, got {self.heads}; choose a divisor")

    @property
    def head_width(self) -> int:
        """K = D / H."""
        return self.width // self.heads
