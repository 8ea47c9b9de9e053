"""One run, and a grid of runs under one parent."""

from bertlab.config.callable import make_callable

make_callable(__name__)  # also a function of the API
