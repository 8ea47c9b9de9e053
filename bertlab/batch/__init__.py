"""Batches: the tokens that each step of a run reads, and the number of steps in a token budget."""
