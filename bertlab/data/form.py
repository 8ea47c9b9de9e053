"""The shape of a run's batches, and how many of them a token budget allows."""

from dataclasses import dataclass
from math import ceil

from bertlab.config.errors import InputError, open_interval, true_or_false, whole_number

KEYS = ("size", "length", "cls", "start_length", "start_share")  # keys of a form


@dataclass(frozen=True)
class Form:
    """The shape of a batch: `size` sequences of `length` tokens, special tokens included.

    With a `start_length` the first `start_share` of the run has shorter sequences, with the same tokens per batch.
    """

    size: int
    length: int
    cls: bool = True  # whether a sequence starts with [CLS]
    start_length: int | None = None
    start_share: float = 0.1

    def __post_init__(self) -> None:
        whole_number("batch.size", self.size, 1)
        whole_number("batch.length", self.length, 8)
        true_or_false("batch.cls", self.cls)
        open_interval("batch.start_share", self.start_share, 0, 1)
        if self.start_length is not None and self.length % whole_number("batch.start_length", self.start_length, 8):
            raise InputError(
                f"batch.start_length must divide batch.length {self.length}, so that batches keep their tokens, "
                f"got {self.start_length}; choose for example {self.length // 2}"
            )

    @property
    def at_start(self) -> "Form":
        """The form of the first batches."""
        length = self.start_length or self.length
        return Form(self.tokens // length, length, self.cls)

    @property
    def tokens(self) -> int:
        """Token positions in a batch, padding included: the unit of the token budget."""
        return self.size * self.length


def count_steps(tokens: int, batch_tokens: int) -> int:
    """Return the number of steps in a token budget, rounded up. Raises InputError below one batch."""
    if whole_number("budget.tokens", tokens, 1) < batch_tokens:
        raise InputError(f"budget.tokens must pay for one batch of {batch_tokens} tokens, got {tokens}; raise it")
    return ceil(tokens / batch_tokens)
