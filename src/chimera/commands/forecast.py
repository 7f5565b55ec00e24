"""Forecast the trajectories of a file, in any layout that is read, with a trained network.

`python -m chimera.commands.forecast --checkpoint checkpoints/unet/0 --input FILE --steps 20
--output forecast.nc` writes The Well's layout, or an archive where the output ends in .npz. The
first frames of each trajectory are forecast from, as many as the network takes; where the file has
later ones, their nRMSE is printed and stored as `nrmse` (trajectory, step). A file whose frame
interval is another than that of the training is named. `--errors FILE.json` has every metric of
the stage `evaluate` for each trajectory, of the network as `model` and of persistence, over
rollouts of as many steps, or of all that the file has: `rollout_frames`.
`--animation FILE.webp` shows the truth, the forecast and the error of one trajectory. `--export
torch` writes the network itself, one step in physical units, as a file of torch.export, and its
model card, a file .md, beside it.
"""

import argparse
import os
import sys
from dataclasses import replace
from functools import partial
from math import isclose
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from chimera import figures
from chimera.data.layout.conditioning import read_conditioning
from chimera.data.layout.recordings import shared_scalars
from chimera.data.sources.importing import channel_blocks, open_any, require_fields
from chimera.data.sources.well_writer import create_trajectories
from chimera.evaluation.errors import evaluations, join_evaluations
from chimera.evaluation.settings import EvaluateSettings
from chimera.fields.metrics import nrmse
from chimera.files.arrays import write_arrays
from chimera.files.artifacts import whole_file, write_json
from chimera.forecasts.exporting import export_torch
from chimera.forecasts.forecaster import load_forecaster
from chimera.interface.errors import InputError, guarded
from chimera.interface.settings import read_settings

