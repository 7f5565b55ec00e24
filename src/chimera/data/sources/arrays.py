"""NumPy archives (`*.npz`) and arrays (`*.npy`), read without unpickling anything.

Three forms: an array (N, T, C, H, W), as APEBench (Koehler et al. 2024) publishes it, an archive
with such an array `trajectories`, or one with a pair `x`, `y` (C, H, W), a frame and the next one.
Any further array of one number, or of N numbers, is a scalar of the trajectories. Channels have no
names in a file: they take those of data.fields, in order.

A member of an archive is a stream, read once from its first byte to its last.
"""

import math
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from lzma import LZMAError
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from chimera.data.layout.recordings import Array, Layout, Recording, block_frames, require_shape
from chimera.interface.errors import InputError, listed

# RuntimeError: an encrypted archive; the last three: headers that are no Python.
_BROKEN = (
    *(zipfile.BadZipFile, zlib.error, LZMAError, EOFError, OSError, ValueError, RuntimeError),
    *(SyntaxError, TypeError, MemoryError),
)
_AXES = ("N", "T", "C", "H", "W")


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
        """Read blocks in the order of the stream, see Recording."""
        channels = [self.fields.index(field) for field in fields]
        if self.paired:
            for frame, name in enumerate(("x", "y")):
                block = _read_array(self.path, name)[None, channels]
                yield 0, frame, block.astype(np.float32, order="C")
            return
        T, (H, W) = self.first_frame + self.layout.num_frames, self.layout.grid
        size = block_frames(self.layout, len(self.fields))
        last = max(trajectories)
        with _open_member(self.path, "trajectories") as (stream, dtype, _):
            item = dtype.itemsize * len(self.fields) * H * W
            for trajectory in range(last + 1):
                for start in range(0, T, size):
                    count = min(size, T - start)
                    content = _read(stream, self.path, "trajectories", count * item)
                    skipped = max(self.first_frame - start, 0)
                    if trajectory in trajectories and skipped < count:
                        block = np.frombuffer(content, dtype).reshape(count, -1, H, W)
                        chosen = block[skipped:, channels].astype(np.float32, order="C")
                        yield trajectory, start + skipped - self.first_frame, chosen
            if last + 1 == self.count:
                _read(stream, self.path, "trajectories", 0, last=True)


@contextmanager
def _open_member(
    path: Path, name: str
) -> Iterator[tuple[IO[bytes], np.dtype[Any], tuple[int, ...]]]:
    """Yield the stream of one member after its header, with its dtype and shape."""
    with ExitStack() as stack:
        stream: IO[bytes]
        try:
            if path.suffix == ".npy":
                stream, held = stack.enter_context(path.open("rb")), path.stat().st_size
            else:
                archive = stack.enter_context(zipfile.ZipFile(path))
                stream = stack.enter_context(archive.open(f"{name}.npy"))
                held = archive.getinfo(f"{name}.npy").file_size
            if np.lib.format.read_magic(stream) == (1, 0):
                shape, fortran, dtype = np.lib.format.read_array_header_1_0(stream)
            else:
                shape, fortran, dtype = np.lib.format.read_array_header_2_0(stream)
        except FileNotFoundError:
            raise InputError(f"{path} does not exist, expected NumPy arrays") from None
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
        if min(shape, default=0) < 0 or dtype.itemsize * math.prod(shape) > held - stream.tell():
            raise InputError(
                f"{path}: {name} has shape {shape}, expected one whose values the file holds"
            )
        yield stream, dtype, shape


def _broken(path: Path, name: str, error: Exception) -> InputError:
    reason = " ".join(str(error).split()) or "it ends too early"
    kind = "npy file" if path.suffix == ".npy" else "npz archive"
    return InputError(f"{path} is not a whole {kind}: {name}: {reason}")


def _read(stream: IO[bytes], path: Path, name: str, size: int, last: bool = False) -> bytes:
    try:
        content = stream.read(size)
        if len(content) < size:
            raise EOFError
        if last and stream.read(1):  # zipfile compares the checksum at the end
            raise ValueError("there are more bytes than its shape needs")
    except _BROKEN as error:
        raise _broken(path, name, error) from None
    return content


def _read_array(path: Path, name: str) -> NDArray[Any]:
    with _open_member(path, name) as (stream, dtype, shape):
        content = _read(stream, path, name, dtype.itemsize * math.prod(shape), last=True)
    return np.frombuffer(content, dtype).reshape(shape)


def open_arrays(path: Path, names: Sequence[str]) -> ArrayRecording:
    """Describe an archive or array with channels of these names."""
    members = ["trajectories"]
    if path.suffix != ".npy":
        try:
            with zipfile.ZipFile(path) as archive:
                members = [name.removesuffix(".npy") for name in archive.namelist()]
        except _BROKEN as error:
            raise InputError(f"{path} is not a whole npz archive: {error}") from None
    paired = {"x", "y"} <= set(members) and "trajectories" not in members
    fields = ("x", "y") if paired else ("trajectories",)
    if not set(fields) <= set(members):
        raise InputError(
            f"{path} has the arrays {listed(members)}, expected trajectories (N, T, "
            "C, H, W), or x and y (C, H, W)"
        )
    shapes = [_shape(path, name, _AXES[2:] if paired else _AXES) for name in fields]
    if paired and shapes[0] != shapes[1]:
        raise InputError(f"{path}: y has shape {shapes[1]}, expected {shapes[0]} as x has")
    n, T, C, H, W = (1, 2, *shapes[0]) if paired else shapes[0]
    if len(names) != C:
        raise InputError(
            f"{path}: {fields[0]} has {C} channels, expected {len(names)}, a name for each in "
            f"data.fields ({listed(names)})"
        )
    scalars, aside = {}, {}
    for name in members:
        with _open_member(path, name) as (_, dtype, shape):
            is_scalar = dtype.kind in "fiu" and math.prod(shape) in (1, n)
        if is_scalar and name not in fields:
            values = _read_array(path, name).astype(np.float64).reshape(-1)
            scalars[name] = np.broadcast_to(values, (n,))
        elif name not in fields:
            aside[name] = f"{path}: {name} is {dtype} of shape {shape}, expected {n} numbers or one"
    layout = Layout("npz", (H, W), T)
    return ArrayRecording(path, n, layout, tuple(names), scalars, None, paired, aside=aside)


def _shape(path: Path, name: str, axes: Sequence[str]) -> tuple[int, ...]:
    with _open_member(path, name) as (_, dtype, shape):
        if dtype.kind not in "fiu":
            raise InputError(f"{path}: {name} is {dtype}, expected real numbers")
    require_shape(path, name, shape, axes)
    return shape
