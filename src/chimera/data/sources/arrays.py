"""NumPy archives (`*.npz`) of plain arrays, read without unpickling anything.

Two forms: `trajectories` (N, T, C, H, W), or one pair `x`, `y` (C, H, W), a frame and the next one.
Any further array of one number, or of N numbers, is a scalar of the trajectories. Channels have no
names in a file: they take those of data.fields, in order.

A member of an archive is a stream: it is read from its first byte to its last, once.
"""

import math
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from chimera.data.layout.recordings import Array, Layout, Recording, block_frames, require_rank
from chimera.interface.errors import InputError

_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, NotImplementedError)


@dataclass(frozen=True)
class ArrayRecording(Recording):
    """One archive of either form."""

    paired: bool

    def where(self, field: str) -> str:
        """Return the array and the channel of a field."""
        name = "x and y" if self.paired else "trajectories"
        return f"{name} (channel {self.fields.index(field)})"

    def blocks(
        self, trajectories: Sequence[int], fields: Sequence[str]
    ) -> Iterator[tuple[int, int, Array]]:
        """See Recording."""
        channels = [self.fields.index(field) for field in fields]
        if self.paired:
            for frame, name in enumerate(("x", "y")):
                values = _whole(self.path, name)[channels]
                yield 0, frame, values[None].astype(np.float32)
            return
        wanted = set(trajectories)
        H, W = self.layout.grid
        T = self.layout.num_frames
        size = min(block_frames(self.layout, len(self.fields)), T)
        with _reading(self.path, "trajectories") as (stream, dtype, _):
            item = dtype.itemsize * len(self.fields) * H * W
            for trajectory in range(max(wanted) + 1):
                for start in range(0, T, size):
                    count = min(size, T - start)
                    content = _read(stream, self.path, count * item)
                    if trajectory in wanted:
                        block = np.frombuffer(content, dtype).reshape(count, -1, H, W)
                        yield trajectory, start, block[:, channels].astype(np.float32)
            if max(wanted) + 1 == self.count:
                _read(stream, self.path, 0, last=True)


@contextmanager
def _reading(path: Path, name: str) -> Iterator[tuple[IO[bytes], np.dtype[Any], tuple[int, ...]]]:
    """Yield the stream of one member after its header, with its dtype and shape."""
    with ExitStack() as stack:
        try:
            archive = stack.enter_context(zipfile.ZipFile(path))
            stream = stack.enter_context(archive.open(f"{name}.npy"))
            if np.lib.format.read_magic(stream) == (1, 0):
                shape, fortran, dtype = np.lib.format.read_array_header_1_0(stream)
            else:
                shape, fortran, dtype = np.lib.format.read_array_header_2_0(stream)
        except FileNotFoundError:
            raise InputError(f"{path} is not there, expected an npz archive") from None
        except KeyError:
            raise InputError(f"{path} has no array {name!r}, expected one") from None
        except _BROKEN as error:
            raise _broken(path, name, error) from None
        if dtype.hasobject:
            raise InputError(
                f"{path}: {name} holds Python objects, which would have to be unpickled, expected "
                "an array of numbers"
            )
        if fortran and sum(side > 1 for side in shape) > 1:
            raise InputError(
                f"{path}: {name} is stored in Fortran order, expected C order: save "
                "numpy.ascontiguousarray of it"
            )
        yield stream, dtype, shape


def _broken(path: Path, name: str, error: Exception) -> InputError:
    reason = " ".join(str(error).split()) or "it ends too early"
    return InputError(f"{path} is not a whole npz archive: {name}: {reason}")


def _read(stream: IO[bytes], path: Path, size: int, last: bool = False) -> bytes:
    try:
        content = stream.read(size)
        if last and stream.read(1):  # reading to the end is what compares the checksum
            raise ValueError("there are more bytes than its shape needs")
    except _BROKEN as error:
        raise _broken(path, "trajectories", error) from None
    if len(content) < size:
        raise InputError(f"{path} is not a whole npz archive: trajectories ends too early")
    return content


def _whole(path: Path, name: str) -> NDArray[Any]:
    with _reading(path, name) as (stream, dtype, shape):
        content = _read(stream, path, dtype.itemsize * math.prod(shape))
        _read(stream, path, 0, last=True)
    return np.frombuffer(content, dtype).reshape(shape)


def open_arrays(path: Path, names: Sequence[str]) -> ArrayRecording:
    """Say what an archive holds.

    Args:
        path: The archive.
        names: Of its channels, in order.

    Raises:
        InputError: If it is cut off, would unpickle, or holds neither form.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = [name.removesuffix(".npy") for name in archive.namelist()]
    except _BROKEN as error:
        raise InputError(f"{path} is not a whole npz archive: {error}") from None
    paired = {"x", "y"} <= set(members) and "trajectories" not in members
    if not paired and "trajectories" not in members:
        raise InputError(
            f"{path} has the arrays {', '.join(members) or 'none'}, expected trajectories (N, T, "
            "C, H, W), or x and y (C, H, W)"
        )
    if paired:
        shapes = [_shape(path, name) for name in ("x", "y")]
        for name, shape in zip(("x", "y"), shapes, strict=True):
            require_rank(path, name, shape, ("C", "H", "W"))
        if shapes[0] != shapes[1]:
            raise InputError(f"{path}: y has shape {shapes[1]}, expected {shapes[0]} as x has")
        n, T, (C, H, W) = 1, 2, shapes[0]
    else:
        shape = _shape(path, "trajectories")
        require_rank(path, "trajectories", shape, ("N", "T", "C", "H", "W"))
        n, T, C, H, W = shape
    if len(names) != C:
        where = "x" if paired else "trajectories"
        raise InputError(
            f"{path}: {where} has {C} channels, expected {len(names)}, a name for each in "
            f"data.fields ({', '.join(names)})"
        )
    scalars = {}
    for name in members:
        with _reading(path, name) as (_, dtype, shape):
            is_scalar = dtype.kind in "fiu" and math.prod(shape) in (1, n)
        if is_scalar and name not in ("x", "y", "trajectories"):
            values = _whole(path, name).astype(np.float64).reshape(-1)
            scalars[name] = np.broadcast_to(values, (n,))
    layout = Layout("npz", (H, W), T, ("periodic", "periodic"), None, None)
    return ArrayRecording(path, n, layout, tuple(names), scalars, None, paired)


def _shape(path: Path, name: str) -> tuple[int, ...]:
    with _reading(path, name) as (_, dtype, shape):
        if dtype.kind not in "fiu":
            raise InputError(f"{path}: {name} is {dtype}, expected real numbers")
        return shape
