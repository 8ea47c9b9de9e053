"""The plan of a registered study before it runs: its runs, their cost, and the chance of each verdict."""
