"""User data imported as a dataset: checked, hashed frame by frame, written only if necessary.

One pass over the trajectories, block by block, in bounded memory: every value is checked to be
finite, every frame gets its digest, the train split its statistics. Files that are in The Well's
layout and hold the wanted fields are linked (chimera.data.layout.links); all others are written in
that layout.

T time, C channel, H, W space.
"""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from chimera.data.layout.leakage import Frames, digest_frames
from chimera.data.layout.links import NAME, Link, format_links
from chimera.data.layout.recordings import (
    Array,
    Made,
    Recording,
    files_below,
    require_field,
    require_same_layout,
    shared_scalars,
)
from chimera.data.layout.well import open_well
from chimera.data.settings import ImportedData
from chimera.data.sources.arrays import open_arrays
from chimera.data.sources.pdebench import open_pdebench
from chimera.data.sources.selection import Member, members_of
from chimera.data.sources.vorticity import vorticity
from chimera.data.sources.well_writer import create_trajectories
from chimera.interface.errors import InputError

_VELOCITY = ("velocity_x", "velocity_y")
Floats = NDArray[np.float64]
Hash = Callable[[Path, Callable[[int], object]], str]


def open_source(data: ImportedData) -> list[Recording]:
    """Return the files of data.root in the order of their names, with what data states of them.

    Raises:
        InputError: If there is none, or one cannot be used.
    """
    data.require_root()
    root = Path(data.root)
    found: list[Recording]
    if data.source == "npz":
        found = [open_arrays(path, data.fields) for path in files_below(root, (".npz",))]
    else:
        opener = open_well if data.source == "well" else open_pdebench
        found = [opener(path) for path in files_below(root, (".hdf5", ".h5"))]
    keys = ("boundary", "extent", "frame_interval")
    stated = {key: value for key in keys if (value := getattr(data, key)) is not None}
    return [replace(r, layout=replace(r.layout, **stated)) for r in found]


def import_dataset(name: str, data: ImportedData, folder: Path, sha256: Hash) -> Made:
    """Import one dataset into an empty folder.

    Args:
        name: A key of data.datasets.
        data: The data config.
        folder: Becomes data/<name>.
        sha256: Hashes a file that is linked, and reports how many bytes it has read.

    Raises:
        InputError: If a file, a field, a scalar or a value cannot be used.
    """
    recordings = open_source(data)
    splits = members_of(recordings, data)[name]
    used = [recordings[r] for r in sorted({r for members in splits.values() for r, _ in members})]
    first = used[0]
    for recording in used:
        require_same_layout(recording, first)
        for wanted in data.fields:
            if wanted != "vorticity" or not set(_VELOCITY) <= set(recording.fields):
                require_field(recording, wanted)
    if first.layout.num_frames < 2:
        raise InputError(
            f"{first.path} has trajectories of 1 frame, expected at least 2: one to forecast from "
            "and one to forecast"
        )
    linked = data.source == "well" and all(set(data.fields) <= set(r.fields) for r in used)
    hashes = _hash([recording.path for recording in used], sha256) if linked else {}
    files: list[tuple[str, dict[str, Any] | None]] = []
    with ExitStack() as stack:
        outputs: dict[str, h5py.File] = {}
        for split, members in splits.items():
            (folder / "data" / split).mkdir(parents=True)
            if linked:
                path = f"data/{split}/{NAME}"
                (folder / path).write_text(format_links(_links(recordings, members, hashes)))
            else:
                path = f"data/{split}/{name}_{split}.hdf5"
                file = create_trajectories(
                    folder / path,
                    data.fields,
                    first.layout,
                    count=len(members),
                    dataset_name=name,
                    scalars=shared_scalars(recordings, members),
                )
                outputs[split] = stack.enter_context(file)
            files.append((path, None))
            if split == "train":
                files.append(("stats.yaml", None))
        frames, moments = _read_once(recordings, splits, data.fields, outputs, name)
    stats = moments.table(data.fields) if "train" in splits else None
    return Made(first.layout, stats, files, frames)


def _hash(paths: Sequence[Path], sha256: Hash) -> dict[Path, str]:
    total = sum(path.stat().st_size for path in paths)
    silent = not sys.stderr.isatty()
    with tqdm(total=total, desc="sha256", unit="B", unit_scale=True, disable=silent) as bar:
        return {path: sha256(path, bar.update) for path in paths}


def _links(
    recordings: Sequence[Recording], members: Sequence[Member], hashes: Mapping[Path, str]
) -> list[Link]:
    numbers: dict[Path, list[int]] = {}
    for r, i in members:
        numbers.setdefault(recordings[r].path, []).append(i)
    return [
        Link(str(path), hashes[path], path.stat().st_size, tuple(found))
        for path, found in numbers.items()
    ]


