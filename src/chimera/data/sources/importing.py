"""Somebody's files into a dataset: checked, hashed frame by frame, written only if need be.

One pass over the trajectories, block by block, in bounded memory: every value is finite, every
frame gets its digest, the train split its statistics. Files that are in The Well's layout already
and hold the wanted fields are linked (chimera.data.layout.links); anything else is written in that
layout.

T time, C channel, H, W space.
"""

import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from chimera.data.layout.leakage import Frames, digest_frames
from chimera.data.layout.links import NAME, Link, format_links
from chimera.data.layout.recordings import Array, Made, Recording, files_below, require_field
from chimera.data.layout.splits import require_same_form
from chimera.data.layout.well import WellRecording, open_well
from chimera.data.settings import ImportedData
from chimera.data.sources.arrays import open_arrays
from chimera.data.sources.pdebench import open_pdebench
from chimera.data.sources.selection import Member, members_of
from chimera.data.sources.vorticity import vorticity
from chimera.data.sources.well_writer import create_trajectories
from chimera.interface.errors import InputError

_VELOCITY = ("velocity_x", "velocity_y")
Hash = Callable[[Path, Callable[[int], object]], str]


def open_source(data: ImportedData) -> list[Recording]:
    """Return the files of data.root in the order of their names.

    Raises:
        InputError: If there is none, or one cannot be used.
    """
    data.require_root()
    root = Path(data.root)
    if data.source == "npz":
        found: list[Recording] = [
            open_arrays(path, data.fields) for path in files_below(root, (".npz",))
        ]
    else:
        opener = open_well if data.source == "well" else open_pdebench
        found = [opener(path) for path in files_below(root, (".hdf5", ".h5"))]
    return [r.with_known(data.boundary, data.extent, data.frame_interval) for r in found]


def import_dataset(name: str, data: ImportedData, folder: Path, sha256: Hash) -> Made:
    """Make one dataset of somebody's files in an empty folder.

    Args:
        name: A key of data.datasets.
        data: The data config.
        folder: Becomes data/<name>.
        sha256: Hashes a file that is linked, and tells how many bytes it has read.

    Raises:
        InputError: If a file, a field, a scalar or a value cannot be used.
    """
    recordings = open_source(data)
    splits = members_of(recordings, data)[name]
    used = sorted({r for members in splits.values() for r, _ in members})
    first = recordings[used[0]]
    for r in used:
        require_same_form(recordings[r].layout, recordings[r].path, first.layout, first.path)
        for wanted in data.fields:
            if not (wanted == "vorticity" and set(_VELOCITY) <= set(recordings[r].fields)):
                require_field(recordings[r], wanted)
    if first.layout.num_frames < 2:
        raise InputError(
            f"{first.path} has trajectories of 1 frame, expected at least 2: one to forecast from "
            "and one to forecast"
        )
    linked = all(
        isinstance(recordings[r], WellRecording) and set(data.fields) <= set(recordings[r].fields)
        for r in used
    )
    hashes = _hash({recordings[r].path for r in used}, sha256) if linked else {}
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
                    scalars=_scalars(recordings, members),
                )
                outputs[split] = stack.enter_context(file)
            files.append((path, None))
            if split == "train":
                files.append(("stats.yaml", None))
        frames, moments = _read_once(recordings, splits, data.fields, outputs, name)
    layout = replace(first.layout, source=data.source)
    stats = moments.table(data.fields) if "train" in splits else None
    return Made(layout, stats, files, frames)


def _scalars(
    recordings: Sequence[Recording], members: Sequence[Member]
) -> dict[str, NDArray[np.float64]]:
    names = set.intersection(*({*recordings[r].scalars} for r, _ in members))
    return {
        s: np.array([recordings[r].scalars[s][i] for r, i in members])
        for s in recordings[members[0][0]].scalars
        if s in names
    }


