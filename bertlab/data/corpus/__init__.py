"""Corpora built from public sources once, on demand: `bertlab corpus books`."""
