"""Corpora that are made from public sources once, on demand: `bertlab corpus books`."""
