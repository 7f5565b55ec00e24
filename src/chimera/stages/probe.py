"""Measure one trained network with one probe, on the IND test split and every OOD axis.

Writes metrics/runs/<model>/<replicate>/<probe>.json: its statistics, and the `rows` of its table.
"""

import sys
from functools import partial
from pathlib import Path
from zlib import crc32

import numpy as np
import torch

from chimera.data.layout.splits import Split
from chimera.files.artifacts import read_params, read_yaml, write_json
from chimera.interface.errors import InapplicableError, NoSiteError, guarded
from chimera.interface.progress import track
from chimera.interface.versions import report_differing_versions
from chimera.models.forecasting.checkpoint import read_network
from chimera.models.forecasting.devices import prepare_device
from chimera.models.forecasting.stepping import states
from chimera.probes.common.registry import probe_measure, probe_settings
from chimera.probes.common.subject import Measurement, Subject
from chimera.stages import read_keys


def main() -> None:
    """Run the stage."""
    options = read_keys(probe=str, model=str, replicate=int)
    params = read_params()
    settings = probe_settings(options.probe, params["probes"].get(options.probe))
    device = prepare_device(params["evaluate"]["device"], params["evaluate"]["threads"])
    cell = f"{options.model}/{options.replicate}"
    trained = read_network(Path("checkpoints") / cell / "model.safetensors", device)
    C, P = len(trained.fields), trained.past_frames
    axes = read_yaml(Path("metrics/gates/verify/evaluation.yaml"))["axes"]
    layout = axes["ind"]["layout"]
    memory = int(params["train"]["memory"] * 2**30) // (len(axes) * P)
    is_ours = layout["source"] == "generated" and trained.fields == ("vorticity",)

    def split_of(axis: str) -> Split:
        folder = Path("data") / axes[axis]["dataset"] / "data" / "test"
        return Split(folder, trained.fields, trained.conditioning)

    def trajectories(axis: str) -> torch.Tensor:
        split = split_of(axis)
        frames = torch.from_numpy(split.read(0, split.fitting(memory))).to(device)
        return states(frames, P, C).sub_(trained.mean).div_(trained.std)  # (n, S, P C + K, H, W)

    box = layout["extent"][0] if layout["extent"] else 1.0
    means, stds = (part[P * C :].flatten().tolist() for part in (trained.mean, trained.std))
    subject = Subject(
        network=trained.network,
        trajectories={axis: trajectories(axis) for axis in axes},
        mean=trained.mean[:C],
        std=trained.std[:C],
        domain_extent=box,
        fields=trained.fields,
        past_frames=P,
        constants=dict(zip(trained.conditioning, zip(means, stds, strict=True), strict=True)),
        physics=(split_of("ind").scalars, box, layout["frame_interval"]) if is_ours else None,
    )
    # Models of a replicate with the same coarsest grid see the same samples, probes different ones.
    entropy = (params["seed"], options.replicate, crc32(options.probe.encode()))
    label = f"probe-{options.probe}-{options.model}-{options.replicate}"
    rng = np.random.default_rng(entropy)
    report_differing_versions(label)
    try:
        found = probe_measure(options.probe)(subject, settings, rng, partial(track, label))
    except InapplicableError as error:
        if is_ours and P == 1 and not isinstance(error, NoSiteError):
            raise
        # User data may be too small, not square or not periodic, and a network without a site or a
        # layer that can be edited: the study continues without the probe.
        print(f"{label} is withheld: {error}", file=sys.stderr)  # noqa: T201
        found = Measurement({"withheld": 1.0, "reported": 0.0}, [])
    for note in found.notes:
        print(f"{label}: {note}", file=sys.stderr)  # noqa: T201
    path = Path("metrics/runs") / cell / f"{options.probe}.json"
    write_json(path, found.statistics | {"rows": found.rows})


if __name__ == "__main__":
    guarded(main)
