"""Batches: which tokens a step of a run reads, and how many steps a budget pays for."""
