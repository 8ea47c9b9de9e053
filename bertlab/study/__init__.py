"""Studies: a question that was registered before its runs, as one YAML of sweeps/study."""
