"""Objectives: (output of a model, batch, step, steps of the run) -> named losses in nats; `loss` is minimised."""

from bertlab.objective.joint import Joint

__all__ = ["Joint"]
