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
SMALLEST, LARGEST = 1e-60, 1e60  # the largest number of a sample, whose spread is squared twice


def sample(name: str, values: ArrayLike, least: int = 2, *, any_size: bool = False) -> Floats:
    """Return the values as a vector (n,) of finite floats, safe to square unless of `any_size`."""
    try:
        given = np.ma.filled(np.asanyarray(values), np.nan)  # what is masked is missing
        vector = given.astype(np.float64, casting="same_kind")
    except (TypeError, ValueError) as error:
        raise InputError(f"{name!r} is {values!r}, expected an array of real numbers") from error
    if not np.isfinite(vector).all():
        index = tuple(np.argwhere(~np.isfinite(vector))[0].tolist())
        place = ", ".join(map(str, index))
        found = f"{name!r} holds {vector[index]} at index {place}"
        raise InputError(f"{found}, expected finite numbers")
    top = np.abs(vector).max(initial=0.0)
    if top and not (any_size or SMALLEST <= top <= LARGEST):
        expected = f"0 or from {SMALLEST:g} to {LARGEST:g}"
        raise InputError(f"the largest magnitude in {name!r} is {top:g}, expected {expected}")
    if vector.ndim != 1 or len(vector) < least:
        raise InputError(
            f"{name!r} has shape {vector.shape}, expected a vector of at least {least} values"
        )
    return vector


def pair(x: ArrayLike, y: ArrayLike, *, any_size: bool = False) -> tuple[Floats, Floats]:
    """Return x and y, (n,) each, whose i-th values belong together."""
    first, second = sample("x", x, any_size=any_size), sample("y", y, any_size=any_size)
    if len(first) != len(second):
        raise InputError(f"'x' holds {len(first)} values and 'y' {len(second)}, expected pairs")
    return first, second


def has_spread(name: str, deviations: Floats, effect: float, *sources: Floats) -> bool:
    """Return whether values differ, so that their spread measures the error of an effect.

    Deviations are the values minus their mean, and sources the numbers that they were computed
    from. The effect is the mean that is tested against zero: without spread it must be zero.
    """
    varied = bool(np.abs(deviations).max() > rounding(*sources))
    if varied or abs(effect) <= rounding(*sources):
        return varied
    stated = f"{name} differ from zero by {effect:g} without any spread"
    raise InputError(f"{stated}, expected values that vary, or are all zero")


def rounding(*sources: Floats) -> float:
    """Return the difference up to which values computed from these numbers count as equal."""
    return float(ROUNDING * max(np.abs(numbers).max() for numbers in sources))


def sample_has_spread(name: str, values: Floats) -> bool:
    """Return `has_spread` of a sample that was not computed from larger numbers."""
    mean = values.mean()
    return has_spread(f"all of {name!r}", values - mean, mean, values)


def require_fraction(name: str, value: float) -> None:
    """Raise InputError unless 0 < value < 1."""
    if not 0 < value < 1:
        raise InputError(f"{name!r} is {value}, expected more than 0 and less than 1")


def require_count(name: str, value: int, least: int) -> None:
    """Raise InputError unless a count is whole and at least `least`."""
    if not (value >= least and float(value).is_integer()):
        raise InputError(f"{name!r} is {value}, expected a whole number of at least {least}")
