"""Tracking: the identity of a run, its life cycle in MLflow, and the run table."""
