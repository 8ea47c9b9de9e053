"""The common evaluation: held-out text and masks are drawn once and stored; every run is scored on the same ones."""
