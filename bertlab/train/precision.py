"""Lightning's bf16-mixed on the CPU, in place of torch's autocast."""

from collections.abc import Iterator
from contextlib import contextmanager

from pytorch_lightning.plugins.precision import Precision

from bertlab.model.rounding import rounding


class RoundedProducts(Precision):
    """Rounds the products of a training step; evaluation, which is no step of the trainer, rounds nothing."""

    precision = "bf16-mixed"

    @contextmanager
    def train_step_context(self) -> Iterator[None]:
        """Let the forward pass of a step round; each product rounds in its backward pass by itself."""
        with rounding():
            yield
