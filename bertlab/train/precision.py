"""bf16-products: a training precision in addition to Lightning's."""

from collections.abc import Iterator
from contextlib import contextmanager

from pytorch_lightning.plugins.precision import Precision

from bertlab.model.rounding import rounding


class RoundedProducts(Precision):
    """Rounds the products of a training step; evaluation is not a step of the trainer and rounds nothing."""

    precision = "bf16-products"  # type: ignore[assignment]  # a name of our own

    @contextmanager
    def train_step_context(self) -> Iterator[None]:
        """Round in the forward pass of a step; each product then also rounds in its backward pass."""
        with rounding():
            yield
