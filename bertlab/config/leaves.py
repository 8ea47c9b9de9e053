"""The settings of a configuration one by one: key and value as a user types them."""

from collections.abc import Iterator, Mapping
from typing import Any


def leaves(settings: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every value below `key` with its full key; an empty mapping counts as a value."""
    if isinstance(settings, Mapping) and settings:
        for name, below in settings.items():
            yield from leaves(below, f"{key}.{name}" if key else str(name))
    else:
        yield key, settings


def written(value: Any) -> str:
    """Return a value as a user would type it."""
    if isinstance(value, list):
        return f"[{','.join(map(written, value))}]"
    return str(value).lower() if isinstance(value, bool) else "null" if value is None else str(value)
