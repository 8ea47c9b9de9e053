"""Hardware that only some machines have."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

Test = Callable[..., Any]


def needs_gpu(test: Test) -> Test:
    """Skip a test without a GPU; warnings are not errors in it, since kernel compilers give their own."""
    skip = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
    return skip(pytest.mark.filterwarnings("default")(test))