def _read_once(
    recordings: Sequence[Recording],
    splits: Mapping[str, list[Member]],
    fields: Sequence[str],
    outputs: dict[str, h5py.File],
    label: str,
) -> tuple[dict[str, Frames], "_Moments"]:
    """Check and digest every frame, add it to the moments, and write it where there are outputs."""
    position = {m: (s, row) for s, members in splits.items() for row, m in enumerate(members)}
    used = sorted({r for r, _ in position})
    T = recordings[used[0]].layout.num_frames
    digests = {s: np.empty((len(m), T, 2), dtype=np.uint64) for s, m in splits.items()}
    moments = _Moments()
    total = len(position) * T
    with tqdm(total=total, desc=label, unit="frame", disable=not sys.stderr.isatty()) as bar:
        for r in used:
            recording, faults = recordings[r], _Faults(recordings[r])
            numbers = sorted(i for other, i in position if other == r)
            for number, start, block in channel_blocks(recording, numbers, fields):
                split, row = position[r, number]
                faults.add(fields, number, start, block)
                digests[split][row, start : start + len(block)] = digest_frames(block)
                if split == "train" and not faults.count:
                    moments.add(block, start)
                if split in outputs:
                    for channel, name in enumerate(fields):
                        dataset = outputs[split]["t0_fields"][name]
                        dataset[row, start : start + len(block)] = block[:, channel]
                bar.update(len(block))
            faults.require_none()
    frames = {
        s: Frames(digests[s], [f"trajectory {i} of {recordings[r].path}" for r, i in members])
        for s, members in splits.items()
    }
    return frames, moments


def channel_blocks(
    recording: Recording, trajectories: Sequence[int], fields: Sequence[str]
) -> Iterator[tuple[int, int, Array]]:
    """Read blocks of fields (t, C, H, W); the vorticity is derived if the file has none."""
    if "vorticity" not in fields or "vorticity" in recording.fields:
        yield from recording.blocks(trajectories, fields)
        return
    layout = recording.layout
    if layout.extent is None:
        raise InputError(
            f"{recording.path} has no equidistant coordinates, which the vorticity of its velocity "
            "needs, expected data.extent [Lx, Ly]"
        )
    stored = list(dict.fromkeys([*_VELOCITY, *(f for f in fields if f != "vorticity")]))
    for number, start, block in recording.blocks(trajectories, stored):
        curl = vorticity(block[:, 0], block[:, 1], layout.extent, layout.boundary)
        channels = [curl if f == "vorticity" else block[:, stored.index(f)] for f in fields]
        yield number, start, np.stack(channels, axis=1)


@dataclass
class _Faults:
    """Frames of one file with a value that is not finite."""

    recording: Recording
    count: int = 0
    first: str = ""

    def add(self, fields: Sequence[str], trajectory: int, start: int, block: Array) -> None:
        wrong = np.argwhere(~np.isfinite(block))  # (values, 4): frame, channel, x, y
        if len(wrong) and not self.count:
            frame, name = int(wrong[0, 0]), fields[wrong[0, 1]]
            known = name in self.recording.fields
            where = self.recording.where(name) if known else f"{name}, from the velocity,"
            self.first = f"{where} in trajectory {trajectory}, frame {start + frame}"
        self.count += len(np.unique(wrong[:, 0]))

    def require_none(self) -> None:
        if self.count:
            frames = "1 frame" if self.count == 1 else f"{self.count} frames"
            raise InputError(
                f"{self.recording.path} has {frames} with values that are not finite, the first "
                f"of {self.first}, expected finite numbers"
            )


class _Moments:
    """Mean, deviation and root mean square of each channel and of its change between frames.

    Blocks are merged by Chan, Golub & LeVeque 1983 (eq. 1.5), in float64.
    """

    def __init__(self) -> None:
        # Number of values, their mean and their summed squared deviation (C,), by suffix.
        self._sums: dict[str, tuple[int, Floats, Floats]] = {}
        self._last: Array | None = None

    def add(self, block: Array, start: int) -> None:
        """Add frames (t, C, H, W), the next of their trajectory."""
        self._merge("", block)
        joined = block if self._last is None or not start else np.concatenate([self._last, block])
        if len(joined) > 1:
            self._merge("_delta", np.diff(joined.astype(np.float64), axis=0))
        self._last = block[-1:]

    def _merge(self, suffix: str, block: NDArray[Any]) -> None:
        values = block.astype(np.float64).swapaxes(0, 1).reshape(block.shape[1], -1)
        n, mean = values.shape[1], values.mean(axis=1)
        squares = np.square(values - mean[:, None]).sum(axis=1)
        if suffix in self._sums:
            m, old, old_squares = self._sums[suffix]
            change = mean - old
            squares = old_squares + squares + change**2 * m * n / (m + n)
            n, mean = m + n, old + change * n / (m + n)
        self._sums[suffix] = n, mean, squares

    def table(self, fields: Sequence[str]) -> dict[str, Any]:
        """Return the content of stats.yaml.

        Raises:
            InputError: If a field is constant.
        """
        result: dict[str, Any] = {}
        for suffix, (n, mean, squares) in self._sums.items():
            std = np.sqrt(squares / max(n - 1, 1))
            rms = np.sqrt(mean**2 + squares / n)
            for moment, values in (("mean", mean), ("std", std), ("rms", rms)):
                result[moment + suffix] = dict(zip(fields, values.tolist(), strict=True))
        for name, value in result["std"].items():
            if not value > 0:
                raise InputError(
                    f"the field {name!r} is {result['mean'][name]:g} everywhere in the train "
                    "split, expected one that varies"
                )
        return result
