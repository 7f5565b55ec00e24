"""The settings that a width search may vary, from `search` in a model's section.

    search: {width: [8, 32], modes: [2, 8, 2], channels: [[4, 12], [8, 24], [16, 48]]}

A range is [lowest, highest] or [lowest, highest, step] of whole numbers; a list has one for each of
its elements. Without `search`, `channels` are searched around the baseline's: between 1/4 and 3/2
of each width, in multiples of 8, 4, 2 or 1, the largest up to half of the narrowest level first and
the smaller ones if nothing is found.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from chimera.interface.errors import InputError

_MAX_COMBINATIONS = 10**8
_MAX_NUMBER = 10**6
_WHOLE = f"whole numbers from 1 to {_MAX_NUMBER:,}"
_FIXED = {"type", "source", "sites", "train", "search", "input_shape", "out_channels", "padding"}


@dataclass(frozen=True)
class SearchSpace:
    """Numbers that vary, and where the search begins; lengths of lists, None for a number."""

    lengths: dict[str, int | None]
    values: list[np.ndarray]
    present: list[int]
    around_baseline: bool = False

    def named(self, numbers: Sequence[int]) -> dict[str, Any]:
        """Return one combination as settings."""
        rest = iter(numbers)
        return {
            name: next(rest) if length is None else [next(rest) for _ in range(length)]
            for name, length in self.lengths.items()
        }

    def degree(self, powers: Sequence[int]) -> int:
        """Return the largest degree of a monomial in the numbers of one setting."""
        return max(sum(p if isinstance(p, list) else [p]) for p in self.named(powers).values())


def search_spaces(
    settings: Mapping[str, Any], baseline: Mapping[str, Any], key: str
) -> list[SearchSpace]:
    """Return what varies of a model, the space to be searched first in front."""
    if declared := declared_space(settings, key):
        return [declared]
    widths = baseline.get("channels")
    if not isinstance(widths, list | tuple) or "channels" not in settings:
        raise InputError(
            f"{key}.search is missing, expected what may vary, such as {{width: [8, 32]}}"
        )
    steps = [step for step in (8, 4, 2, 1) if 2 * step <= max(2, min(widths))]
    lengths: dict[str, int | None] = {"channels": len(widths)}
    return [SearchSpace(lengths, lattice(widths, step), list(widths), True) for step in steps]


def lattice(widths: Sequence[int], base: int) -> list[np.ndarray]:
    """Return the widths of each level that are tried around the baseline's."""
    steps = [base * max(1, width // (32 * base)) for width in widths]
    return [
        np.arange(step * max(1, width // (4 * step)), 3 * width // 2 + 1, step, dtype=np.int64)
        for width, step in zip(widths, steps, strict=True)
    ]


def declared_space(settings: Mapping[str, Any], key: str) -> SearchSpace | None:
    """Return what `search` in a model's section declares, None if it is absent; see above."""
    if (declared := settings.get("search")) is None:
        return None
    if not isinstance(declared, Mapping) or not declared:
        raise InputError(f"{key}.search is {declared!r}, expected settings, each with a range")
    varying = [name for name in settings if name not in _FIXED]
    space = SearchSpace({}, [], [])
    for name, ranges in declared.items():
        if name not in varying:
            known = ", ".join(varying)
            raise InputError(f"{key}.search has {name!r}, expected settings of {key}: {known}")
        value, where = settings[name], f"{key}.search.{name}"
        several = isinstance(value, list | tuple)
        if several and not (value and isinstance(ranges, list) and len(ranges) == len(value)):
            raise InputError(f"{where} is {ranges!r}, expected {len(value)} ranges, as {value} has")
        space.lengths[name] = len(value) if several else None
        for number, limits in zip(value, ranges, strict=True) if several else [(value, ranges)]:
            if not _is_whole(number):
                raise InputError(f"{where} varies {number!r}, expected {_WHOLE}")
            space.values.append(_range(limits, where))
            space.present.append(number)
    if (size := prod(map(len, space.values))) > _MAX_COMBINATIONS:
        raise InputError(
            f"{key}.search has {size:,} combinations, expected at most {_MAX_COMBINATIONS:,}: a "
            "third number in a range is its step"
        )
    return space


def _is_whole(number: Any) -> bool:
    return isinstance(number, int) and not isinstance(number, bool) and 0 < number <= _MAX_NUMBER


def _range(limits: Any, where: str) -> np.ndarray:
    numbers = limits if isinstance(limits, list | tuple) and len(limits) in (2, 3) else [0]
    if not all(map(_is_whole, numbers)) or numbers[0] > numbers[1]:
        raise InputError(
            f"{where} has {limits!r}, expected [lowest, highest] or [lowest, highest, step] of "
            f"{_WHOLE}"
        )
    return np.arange(numbers[0], numbers[1] + 1, *numbers[2:], dtype=np.int64)
