"""Masking policies: token ids -> corrupted ids and the positions to predict."""

from bertlab.mask.corrupt import Ahead, AheadFirst, Copied, Masked, MaskPolicy
from bertlab.mask.moment import Moment

__all__ = ["Ahead", "AheadFirst", "Copied", "MaskPolicy", "Masked", "Moment"]
