"""Masking policies: token ids -> corrupted ids and the positions to predict."""

from bertlab.data.masking import Copied, Masked, MaskPolicy, Moment
from bertlab.mask.corrupt import Ahead, AheadFirst

__all__ = ["Ahead", "AheadFirst", "Copied", "MaskPolicy", "Masked", "Moment"]
