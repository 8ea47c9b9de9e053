"""Configuration: composes a run, checks what a command line may ask for, and writes one-line error messages."""