_Array = NDArray[np.float32]
_SUFFIXES = (".nc", ".hdf5", ".h5", ".npz")


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="forecast", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--checkpoint", type=Path, required=True, help="checkpoints/MODEL/NUMBER")
    parser.add_argument("--input", type=Path, help="file of trajectories")
    parser.add_argument("--steps", type=int, default=1, help="frames to forecast")
    parser.add_argument("--output", type=Path, required=True, help="file to write")
    parser.add_argument("--errors", type=Path, help="write all metrics too, FILE.json")
    parser.add_argument("--animation", type=Path, help="write a moving picture too, FILE.webp")
    parser.add_argument("--trajectory", type=int, default=0, help="that it shows, from 0")
    parser.add_argument("--field", help="that it shows, the first unless named")
    parser.add_argument("--export", choices=["torch"], help="write the network, not a forecast")
    options = parser.parse_args()
    _require_apart(options)
    if options.export:
        for name in ("input", "steps", "errors", "animation", "trajectory", "field"):
            if getattr(options, name) != parser.get_default(name):
                raise InputError(f"--{name} is given, expected none where --export is")
        export_torch(options.checkpoint, options.output)
        return
    if options.input is None:
        raise InputError("--input is missing, expected a file of trajectories")
    if options.output.suffix not in _SUFFIXES:
        raise InputError(f"--output is {options.output}, expected one of {', '.join(_SUFFIXES)}")
    if options.animation and options.animation.suffix != ".webp":
        raise InputError(f"--animation is {options.animation}, expected a name in .webp")
    if not 1 <= options.steps < 1 << 31:
        raise InputError(f"--steps is {options.steps}, expected 1 to {(1 << 31) - 1}")
    forecaster = load_forecaster(options.checkpoint)
    names, recording = forecaster.fields, open_any(options.input, forecaster.fields)
    require_fields(recording, names)
    n, learned = recording.count, forecaster.frame_interval
    interval = recording.layout.frame_interval
    if interval and learned and not isclose(interval, learned, rel_tol=1e-3):
        stated = f"{options.input} has a frame interval of {interval:.4g}, a step of the network"
        print(f"{stated} is {learned:.4g}, as in its training", file=sys.stderr)  # noqa: T201
    layout = replace(recording.layout, frame_interval=learned or interval)
    shown, field = options.trajectory, options.field or names[0]
    if field not in names:
        raise InputError(f"--field is {field}, expected {' or '.join(names)}")
    C = names.index(field)
    if not 0 <= shown < n:
        raise InputError(f"--trajectory is {shown}, expected 0 to {n - 1}")
    members = [(0, number) for number in range(n)]
    files, scalars = [recording], shared_scalars([recording], members)
    known = {k: read_conditioning(k, files, members, scalars) for k in forecaster.conditioning}
    truth = np.empty((layout.num_frames, len(names), *layout.grid), dtype=np.float32)
    P, trained = forecaster.past_frames, forecaster.trained
    horizon = min(options.steps, max(len(truth) - P, 0))
    if options.errors and not horizon:
        raise InputError(f"{options.input} has {len(truth)} frames, expected more than {P}")
    constant = [read_conditioning(k, files, members, scalars) for k in trained.conditioning]
    values = {"horizon": max(horizon, 1), "valid_correlation": 0.8, "batch_size": 32}
    values |= {"field_frame": 1, "device": "cpu", "threads": 1}
    settings = read_settings(values, "evaluate", EvaluateSettings)
    parts: dict[str, list[dict[str, list[float]]]] = {}
    errors = np.empty((n, horizon))
    size = 4 * (n + 2) * options.steps * truth[:1].size  # two copies of a trajectory are made
    if size > os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"):
        said = f"--steps is {options.steps}, which takes {size / 2**30:,.1f} GiB"
        raise InputError(f"{said}, expected what fits into this machine's memory")
    forecasts = np.empty((n, options.steps, *truth.shape[1:]), dtype=np.float32)
    for number, start, block in channel_blocks(recording, range(n), names):
        truth[start : start + len(block)] = block
        if start + len(block) == layout.num_frames:
            given = {name: values[number, None] for name, values in known.items()}
            forecasts[number] = forecaster.forecast(truth[None, :P], options.steps, given)[0]
            later = forecasts[number, :horizon], truth[P : P + horizon]
            errors[number] = nrmse(*later).mean(axis=1)
            if options.errors:
                channels = [np.broadcast_to(v[number], truth[:, :1].shape) for v in constant]
                frames = torch.from_numpy(np.concatenate([truth, *channels], axis=1)[None])
                for name, found, _ in evaluations(trained, frames, settings, None):
                    parts.setdefault(name, []).append(found)
            if number == shown:
                watched = truth[P:, C].copy()
    if options.output.suffix == ".npz":
        write_arrays(options.output, {"trajectories": forecasts, "nrmse": errors, **scalars})
    else:
        form = replace(layout, num_frames=options.steps)
        create = partial(create_trajectories, count=n, dataset_name="forecast", scalars=scalars)
        with whole_file(options.output) as path, create(path, names, form) as file:
            for channel, name in enumerate(names):
                file["t0_fields"][name][...] = forecasts[:, :, channel]
            file["nrmse"] = errors
    if options.errors:
        joined = {name: join_evaluations(of) for name, of in parts.items()}
        write_json(options.errors, {"rollout_frames": horizon, **joined})
    if options.animation:
        _show(options.animation, watched, forecasts[shown, :, C], field)
    for step, error in enumerate(errors.mean(axis=0), start=1):
        print(f"step {step}: nrmse {error:.4g}")  # noqa: T201


def _require_apart(options: argparse.Namespace) -> None:
    """Refuse an output that replaces the input, another output or a file of the checkpoint."""
    paths = {f"--{of}": getattr(options, of) for of in ("input", "output", "errors", "animation")}
    if options.export:
        paths["the card of --output"] = options.output.parent / f"{options.output.stem}.md"
    folder, taken = os.path.realpath(options.checkpoint), dict[str, str]()
    for name, path in paths.items():
        place = os.path.realpath(path or os.devnull)
        if name != "--input" and Path(place).is_relative_to(folder):
            raise InputError(f"{name} is {path}, expected a file outside of {options.checkpoint}")
        if path and taken.setdefault(place, name) != name:
            raise InputError(f"{name} is {path}, expected another file than {taken[place]}")


def _show(path: Path, truth: _Array, forecast: _Array, field: str) -> None:
    """Write a forecast (steps, H, W) beside the truth (T, H, W), as far as the file has it."""
    T = min(len(truth), len(forecast))
    maps = {"truth": truth[:T], "forecast": forecast, "error": forecast[:T] - truth[:T]}
    titles = [f"{step} frames after the last that is given" for step in range(1, len(forecast) + 1)]
    figures.animate(path, {"": maps if T else {"forecast": forecast}}, titles, field)


if __name__ == "__main__":
    guarded(main)
