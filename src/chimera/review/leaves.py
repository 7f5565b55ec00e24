"""Nested numbers and words, leaf by leaf, and which of them do not follow from others."""

import math
from collections.abc import Mapping
from typing import Any


def flatten(nested: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return the leaves of nested mappings by dotted key."""
    flat: dict[str, Any] = {}
    for name, value in nested.items():
        key = f"{prefix}{name}"
        flat |= flatten(value, f"{key}.") if isinstance(value, Mapping) else {key: value}
    return flat


def differing(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Return both values of every key that has not the same on both sides, None where absent."""
    return {
        key: (before.get(key), after.get(key))
        for key in {**after, **before}
        if key not in before or key not in after or before[key] != after[key]
    }


def wrong_leaves(written: Mapping[str, Any], found: Mapping[str, Any], digits: int) -> list[str]:
    """Return a sentence for every leaf of `written`, to so many digits, that is not as found."""
    here, there = flatten(written), flatten(found)
    return [
        f"{key} is {here.get(key, 'missing')}, expected {_rounded(there.get(key), digits)}"
        for key in {**there, **here}
        if not _agree(here.get(key), there.get(key), digits)
    ]


def _rounded(value: Any, digits: int) -> Any:
    if value is None:
        return "no such key"
    return f"{value:.{digits}g}" if isinstance(value, float) else value


def _agree(written: Any, found: Any, digits: int) -> bool:
    """Whether a value rounds to the one written, give or take the last bits of a float."""
    if not isinstance(found, float) or not isinstance(written, int | float):
        return type(written) is type(found) and bool(written == found)
    if not found or not written:
        return bool(written == found)
    last_digit = 10.0 ** (math.floor(math.log10(abs(found))) - digits + 1)
    return abs(written - found) <= 0.501 * last_digit
