"""How a contract says that it is broken. Contracts are properties of every part of a family; our tests try them too."""


def require(holds: object, words: str) -> None:
    """Raise AssertionError with a message if a condition is false; Python can switch off `assert`."""
    if not holds:
        raise AssertionError(words)
