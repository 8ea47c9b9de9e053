"""Masking policies: token ids -> corrupted ids and the positions to predict."""

from bertlab.mask.corrupt import Masked, MaskPolicy

__all__ = ["MaskPolicy", "Masked"]
