"""Forecast the trajectories of a file, in any layout that is read, with a trained network.

`python -m chimera.commands.forecast --checkpoint checkpoints/unet/0 --input FILE --steps 20
--output forecast.nc` writes The Well's layout, or an archive where the output ends in .npz. The
first frames of each trajectory are forecast from, as many as the network takes; where the file has
later ones, their nRMSE is printed and stored as `nrmse` (trajectory, step). `--animation FILE.webp`
shows the truth, the forecast and the error of one trajectory. `--export torch` writes the network
itself, one step in physical units, as a file of torch.export, and its model card README.md beside
it.
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from chimera import figures
from chimera.data.layout.conditioning import read_conditioning
from chimera.data.layout.recordings import shared_scalars
from chimera.data.sources.importing import channel_blocks, open_any, require_fields
from chimera.data.sources.well_writer import create_trajectories
from chimera.fields.metrics import nrmse
from chimera.files.arrays import write_arrays
from chimera.files.artifacts import whole_file
from chimera.forecasts.exporting import export_torch
from chimera.forecasts.forecaster import load_forecaster
from chimera.interface.errors import InputError, guarded

_Array = NDArray[np.float32]
_SUFFIXES = (".nc", ".hdf5", ".h5", ".npz")


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="forecast", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--checkpoint", type=Path, required=True, help="checkpoints/MODEL/NUMBER")
    parser.add_argument("--input", type=Path, help="file of trajectories")
    parser.add_argument("--steps", type=int, default=1, help="frames to forecast")
    parser.add_argument("--output", type=Path, required=True, help="file to write")
    parser.add_argument("--animation", type=Path, help="write a moving picture too, FILE.webp")
    parser.add_argument("--trajectory", type=int, default=0, help="that it shows, from 0")
    parser.add_argument("--field", help="that it shows, the first unless named")
    parser.add_argument("--export", choices=["torch"], help="write the network, not a forecast")
    options = parser.parse_args()
    if options.export:
        export_torch(options.checkpoint, options.output)
        return
    if options.input is None:
        raise InputError("--input is missing, expected a file of trajectories")
    if options.output.suffix not in _SUFFIXES:
        raise InputError(f"--output is {options.output}, expected one of {', '.join(_SUFFIXES)}")
    if options.animation and options.animation.suffix != ".webp":
        raise InputError(f"--animation is {options.animation}, expected a name in .webp")
    if options.steps < 1:
        raise InputError(f"--steps is {options.steps}, expected at least 1")
    forecaster = load_forecaster(options.checkpoint)
    names, recording = forecaster.fields, open_any(options.input, forecaster.fields)
    require_fields(recording, names)
    n, layout = recording.count, recording.layout
    shown, C = options.trajectory, _number(options.field, names)
    if not 0 <= shown < n:
        raise InputError(f"--trajectory is {shown}, expected 0 to {n - 1}")
    members = [(0, number) for number in range(n)]
    files, scalars = [recording], shared_scalars([recording], members)
    known = {k: read_conditioning(k, files, members, scalars) for k in forecaster.conditioning}
    truth = np.empty((layout.num_frames, len(names), *layout.grid), dtype=np.float32)
    P = forecaster.past_frames
    errors = np.empty((n, min(options.steps, max(layout.num_frames - P, 0))))
    forecasts = np.empty((n, options.steps, *truth.shape[1:]), dtype=np.float32)
    for number, start, block in channel_blocks(recording, range(n), names):
        truth[start : start + len(block)] = block
        if start + len(block) == layout.num_frames:
            given = {name: values[number, None] for name, values in known.items()}
            forecasts[number] = forecaster.forecast(truth[None, :P], options.steps, given)[0]
            later = forecasts[number, : errors.shape[1]], truth[P : errors.shape[1] + P]
            errors[number] = nrmse(*later).mean(axis=1)
            if options.animation and number == shown:
                _show(options.animation, truth[P:, C], forecasts[number, :, C], names[C])
    if options.output.suffix == ".npz":
        write_arrays(options.output, {"trajectories": forecasts, "nrmse": errors, **scalars})
    else:
        form = replace(layout, num_frames=options.steps)
        create = partial(create_trajectories, count=n, dataset_name="forecast", scalars=scalars)
        with whole_file(options.output) as path, create(path, names, form) as file:
            for channel, name in enumerate(names):
                file["t0_fields"][name][...] = forecasts[:, :, channel]
            file["nrmse"] = errors
    for step, error in enumerate(errors.mean(axis=0), start=1):
        print(f"step {step}: nrmse {error:.4g}")  # noqa: T201


def _number(field: str | None, names: Sequence[str]) -> int:
    """Return the channel of a field, 0 if none is named."""
    if field not in (None, *names):
        raise InputError(f"--field is {field}, expected {' or '.join(names)}")
    return 0 if field is None else names.index(field)


def _show(path: Path, truth: _Array, forecast: _Array, field: str) -> None:
    """Write a forecast (steps, H, W) beside the truth (T, H, W), as far as the file has it."""
    T = min(len(truth), len(forecast))
    maps = {"truth": truth[:T], "forecast": forecast, "error": forecast[:T] - truth[:T]}
    titles = [f"{step} frames after the last that is given" for step in range(1, len(forecast) + 1)]
    figures.animate(path, {"": maps if T else {"forecast": forecast}}, titles, field)


if __name__ == "__main__":
    guarded(main)
