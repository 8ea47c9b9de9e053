"""The ledger: what a run leaves on disk while it trains, so that it can be killed at any moment and lose nothing."""
