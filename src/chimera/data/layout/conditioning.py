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
from chimera.interface.errors import InputError

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
    plain = name.removeprefix(_LOGARITHM)
    if all(name in recording.constants for recording in recordings):
        # Places are in the order of the files.
        rows = [[number for r, number in places if r == i] for i in range(len(recordings))]
        found = [r.constants[name](row) for r, row in zip(recordings, rows, strict=True)]
        channel = np.concatenate(found)
    elif plain not in scalars:
        lacks = [r for r in recordings if not {plain, name} & {*r.scalars, *r.constants}]
        file = (lacks or recordings)[0]
        raise InputError(
            file.aside.get(plain)
            or f"{file.path} has no {plain!r} that data.conditioning names, expected one of "
            f"{', '.join([*file.constants, *scalars]) or 'none, for it has none'}"
        )
    else:
        values = scalars[plain]
        if plain != name and not (values > 0).all():
            why = "expected more than 0, as its logarithm is an input of the network"
            file = recordings[places[int(values.argmin())][0]]
            raise InputError(f"{file.path} has {plain} {values.min():g}, {why}")
        values = np.log(values) if plain != name else values
        with np.errstate(over="ignore"):
            channel = values.astype(np.float32)[:, None, None]
    finite = np.isfinite(channel).all(axis=(1, 2))
    if not finite.all():
        r, number = places[int(finite.argmin())]
        where = f"{recordings[r].path} has {name} that is not finite in trajectory {number}"
        raise InputError(f"{where}, expected finite numbers of float32")
    return channel


def conditioning_moments(channels: Sequence[Array]) -> dict[str, list[float]]:
    """Return `mean` and `std` of channels over trajectories and space; a constant one has std 1."""
    means = [float(channel.mean(dtype=np.float64)) for channel in channels]
    deviations = [float(channel.std(dtype=np.float64)) for channel in channels]
    return {"mean": means, "std": [deviation or 1.0 for deviation in deviations]}
