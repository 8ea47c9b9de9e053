"""One run, and a grid of runs under one parent."""
