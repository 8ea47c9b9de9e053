"""bf16-products: a precision of training beside those that Lightning has."""

from collections.abc import Iterator
from contextlib import contextmanager

from pytorch_lightning.plugins.precision import Precision

from bertlab.model.rounding import rounding


class RoundedProducts(Precision):
    """Rounds the products of a training step; evaluation, which is no step of the trainer, rounds nothing."""

    precision = "bf16-products"  # type: ignore[assignment]  # a name of our own

    @contextmanager
    def train_step_context(self) -> Iterator[None]:
        """Let the forward pass of a step round; each product rounds in its backward pass by itself."""
        with rounding():
            yield
