"""Configuration: composing a run, what may be asked of it, and the one line that says what is wrong."""
