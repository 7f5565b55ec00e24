"""User data imported as a dataset: checked, hashed frame by frame, written only if necessary.

One pass over the trajectories, block by block, in bounded memory: every value is checked to be
finite, every frame gets its digest, the train split its statistics. Files that are in The Well's
layout and hold the wanted fields are linked (chimera.data.layout.links); all others are written in
that layout.

T time, C channel, H, W space.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from tqdm import tqdm

from chimera.data.layout.conditioning import read_conditioning, with_logarithms
from chimera.data.layout.hdf5 import open_hdf5
from chimera.data.layout.leakage import Frames, digest_frames
from chimera.data.layout.links import NAME, Link, format_links
from chimera.data.layout.moments import ChannelMoments
from chimera.data.layout.recordings import Array, Layout, Recording, files_below, shared_scalars
from chimera.data.layout.well import open_well
from chimera.data.settings import SPLITS, ImportedData
from chimera.data.sources.arrays import open_arrays
from chimera.data.sources.dataset import Made
from chimera.data.sources.fno import open_fno
from chimera.data.sources.pdebench import open_pdearena, open_pdebench
from chimera.data.sources.selection import Member, members_of
from chimera.data.sources.vorticity import vorticity
from chimera.data.sources.well_writer import create_trajectories
from chimera.files.artifacts import sha256
from chimera.interface.errors import InputError, listed
from chimera.interface.progress import announce

_HDF5 = {"well": open_well, "pdebench": open_pdebench, "pdearena": open_pdearena, "fno": open_fno}
_SUFFIXES = {"fno": (".mat",), "npz": (".npz", ".npy")}  # of others, .hdf5 and .h5
_VELOCITY = ("velocity_x", "velocity_y")


def open_source(data: ImportedData) -> list[Recording]:
    """Return the files of data.root in the order of their names, with what data states of them."""
    data.require_root()
    root = Path(data.root)
    paths = files_below(root, _SUFFIXES.get(data.source, (".hdf5", ".h5")), data.outside)
    return [_with_stated(_open(path, data.source, data.fields), data) for path in paths]


def open_any(path: Path, fields: Sequence[str]) -> Recording:
    """Describe one file in whichever layout it has; channels of arrays take the fields' names."""
    source = next((s for s, known in _SUFFIXES.items() if path.suffix in known), "pdebench")
    if source == "pdebench":
        with open_hdf5(path) as file:
            if any(f"t{rank}_fields" in file for rank in range(3)):
                source = "well"
            elif any(split in file for split in SPLITS):
                source = "pdearena"
    return _open(path, source, fields)


def _open(path: Path, source: str, fields: Sequence[str]) -> Recording:
    try:
        return open_arrays(path, fields) if source == "npz" else _HDF5[source](path)
    except InputError:
        raise
    except Exception as error:  # whatever the libraries make of metadata of another form
        reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise InputError(f"{path} is not a file of data.source {source}: {reason}") from None


def _with_stated(recording: Recording, data: ImportedData) -> Recording:
    """Return a file with what data states of it; but what its coordinates say of space stays."""
    keys = ("boundary", "extent", "frame_interval")
    stated = {key: value for key in keys if (value := getattr(data, key)) is not None}
    known = recording.layout.extent
    if recording.uneven:
        stated.pop("extent", None)
    elif known and "extent" in stated:
        stated["extent"] = tuple(map(math.copysign, stated["extent"], known))
    recording = replace(recording, layout=replace(recording.layout, **stated))
    return recording.without_first(data.first_frame)


def import_dataset(name: str, data: ImportedData, folder: Path, flow: Layout | None = None) -> Made:
    """Import a key of data.datasets, beside data of `flow`, into the folder of data/<name>."""
    recordings = open_source(data)
    splits = members_of(recordings, data)[name]
    used = [recordings[r] for r in sorted({r for members in splits.values() for r, _ in members})]
    layout = used[0].layout
    if layout.num_frames <= data.past_frames:
        raise InputError(
            f"data.past_frames is {data.past_frames}, expected less than the {layout.num_frames} "
            f"frames of the trajectories of {used[0].path}, so that one follows them"
        )
    for recording in used:
        recording.require_same_layout(used[0])
        require_fields(recording, data.fields)
    if flow:
        _require_layout(used[0], data.names[0], flow)
    if unread := sorted({where for r in used for where in r.aside}):
        announce(
            f"{name}: {listed(unread)} set aside: {used[0].aside.get(unread[0], 'of another form')}"
        )
    linked = data.source == "well" and all(set(data.fields) <= set(r.fields) for r in used)
    _require_conditioning(recordings, [m for of in splits.values() for m in of], data, linked)
    hashes = _hash([recording.path for recording in used]) if linked else {}
    files: list[tuple[str, dict[str, Any] | None]] = []
    with ExitStack() as stack:
        outputs: dict[str, h5py.File] = {}
        for split, members in splits.items():
            (folder / "data" / split).mkdir(parents=True)
            path, n = f"data/{split}/{NAME if linked else f'{name}_{split}.hdf5'}", len(members)
            if linked:
                (folder / path).write_text(format_links(_links(recordings, members, hashes, data)))
            else:
                scalars = shared_scalars(recordings, members)
                file = create_trajectories(
                    folder / path, data.fields, layout, count=n, dataset_name=name, scalars=scalars
                )
                outputs[split] = stack.enter_context(file)
            files.append((path, None))
            if split == "train":
                files.append(("stats.yaml", None))
        frames, moments = _read_once(recordings, splits, data.fields, outputs, name)
    stats = moments.table(data.fields) if "train" in splits else None
    return Made(layout, stats, files, frames)


