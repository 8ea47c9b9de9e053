"""Contracts: what every part of a family must hold. bertlab's tests and `bertlab check` ask the same ones."""


def require(holds: object, words: str) -> None:
    """Raise AssertionError with some words where something does not hold; `assert` can be switched off."""
    if not holds:
        raise AssertionError(words)
