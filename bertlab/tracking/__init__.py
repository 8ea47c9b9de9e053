"""Tracking: a run on disk, so that it can be killed at any moment and lose nothing, and its copy in MLflow.

    a run on disk      run_folder, metrics, checkpoint, result, archive, files (how they are written and sealed)
    what a run is      description (name and tags; `bertlab/identity/` makes it)
    while it trains    mlflow (the tracker), run_log, loggers, system_metrics
    its store          address, connection, retry, upload_thread, upload, artifacts, saved_model
    many runs          parent_runs, sweep_lock, reuse, runs_table, differences (of a store from the runs' own files)

It knows neither data nor models. `data` and `train` use only run_folder, checkpoint and files.
"""