def _hash(paths: Collection[Path], sha256: Hash) -> dict[Path, str]:
    total = sum(path.stat().st_size for path in paths)
    silent = not sys.stderr.isatty()
    with tqdm(total=total, desc="sha256", unit="B", unit_scale=True, disable=silent) as bar:
        return {path: sha256(path, bar.update) for path in sorted(paths)}


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
    """Check, digest, sum up and, where there are outputs, write every frame."""
    T = recordings[next(iter(splits.values()))[0][0]].layout.num_frames
    digests = {s: np.empty((len(m), T, 2), dtype=np.uint64) for s, m in splits.items()}
    position = {m: (s, row) for s, members in splits.items() for row, m in enumerate(members)}
    moments = _Moments(len(fields))
    total = len(position) * T
    with tqdm(total=total, desc=label, unit="frame", disable=not sys.stderr.isatty()) as bar:
        for r in sorted({r for r, _ in position}):
            recording, faults = recordings[r], _Faults(recordings[r])
            numbers = sorted(i for other, i in position if other == r)
            for number, start, block in channel_blocks(recording, numbers, fields):
                split, row = position[r, number]
                faults.look(fields, number, start, block)
                digests[split][row, start : start + len(block)] = digest_frames(block)
                if split == "train" and not faults.count:
                    moments.add(block, start)
                if split in outputs:
                    for channel, name in enumerate(fields):
                        dataset = outputs[split]["t0_fields"][name]
                        dataset[row, start : start + len(block)] = block[:, channel]
                bar.update(len(block))
            faults.refuse()
    places = {
        s: [f"trajectory {i} of {recordings[r].path}" for r, i in members]
        for s, members in splits.items()
    }
    return {s: Frames(digests[s], places[s]) for s in splits}, moments


def channel_blocks(
    recording: Recording, trajectories: Sequence[int], fields: Sequence[str]
) -> Iterator[tuple[int, int, Array]]:
    """Read blocks of fields (t, C, H, W), the vorticity derived where the file has none."""
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

    def look(self, fields: Sequence[str], trajectory: int, start: int, block: Array) -> None:
        wrong = np.argwhere(~np.isfinite(block))  # (values, 4): frame, channel, x, y
        if len(wrong) and not self.count:
            frame, name = int(wrong[0, 0]), fields[wrong[0, 1]]
            known = name in self.recording.fields
            where = self.recording.where(name) if known else f"{name}, from the velocity,"
            self.first = f"{where} in trajectory {trajectory}, frame {start + frame}"
        self.count += len(np.unique(wrong[:, 0]))

    def refuse(self) -> None:
        if self.count:
            frames = "1 frame" if self.count == 1 else f"{self.count} frames"
            raise InputError(
                f"{self.recording.path} has {frames} with values that are not finite, the first "
                f"of {self.first}, expected finite numbers"
            )


@dataclass
class _Moments:
    """Mean, deviation and root mean square of each channel and of its change between frames.

    Blocks are merged by Chan, Golub & LeVeque 1983 (eq. 1.5), in float64.
    """

    channels: int
    sums: dict[str, list[NDArray[np.float64]]] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    last: Array | None = None

    def add(self, block: Array, start: int) -> None:
        self._merge("", block)
        with_last = block if start == 0 or self.last is None else np.concatenate([self.last, block])
        if len(with_last) > 1:
            self._merge("_delta", np.diff(with_last.astype(np.float64), axis=0))
        self.last = block[-1:]

    def _merge(self, suffix: str, block: NDArray[Any]) -> None:
        values = block.astype(np.float64).swapaxes(0, 1).reshape(self.channels, -1)
        n, mean = values.shape[1], values.mean(axis=1)
        squares = np.square(values - mean[:, None]).sum(axis=1)
        if suffix not in self.sums:
            self.counts[suffix], self.sums[suffix] = n, [mean, squares]
            return
        m, (old, old_squares) = self.counts[suffix], self.sums[suffix]
        change = mean - old
        self.counts[suffix] = m + n
        self.sums[suffix] = [
            old + change * n / (m + n),
            old_squares + squares + change**2 * m * n / (m + n),
        ]

    def table(self, fields: Sequence[str]) -> dict[str, Any]:
        """Return what stats.yaml holds."""
        result: dict[str, Any] = {}
        for suffix, (mean, squares) in self.sums.items():
            n = self.counts[suffix]
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
