"""Evaluate a frozen network on a file, in any layout that is read, as the stage `evaluate` does.

`python -m chimera.commands.evaluate --checkpoint checkpoints/unet/0 --input FILE --output A.json`
writes, for the network as `model` and for persistence, each metric of every trajectory: `nrmse`,
`vrmse` and `rmse_*` one step ahead, `rollout_nrmse` and `valid_time`; and prints their means.
"""

import argparse
from pathlib import Path
from statistics import fmean

import numpy as np
import torch

from chimera.data.layout.conditioning import read_conditioning
from chimera.data.layout.recordings import shared_scalars
from chimera.data.sources.importing import channel_blocks, open_any, require_fields
from chimera.evaluation.errors import evaluations, join_evaluations, limit_horizon
from chimera.evaluation.settings import EvaluateSettings
from chimera.files.artifacts import write_json
from chimera.interface.errors import InputError, guarded
from chimera.interface.settings import read_settings
from chimera.models.forecasting.checkpoint import read_network


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="evaluate", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--checkpoint", type=Path, required=True, help="checkpoints/MODEL/NUMBER")
    parser.add_argument("--input", type=Path, required=True, help="file of trajectories")
    parser.add_argument("--output", type=Path, required=True, help="JSON file to write")
    parser.add_argument("--horizon", type=int, default=20, help="frames of a rollout, at most")
    parser.add_argument("--valid-correlation", type=float, default=0.8, help="ends the valid time")
    options = parser.parse_args()
    asked = {name: getattr(options, name) for name in ("horizon", "valid_correlation")}
    common = {"batch_size": 32, "field_frame": 1, "device": "cpu", "threads": 1}
    settings = read_settings(asked | common, "evaluate", EvaluateSettings)
    trained = read_network(options.checkpoint / "model.safetensors", torch.device("cpu"))
    recording = open_any(options.input, trained.fields)
    require_fields(recording, trained.fields)
    n, T, C, P = (
        recording.count,
        recording.layout.num_frames,
        len(trained.fields),
        trained.past_frames,
    )
    if T <= P:
        raise InputError(f"{options.input} has trajectories of {T} frames, expected more than {P}")
    files, members = [recording], [(0, number) for number in range(n)]
    scalars, settings = shared_scalars(files, members), limit_horizon(settings, T, P)
    known = [read_conditioning(name, files, members, scalars) for name in trained.conditioning]
    frames = np.empty((1, T, C + len(known), *recording.layout.grid), dtype=np.float32)
    parts: dict[str, list[dict[str, list[float]]]] = {}
    for number, start, block in channel_blocks(recording, range(n), trained.fields):
        frames[0, start : start + len(block), :C] = block
        if start + len(block) < T:
            continue
        for channel, values in enumerate(known, start=C):
            frames[0, :, channel] = values[number]
        if not np.isfinite(frames).all():
            raise InputError(f"{options.input}: trajectory {number} has values that are not finite")
        for name, errors, _ in evaluations(trained, torch.from_numpy(frames), settings, None):
            parts.setdefault(name, []).append(errors)
    found = {name: join_evaluations(errors) for name, errors in parts.items()}
    write_json(options.output, found)
    for name, errors in found.items():
        means = {m: fmean(v) for m, v in errors.items() if not m.startswith(("frame_", "rmse_"))}
        print(f"{name}:", ", ".join(f"{m} {mean:.4g}" for m, mean in means.items()))  # noqa: T201


if __name__ == "__main__":
    guarded(main)