def _require_layout(recording: Recording, ind: str, flow: Layout) -> None:
    layout = replace(flow, num_frames=recording.layout.num_frames)  # which may be another
    try:
        recording.require_same_layout(replace(recording, path=Path("data", ind), layout=layout))
    except InputError as error:
        keys = "boundary, extent and frame_interval"
        raise InputError(f"{error}: what a file does not say, {keys} of data.files do") from None


def require_fields(recording: Recording, fields: Sequence[str]) -> None:
    """Refuse a file without the fields, or without the velocity of a vorticity to be derived."""
    known = {*recording.fields, *recording.aside}
    for wanted in fields:
        is_derived = wanted == "vorticity" not in known and set(_VELOCITY) <= known
        for stored in _VELOCITY if is_derived else (wanted,):
            recording.require_field(stored)


def _require_conditioning(
    recordings: Sequence[Recording], members: Sequence[Member], data: ImportedData, linked: bool
) -> None:
    """Refuse a file without the conditioning; of files that are written only scalars are kept."""
    for r in sorted({r for r, _ in members}) if data.conditioning else ():
        own = [recordings[r] if linked else replace(recordings[r], constants={})]
        places = [(0, number) for other, number in members if other == r]
        scalars = shared_scalars(own, places)
        for name in with_logarithms(data.conditioning, scalars):
            read_conditioning(name, own, places, scalars)


def _hash(paths: Sequence[Path]) -> dict[Path, str]:
    total = sum(path.stat().st_size for path in paths)
    with tqdm(total=total, desc="sha256", unit="B", unit_scale=True, disable=None) as bar:
        return {path: sha256(path, bar.update) for path in paths}


def _links(
    recordings: Sequence[Recording],
    members: Sequence[Member],
    hashes: Mapping[Path, str],
    data: ImportedData,
) -> list[Link]:
    numbers: dict[Path, list[int]] = {}
    for r, i in members:
        numbers.setdefault(recordings[r].path, []).append(i)
    return [
        Link(str(path), hashes[path], path.stat().st_size, tuple(found), data.first_frame)
        for path, found in numbers.items()
    ]


def _read_once(
    recordings: Sequence[Recording],
    splits: Mapping[str, list[Member]],
    fields: Sequence[str],
    outputs: dict[str, h5py.File],
    label: str,
) -> tuple[dict[str, Frames], ChannelMoments]:
    """Check and digest every frame, add it to the moments, and write it where there are outputs."""
    position = {m: (s, row) for s, members in splits.items() for row, m in enumerate(members)}
    used = sorted({r for r, _ in position})
    T = recordings[used[0]].layout.num_frames
    digests = {s: np.empty((len(m), T, 2), dtype=np.uint64) for s, m in splits.items()}
    moments = ChannelMoments()
    with tqdm(total=len(position) * T, desc=label, unit="frame", disable=None) as bar:
        for r in used:
            numbers = sorted(i for other, i in position if other == r)
            faults: list[tuple[int, int, int]] = []  # trajectory, frame, channel
            still: dict[tuple[int, int], tuple[int, float]] = {}  # frame and value, by the others
            for number, start, block in channel_blocks(recordings[r], numbers, fields):
                split, row = position[r, number]
                frames = slice(start, start + len(block))
                finite = np.isfinite(block).all(axis=(2, 3))  # (t, C)
                faults += [(number, start + t, c) for t, c in np.argwhere(~finite).tolist()]
                constant = (block == block[:, :, :1, :1]).all(axis=(2, 3))
                for t, c in np.argwhere(constant).tolist():
                    if split == "test" and start + t:  # the first frame is no target
                        still.setdefault((number, c), (start + t, float(block[t, c, 0, 0])))
                digests[split][row, frames] = digest_frames(block)
                if split == "train" and not faults:
                    moments.add(block, start)
                if split in outputs:
                    for channel, name in enumerate(fields):
                        outputs[split]["t0_fields"][name][row, frames] = block[:, channel]
                bar.update(len(block))
            _require_usable(recordings[r], fields, faults, still, label)
    return {
        s: Frames(digests[s], [f"trajectory {i} of {recordings[r].path}" for r, i in members])
        for s, members in splits.items()
    }, moments


