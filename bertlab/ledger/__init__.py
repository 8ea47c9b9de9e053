"""The ledger: what a run leaves on disk while it trains, so that it can be killed at any moment and lose nothing.

    a run       run_folder, metrics, checkpoint, result, files (how files are written and sealed)
    many runs   archive (finished runs in one file)

A separate room before `data` and `train`, which read and write folders of runs; `bertlab/tracking/` uses `data`.
"""
