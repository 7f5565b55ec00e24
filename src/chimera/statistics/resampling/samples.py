"""Checks of samples: finite numbers, enough of them, and a spread; InputError otherwise.

Values count as equal where they differ by no more than the rounding of the numbers that they were
computed from, so that differences such as (0.3 - 0.2, 0.4 - 0.3) are equal.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chimera.interface.errors import InputError

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

ROUNDING = 8 * np.finfo(np.float64).eps  # of a subtraction and a mean, over the largest number


def sample(name: str, values: ArrayLike, least: int = 2) -> Floats:
    """Return the values as a vector (n,) of finite floats."""
    vector = _finite(name, values)
    if vector.ndim != 1 or len(vector) < least:
        raise InputError(
            f"{name!r} has shape {vector.shape}, expected a vector of at least {least} values"
        )
    return vector


def matrix(name: str, values: ArrayLike) -> Floats:
    """Return the values as a matrix of finite floats, at least 2 x 2."""
    table = _finite(name, values)
    if table.ndim != 2 or min(table.shape) < 2:
        raise InputError(f"{name!r} has shape {table.shape}, expected at least (2, 2)")
    return table


def pair(x: ArrayLike, y: ArrayLike) -> tuple[Floats, Floats]:
    """Return x and y, (n,) each, whose i-th values belong together."""
    first, second = sample("x", x), sample("y", y)
    if len(first) != len(second):
        raise InputError(
            f"'x' holds {len(first)} values and 'y' {len(second)}, expected pairs of equal number"
        )
    return first, second


def has_spread(name: str, deviations: Floats, effect: float, *sources: Floats) -> bool:
    """Return whether values differ, so that their spread measures the error of an effect.

    Deviations are the values minus their mean, and sources the numbers that they were computed
    from. The effect is the mean that is tested against zero: without spread it must be zero.
    """
    scale = max(np.abs(numbers).max() for numbers in sources)
    if np.abs(deviations).max() > ROUNDING * scale:
        return True
    if abs(effect) <= ROUNDING * scale:
        return False
    raise InputError(
        f"{name} differ from zero by {effect:g} without any spread, "
        "expected values that vary, or are all zero"
    )


def sample_has_spread(name: str, values: Floats) -> bool:
    """Return `has_spread` of a sample that was not computed from larger numbers."""
    mean = values.mean()
    return has_spread(f"all of {name!r}", values - mean, mean, values)


def require_fraction(name: str, value: float) -> None:
    """Raise InputError unless 0 < value < 1."""
    if not 0 < value < 1:
        raise InputError(f"{name!r} is {value}, expected more than 0 and less than 1")


def require_count(name: str, value: int, least: int) -> None:
    """Raise InputError if a count is below `least`."""
    if value < least:
        raise InputError(f"{name!r} is {value}, expected at least {least}")


def _finite(name: str, values: ArrayLike) -> Floats:
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name!r} is {values!r}, expected an array of numbers") from error
    if not np.isfinite(array).all():
        index = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise InputError(
            f"{name!r} holds {array[index]} at index {', '.join(map(str, index))}, "
            "expected finite numbers"
        )
    return array
