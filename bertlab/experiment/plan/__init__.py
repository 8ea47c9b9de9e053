"""The plan of a registered study, before it runs: its runs and their cost, and what they can find out."""
