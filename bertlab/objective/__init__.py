"""Objectives: (model output, batch, step, total steps) -> named losses in nats; `loss` is minimised."""

from bertlab.objective.joint import Joint

__all__ = ["Joint"]
