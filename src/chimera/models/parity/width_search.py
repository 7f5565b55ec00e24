"""Settings with which one network is as large as another.

Scaling all widths alike often misses the tolerance, so every number varies freely: the size of all
combinations is computed, and those within tolerance that change least are built and counted. The
size is taken for a polynomial: the shape of a weight holds at most two widths of a list, and any
other number at most twice (modes, along two axes), so that parameters and MACs are of degree 2 in
each setting. As many counts as it has monomials give its coefficients; a combination for which this
does not hold is found out when it is counted.
"""

import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, product
from math import prod
from typing import Any

import numpy as np
import torch

from chimera.interface.errors import InputError
from chimera.models.forecasting.building import build_model
from chimera.models.parity.counting import count
from chimera.models.parity.gate import Size
from chimera.models.parity.search_space import SearchSpace, search_spaces

_MAX_SOLUTIONS = 10
_MAX_COUNTED = 50
_DEGREE = 2


@dataclass(frozen=True)
class Solution:
    """Settings within tolerance of the baseline.

    `profile_change`, a confound, is the root-mean-square change, over neighbouring levels, of
    log2(b_{l+1} / b_l) against the baseline's widths, or of a declared search's log2(number).
    """

    settings: dict[str, Any]
    params: int
    macs: int
    params_gap: float
    macs_gap: float
    profile_change: float


def solve_widths(
    settings: Mapping[str, Any], baseline: Mapping[str, Any], tolerance: float, key: str = "model"
) -> list[Solution]:
    """Find up to ten settings within tolerance, such as 0.05, the least change of profile first.

    Both settings are fitted to the data. InputError if none is found, or `search` cannot be used.
    """
    wanted = count(build_model(baseline), baseline["input_shape"])
    spaces = search_spaces(settings, baseline, key)
    for space in spaces:
        found = _solutions(settings, space, wanted, tolerance, key)
        if solutions := list(islice(found, _MAX_SOLUTIONS)):
            return solutions
    first = spaces[0]
    where = f"near the baseline's {first.present}" if first.around_baseline else "in its search"
    raise InputError(
        f"'tolerance' = {tolerance} is met by no {', '.join(first.lengths)} of {key}, a "
        f"{settings['type']}, {where}, expected a larger tolerance, other ranges or baseline"
    )


def _solutions(
    settings: Mapping[str, Any], space: SearchSpace, wanted: Size, tolerance: float, key: str
) -> Iterator[Solution]:
    """Yield the combinations within tolerance of the wanted size, the least changed first."""

    def gaps(sizes: Sequence[Any]) -> tuple[Any, Any]:
        return sizes[0] / wanted[0] - 1, sizes[1] / wanted[1] - 1

    found: list[tuple[float, tuple[int, ...]]] = []
    first, *others = space.values
    size_of = _size_formula(settings, space, key)
    for number in first:  # one at a time for the memory
        values = [np.array([number]), *others]
        distance = np.maximum(*map(abs, gaps(size_of(np.ix_(*values)))))
        places = np.nonzero(distance <= tolerance)
        rows = np.stack([v[place] for v, place in zip(values, places, strict=True)], axis=-1)
        change = _profile_change(rows, space)
        nearest = np.lexsort((*rows.T[::-1], change))[:_MAX_COUNTED]
        found += [(float(change[i]), tuple(rows[i].tolist())) for i in nearest]
    for change_found, row in sorted(found)[:_MAX_COUNTED]:
        chosen = space.named(row)
        size = count(build_model({**settings, **chosen}, key), settings["input_shape"])
        if max(map(abs, gaps(size))) <= tolerance:
            yield Solution(chosen, *size, *gaps(size), change_found)


def _size_formula(
    settings: Mapping[str, Any], space: SearchSpace, key: str
) -> Callable[[Sequence[np.ndarray]], Sequence[Any]]:
    """Return parameters and MACs as a function of the numbers, arrays that broadcast."""
    nodes = [np.unique([v[0], v[len(v) // 2], v[-1]]) for v in space.values]
    # A lower set of exponents: interpolation at the nodes of the same numbers has one solution.
    powers = [p for p in product(*(range(len(n)) for n in nodes)) if space.degree(p) <= _DEGREE]
    points = [[int(n[i]) for n, i in zip(nodes, power, strict=True)] for power in powers]
    sizes = [_size({**settings, **space.named(point)}, key) for point in points]
    scale = [float(n[-1]) for n in nodes]

    def monomials(numbers: Sequence[Any]) -> list[Any]:
        scaled = [x / s for x, s in zip(numbers, scale, strict=True)]
        # Without the numbers of power 0, so that a term broadcasts over few axes.
        return [prod(x**p for x, p in zip(scaled, power, strict=True) if p) for power in powers]

    coefficients = np.linalg.solve([monomials(point) for point in points], sizes)

    def polynomial(numbers: Sequence[np.ndarray]) -> Sequence[Any]:
        terms = monomials(numbers)
        sums = (sum(map(operator.mul, column, terms)) for column in coefficients.T)
        return [np.rint(total) for total in sums]  # sizes are whole numbers

    return polynomial


def _size(settings: Mapping[str, Any], key: str) -> Size:
    """Count on the meta device, which computes nothing, or where a network cannot, for real."""
    try:
        with torch.device("meta"):
            return count(build_model(settings, key), settings["input_shape"])
    except Exception:
        return count(build_model(settings, key), settings["input_shape"])


def _profile_change(rows: np.ndarray, space: SearchSpace) -> np.ndarray:
    """Return the root-mean-square change of each row, see `Solution`."""
    change = np.log2(rows) - np.log2(space.present)
    change = np.diff(change, axis=-1) if space.around_baseline else change
    return np.sqrt(np.mean(change**2, axis=-1))
