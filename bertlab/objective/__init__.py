"""Objectives: (output of a model, batch) -> named losses in nats, of which `loss` is minimised."""

from bertlab.objective.joint import Joint

__all__ = ["Joint"]
