"""Conditioning: what is known of a trajectory and constant in time, as further input channels.

A name is that of a field that is constant in time, such as the source term `forcing`, or of a
scalar, such as `viscosity`, which fills a channel with one number. A network that is not given them
cannot know them, least of all where they leave the range of its training. `ln viscosity` is the
natural logarithm of the scalar: coefficients of equations span decades. The scalars that are
positive in every training trajectory enter in this form. Axes: n trajectories, H, W space.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from chimera.data.layout.recordings import Array, Recording
from chimera.interface.errors import InputError, listed

_LOGARITHM = "ln "


def with_logarithms(
    names: Sequence[str], scalars: Mapping[str, NDArray[np.float64]]
) -> tuple[str, ...]:
    """Return the names of data.conditioning, `ln` before those of positive training values (n,)."""
    positive = {name for name, values in scalars.items() if (values > 0).all()}
    return tuple(_LOGARITHM + name if name in positive else name for name in names)


def read_conditioning(
    name: str,
    recordings: Sequence[Recording],
    places: Sequence[tuple[int, int]],
    scalars: Mapping[str, NDArray[np.float64]],
) -> Array:
    """Return a channel of n trajectories, (n, H, W) of a field or (n, 1, 1) of a scalar.

    `places` has the recording and the number in it of each; the scalars are theirs, (n,) by name.
    It is an InputError if a file lacks the name, or has values of it that are not finite.
    """
    if all(name in recording.constants for recording in recordings):
        rows = [[number for r, number in places if r == i] for i in range(len(recordings))]
        found = [r.constants[name](row) for r, row in zip(recordings, rows, strict=True)]
        return _finite(np.concatenate(found), name, recordings)  # places are in the files' order
    plain = name.removeprefix(_LOGARITHM)
    first = recordings[0]
    if plain not in scalars:
        raise InputError(
            first.aside.get(plain)
            or f"{first.path} has no {plain!r} that data.conditioning names, expected one of "
            f"{', '.join([*first.constants, *scalars]) or 'none, for it has none'}"
        )
    values = scalars[plain]
    if plain != name:
        if not (values > 0).all():
            raise InputError(
                f"{first.path} has {plain} {values.min():g}, expected more than 0, as its "
                "logarithm is an input of the network"
            )
        values = np.log(values)
    return _finite(values.astype(np.float32)[:, None, None], name, recordings)


def _finite(channel: Array, name: str, recordings: Sequence[Recording]) -> Array:
    if not np.isfinite(channel).all():
        where = listed(str(recording.path) for recording in recordings)
        raise InputError(f"{where}: {name} has values that are not finite, expected numbers")
    return channel


def conditioning_moments(channels: Sequence[Array]) -> dict[str, list[float]]:
    """Return `mean` and `std` of channels over trajectories and space; a constant one has std 1."""
    means = [float(channel.mean(dtype=np.float64)) for channel in channels]
    deviations = [float(channel.std(dtype=np.float64)) for channel in channels]
    return {"mean": means, "std": [deviation or 1.0 for deviation in deviations]}
