"""A dataset and its records, replaced as a whole, whatever its source.

`data/<dataset>/` holds data/<split>/, stats.yaml (of the train split, IND only) and checksums.yaml;
`metrics/gates/generate/<dataset>/` holds, for later stages, a copy of checksums.yaml, the layout of
the trajectories and the digest of every frame.
"""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from chimera.data.checksums import checksum_entry, format_entries
from chimera.data.layout.leakage import Frames, repeated_frames, require_disjoint, write_frames
from chimera.data.layout.recordings import Layout
from chimera.data.settings import GeneratedData
from chimera.data.sources.threads import on_threads
from chimera.files.artifacts import whole_folder, write_text, write_yaml
from chimera.interface.progress import announce


def layout_of(data: GeneratedData) -> Layout:
    """Return what every dataset of the solver shares."""
    N, T, box = data.num_points, data.num_frames, data.domain_extent
    return Layout("generated", (N, N), T, extent=(box, box), frame_interval=data.frame_interval)


class Made(NamedTuple):
    """The content of a dataset's new folder."""

    layout: Layout
    stats: dict[str, Any] | None  # content of stats.yaml; none for an OOD axis
    files: list[tuple[str, dict[str, Any] | None]]  # in checksums.yaml, with their fingerprints
    frames: dict[str, Frames]  # by split


def write_dataset(name: str, origin: str, make: Callable[[Path], Made]) -> None:
    """Write one dataset, whose origin is `generated` or `imported`; `make` fills its folder."""
    final, gate = Path("data") / name, Path("metrics/gates/generate") / name
    with on_threads(1), whole_folder(final) as folder:
        made = make(folder)
        require_disjoint({f"{final}/data/{split}": f for split, f in made.frames.items()})
        for split, frames in made.frames.items():
            if told := repeated_frames(frames):
                announce(f"{name}: in {split} {told}")
        if made.stats is not None:
            write_yaml(folder / "stats.yaml", made.stats)
        entries = [
            checksum_entry(folder / path, origin, fingerprint) | {"path": (final / path).as_posix()}
            for path, fingerprint in made.files
        ]
        listing = "files:\n" + format_entries(entries)
        write_text(folder / "checksums.yaml", listing)
    write_text(gate / "checksums.yaml", listing)
    write_yaml(gate / "layout.yaml", asdict(made.layout))
    write_frames(gate / "frames.npz", made.frames)
