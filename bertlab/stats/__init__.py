"""Statistics: numbers in, small frozen results out. Uses only numpy and scipy, and nothing else of bertlab."""
