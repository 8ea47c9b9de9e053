"""Evaluation: the common yardstick. Held-out text and masks are drawn once and stored; every run scores the same."""