def _require_usable(
    recording: Recording,
    fields: Sequence[str],
    faults: Sequence[tuple[int, int, int]],
    still: Mapping[tuple[int, int], tuple[int, float]],
    label: str,
) -> None:
    """Refuse values that are not finite and targets that are 0, and report other constant ones."""
    if faults:
        trajectory, frame, channel = faults[0]
        name, count = fields[channel], len({fault[:2] for fault in faults})
        where = name if name in recording.fields else f"{name}, from the velocity,"
        raise InputError(
            f"{recording.path} has {'1 frame' if count == 1 else f'{count} frames'} with values "
            f"that are not finite, the first of {where} in trajectory {trajectory}, frame {frame}, "
            "expected finite numbers"
        )
    for (trajectory, channel), (frame, value) in still.items():
        told = (
            f"{recording.path} has {fields[channel]} {value:g} everywhere in trajectory "
            f"{trajectory}, frame {frame}, of the test split"
        )
        if value == 0:
            raise InputError(
                f"{told}: nrmse divides by its norm and would be infinite, expected a field that "
                "varies: leave it out of data.fields, the trajectory out of data.datasets, or set "
                "data.first_frame"
            )
        announce(f"{label}: {told}: vrmse divides by its deviation and will be large")


def channel_blocks(
    recording: Recording, trajectories: Sequence[int], fields: Sequence[str]
) -> Iterator[tuple[int, int, Array]]:
    """Read blocks of fields (t, C, H, W); the vorticity is derived if the file has none."""
    if "vorticity" not in fields or "vorticity" in recording.fields:
        yield from _narrowed(recording, trajectories, fields)
        return
    layout = recording.layout
    if layout.extent is None:
        raise InputError(
            f"{recording.path} has coordinates that are not equidistant ({', '.join(uneven)}), "
            "expected equidistant ones, which the vorticity of its velocity needs: choose other "
            "data.fields"
            if (uneven := recording.uneven)
            else f"{recording.path} has no coordinates, which the vorticity of its velocity needs, "
            "expected data.extent [Lx, Ly]"
        )
    stored = list(dict.fromkeys([*_VELOCITY, *(f for f in fields if f != "vorticity")]))
    for number, start, block in _narrowed(recording, trajectories, stored):
        curl = vorticity(block[:, 0], block[:, 1], layout.extent, layout.boundary)
        channels = [curl if f == "vorticity" else block[:, stored.index(f)] for f in fields]
        yield number, start, np.stack(channels, axis=1)


def _narrowed(
    recording: Recording, trajectories: Sequence[int], fields: Sequence[str]
) -> Iterator[tuple[int, int, Array]]:
    """Read blocks in float32; InputError for what is beyond its range or lost in its precision."""
    known, axes = [], (0, 2, 3)
    for number, start, block in recording.blocks(trajectories, fields):
        if block.dtype == np.float32:
            yield number, start, block
            continue
        with np.errstate(over="ignore", invalid="ignore"):
            narrow = block.astype(np.float32)
            spread = block.mean(axes), block.var(axes), block.min(axes), block.max(axes)
        known.append((np.full(len(fields), len(block)), *spread))
        for t, c, x, y in np.argwhere(np.isfinite(block) & ~np.isfinite(narrow))[:1].tolist():
            raise InputError(
                f"{recording.path} has {fields[c]} {block[t, c, x, y]:g} in trajectory {number}, "
                f"frame {start + t}, beyond float32, expected at most {np.finfo(np.float32).max:g}"
            )
        yield number, start, narrow
    for name, (T, mean, variance, low, high) in zip(fields, np.array(known).T, strict=bool(known)):
        middle, largest = np.average(mean, weights=T), np.abs([low, high]).max()
        deviation = np.sqrt(np.average(variance + (mean - middle) ** 2, weights=T))
        least = 100 * np.spacing(np.float32(largest))  # two digits of the deviation
        if low.min() < high.max() and deviation < least:
            raise InputError(
                f"{recording.path} has {name} {middle:g} with a standard deviation of "
                f"{deviation:.2g}, of which float32 keeps little, expected at least {least:.2g}: "
                "subtract a constant from it"
            )
