"""NumPy archives (`*.npz`) and arrays (`*.npy`), read without unpickling anything.

Three forms: an array (N, T, C, H, W), as APEBench (Koehler et al. 2024) publishes it, an archive
with such an array `trajectories`, or one with a pair `x`, `y` (C, H, W), a frame and the next one.
Any further array of one number, or of N numbers, is a scalar of the trajectories. Channels have no
names in a file: they take those of data.fields, in order. A member of an archive is a stream, read
once from its first byte to its last.
"""

import math
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from lzma import LZMAError
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from chimera.data.layout.recordings import Array, Layout, Recording, read_blocks, require_shape
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

    paired: bool = field(kw_only=True)

    def blocks(
        self, trajectories: Sequence[int], fields: Sequence[str]
    ) -> Iterator[tuple[int, int, Array]]:
        """Read blocks in the order of the stream, see Recording."""
        channels = [self.fields.index(field) for field in fields]
        if self.paired:
            for frame, name in enumerate(("x", "y")):
                block = _read_array(self.path, name)[None, channels]
                yield 0, frame, block.astype(np.result_type(block, np.float32), order="C")
            return
        with _open_member(self.path, "trajectories") as (stream, dtype, (n, T, *shape)):
            size = dtype.itemsize * math.prod(shape)
            place = 0  # of the stream, in frames

            def read(trajectory: int, start: int, block: Array) -> None:
                nonlocal place
                first = trajectory * T + start
                for _ in range(place, first):
                    _read(stream, size)
                frames = np.frombuffer(_read(stream, len(block) * size), dtype)
                block[...] = frames.reshape(-1, *shape)[:, channels]
                place = first + len(block)

            C, skipped, kind = len(channels), self.first_frame, np.result_type(dtype, np.float32)
            yield from read_blocks(self.layout, trajectories, C, read, kind, skipped=skipped)
            if place == n * T:
                _require_end(stream)


@contextmanager
def _open_member(
    path: Path, name: str
) -> Iterator[tuple[IO[bytes], np.dtype[Any], tuple[int, ...]]]:
    """Yield a member's stream after its header, dtype and shape; InputError if it is not whole."""
    try:
        with ExitStack() as stack:
            stream: IO[bytes]
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
            if dtype.hasobject:
                raise InputError(f"{path}: {name} holds Python objects, expected numbers")
            if fortran and sum(side > 1 for side in shape) > 1:
                raise InputError(f"{path}: {name} is stored in Fortran order, expected C order")
            size = dtype.itemsize * math.prod(shape)
            if min(shape, default=0) < 0 or size > held - stream.tell():
                raise InputError(f"{path}: {name} has shape {shape}, expected values in the file")
            yield stream, dtype, shape
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(f"{path} does not exist, expected NumPy arrays") from None
    except KeyError:
        raise InputError(f"{path} has no array {name!r}, expected one") from None
    except _BROKEN as error:
        reason = " ".join(str(error).split()) or "it ends too early"
        kind = "npy file" if path.suffix == ".npy" else "npz archive"
        raise InputError(f"{path} is not a whole {kind}: {name}: {reason}") from None


def _read(stream: IO[bytes], size: int) -> bytes:
    content = stream.read(size)
    if len(content) < size:
        raise EOFError
    return content


def _require_end(stream: IO[bytes]) -> None:
    if stream.read(1):  # zipfile compares the checksum at the end
        raise ValueError("there are more bytes than its shape needs")


def _read_array(path: Path, name: str) -> NDArray[Any]:
    with _open_member(path, name) as (stream, dtype, shape):
        content = _read(stream, dtype.itemsize * math.prod(shape))
        _require_end(stream)
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
        forms = "trajectories (N, T, C, H, W), or x and y (C, H, W)"
        raise InputError(f"{path} has the arrays {listed(members)}, expected {forms}")
    shapes: list[tuple[int, ...]] = []
    headers: dict[str, tuple[np.dtype[Any], tuple[int, ...]]] = {}
    for name in members:
        with _open_member(path, name) as (_, dtype, shape):
            headers[name] = dtype, shape
    for name in fields:
        dtype, shape = headers.pop(name)
        if dtype.kind not in "fiu":
            raise InputError(f"{path}: {name} is {dtype}, expected real numbers")
        require_shape(path, name, shape, _AXES[2:] if paired else _AXES)
        shapes.append(shape)
    if paired and shapes[0] != shapes[1]:
        raise InputError(f"{path}: y has shape {shapes[1]}, expected {shapes[0]} as x has")
    n, T, C, H, W = (1, 2, *shapes[0]) if paired else shapes[0]
    if len(names) != C:
        named = f"{len(names)}, a name for each in data.fields ({listed(names)})"
        raise InputError(f"{path}: {fields[0]} has {C} channels, expected {named}")
    scalars, aside = {}, {}
    for name, (dtype, shape) in headers.items():
        if dtype.kind in "fiu" and math.prod(shape) in (1, n):
            values = _read_array(path, name).astype(np.float64).reshape(-1)
            scalars[name] = np.broadcast_to(values, (n,))
        else:
            aside[name] = f"{path}: {name} is {dtype} of shape {shape}, expected {n} numbers or one"
    layout = Layout("npz", (H, W), T)
    return ArrayRecording(path, n, layout, tuple(names), scalars, paired=paired, aside=aside)
