"""Contracts: properties of every part of a family, tested by bertlab's own tests and by `bertlab check`."""


def require(holds: object, words: str) -> None:
    """Raise AssertionError with a message if a condition is false; Python can switch off `assert`."""
    if not holds:
        raise AssertionError(words)
