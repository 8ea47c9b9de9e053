"""Training: a Lightning module that knows no variant by name, its recorder, and the trainer."""
