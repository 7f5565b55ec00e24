"""How the networks answer fields of another amplitude than those that they were trained on.

Frames of the validation split are multiplied by c and integrated by the solver, on twice the points
and with the trajectory's own physics, over one frame interval; the networks forecast the same. In
a table for each model and c, means over replicates: the rms of the predicted increment over that of
the true one, and the nRMSE of the forecast.

    python benchmarks/amplitude.py [--scales 0.5 1 2]

Needs the checkpoints and the data of a finished run.
"""

import argparse
import math
from pathlib import Path

import torch

from chimera.data.layout.splits import Split
from chimera.evaluation.forecasters import Physics, network_forecaster, physics_of
from chimera.fields.fourier import resample, velocity
from chimera.fields.nrmse import nrmse
from chimera.files.artifacts import read_params, read_yaml
from chimera.models.forecasting.checkpoint import read_network
from chimera.solver import MAX_CFL, simulate

EVERY = 5  # frames between two that are taken


def truth(frames: torch.Tensor, physics: Physics, points: int) -> torch.Tensor:
    """Return the frames (n, 1, N, N) one interval later, integrated in double precision."""
    fine, L = resample(frames[:, 0].double(), points), physics.domain_extent
    speed = float(velocity(fine, L).abs().sum(dim=-1).max())
    steps = math.ceil(physics.interval * speed * points / (0.5 * MAX_CFL * L))
    later = simulate(
        fine,
        viscosity=physics.viscosity,
        drag=physics.drag,
        forcing=physics.forcing,
        domain_extent=L,
        time_step=physics.interval / steps,
        num_steps=steps,
        save_every=steps,
    )
    return resample(later[:, -1:], frames.shape[-1]).float()


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--scales", type=float, nargs="+", default=[0.5, 1.0, 2.0])
    scales = parser.parse_args().scales
    params = read_params()
    ind = read_yaml(Path("metrics/gates/verify/training.yaml"))["axes"]["ind"]
    box, interval = ind["layout"]["extent"][0], ind["layout"]["frame_interval"]
    folder = Path("data") / ind["dataset"] / "data/valid"
    print(f"{'model':16}{'scale':>7}{'increment':>11}{'nRMSE':>8}")
    for model in params["model_names"]:
        rows: dict[float, list[tuple[float, float]]] = {c: [] for c in scales}
        for replicate in params["replicates"]:
            path = Path("checkpoints", model, str(replicate), "model.safetensors")
            trained = read_network(path, torch.device("cpu"))
            split = Split(folder, trained.fields, trained.conditioning)
            data = torch.from_numpy(split.read())
            physics = physics_of(split.scalars, box, interval)
            forecast = network_forecaster(trained, data[:, 0, 1:])
            for c in scales:
                starts = [c * data[:, t, :1] for t in range(0, data.shape[1], EVERY)]
                true = [truth(x, physics, params["data"]["simulated_points"]) for x in starts]
                said = [forecast(x, torch.arange(len(x))) for x in starts]
                x, y, z = (torch.cat(parts) for parts in (starts, true, said))
                ratio = float((z - x).square().mean().sqrt() / (y - x).square().mean().sqrt())
                rows[c].append((ratio, float(nrmse(z, y).mean())))
        for c, found in rows.items():
            ratio, error = (sum(column) / len(found) for column in zip(*found, strict=True))
            print(f"{model:16}{c:>7g}{ratio:>11.3f}{error:>8.3f}")


if __name__ == "__main__":
    main()
