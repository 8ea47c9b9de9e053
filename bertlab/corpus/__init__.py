"""Corpora that are made from public sources once, on demand: `python -m bertlab.corpus books`."""
