"""Tracking: the life cycle of a run in MLflow, and the run table.

    what a run is      description (name and tags; `bertlab/identity/` makes it)
    while it trains    mlflow (the tracker), run_log, loggers, system_metrics
    its store          address, connection, retry, upload_thread, upload, artifacts, saved_model
    many runs          parent_runs, sweep_lock, reuse, runs_table, differences (of a store from the runs' own files)

What a run keeps on disk is in `bertlab/ledger/`.
"""
