"""The settings of a configuration one by one: `batch.size` and its value, as they are typed."""

from collections.abc import Iterator, Mapping
from typing import Any


def leaves(settings: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every value below `key` with its whole key; an empty mapping is a value."""
    if isinstance(settings, Mapping) and settings:
        for name, below in settings.items():
            yield from leaves(below, f"{key}.{name}" if key else str(name))
    else:
        yield key, settings


def written(value: Any) -> str:
    """Return a value as it would be typed."""
    if isinstance(value, list):
        return f"[{','.join(map(written, value))}]"
    return str(value).lower() if isinstance(value, bool) else "null" if value is None else str(value)
