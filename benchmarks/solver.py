"""What a solution costs, against two peers and against the machine's Fourier transforms.

Side by side in one run, on one core, processor time, best of several turns:

1. Cost to reach a relative error of 1e-4 at t = 1 (128^2, nu = 1e-3, float64, random vorticity with
   its spectrum's peak at 4 and rms velocity 1, no forcing), milliseconds a trajectory, against
   exponax's ETDRK4 and jax-cfd's CN-RK4. Every solver takes the fewest steps that reach it, and the
   better of batch 1 and 16 (ours: 2 and 16). The error is that of time, against the same solver's
   solution with 2,000 steps.
2. Steps of one trajectory a second, and the fraction of the limit that the 16 Fourier transforms of
   a step set: the time that torch takes for 16 whole two-dimensional transforms of one real field,
   two of them packed into a complex one where that is faster. We prune transforms, so that the
   fraction may exceed 1.
3. For the regimes of params.yaml: the error after one frame, on the stored grid, of the simulated
   grid and time step against twice the resolution and half the step, from developed flow, and the
   largest |u| + |v| seen.

`python benchmarks/solver.py [--peers PYTHON] [--turns 7]`; PYTHON is an interpreter with `exponax`
and `jax-cfd`, without which part 1 has our row alone.
"""

import argparse
import json
import math
import os
import subprocess
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from chimera.artifacts import read_params
from chimera.data.generation import Regime, simulate_trajectories
from chimera.fourier import resample, velocity
from chimera.solver import KolmogorovForcing, random_vorticity, simulate

BOX = 2 * math.pi
TARGET = 1e-4
VISCOSITY = 1e-3
REFERENCE_STEPS = 2000


def seconds(function: Callable[[], object]) -> float:
    """Return the processor time of one call."""
    start = time.process_time()
    function()
    return time.process_time() - start


def random_fields(count: int, num_points: int) -> Tensor:
    """Return random vorticities (count, N, N), float64."""
    return torch.stack(
        [random_vorticity(np.random.default_rng(i), num_points, BOX, 4) for i in range(count)]
    )


class Peers:
    """The process in which the peers run."""

    def __init__(self, python: str, initial: Tensor, folder: Path) -> None:
        self._result = folder / "result.npy"
        np.save(folder / "initial.npy", initial.numpy())
        script = Path(__file__).with_name("solver_peers.py")
        self._process = subprocess.Popen(
            [python, script, folder / "initial.npy", self._result, str(VISCOSITY)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __call__(self, solver: str, steps: int, batch: int) -> tuple[float, Tensor]:
        """Return processor time and last vorticity (N, N) of one run."""
        assert self._process.stdin
        assert self._process.stdout
        request = {"solver": solver, "steps": steps, "batch": batch}
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        return answer["seconds"], torch.from_numpy(np.load(self._result))


def fewest_steps(error: Callable[[int], float]) -> int:
    """Return the fewest steps, within 2%, whose error is at most the target, by bisection."""
    few, many = 20, 40
    while not error(many) <= TARGET:
        few, many = many, 2 * many
    while many > math.ceil(1.02 * few):
        middle = (few + many) // 2
        few, many = (few, middle) if error(middle) <= TARGET else (middle, many)
    return many


def equal_accuracy(python: str | None, turns: int) -> None:
    """Print part 1."""
    initial = random_fields(1, 128)[0]
    run = {"viscosity": VISCOSITY, "domain_extent": BOX}

    def ours(steps: int, batch: int) -> tuple[float, Tensor]:
        fields = initial.expand(batch, -1, -1)
        start = time.process_time()
        frames = simulate(fields, time_step=1 / steps, num_steps=steps, save_every=steps, **run)
        return time.process_time() - start, frames[0, -1]

    def error_of(solve: Callable[[int, int], tuple[float, Tensor]]) -> Callable[[int], float]:
        # Each solver's own, since they differ in the modes that they keep at the cut.
        reference = solve(REFERENCE_STEPS, 1)[1]

        def error(steps: int) -> float:
            try:
                result = solve(steps, 1)[1]
            except ValueError:  # our solver refuses an unstable step
                return math.inf
            return float((result - reference).norm() / reference.norm())

        return error

    with tempfile.TemporaryDirectory() as folder:
        solvers: dict[str, tuple[Callable[[int, int], tuple[float, Tensor]], tuple[int, int]]]
        solvers = {"chimera": (ours, (2, 16))}
        if python:
            peers = Peers(python, initial, Path(folder))
            for name in ("exponax", "jax-cfd"):
                solvers[name] = (lambda s, b, name=name: peers(name, s, b), (1, 16))
        errors = {name: error_of(solve) for name, (solve, _) in solvers.items()}
        steps = {name: fewest_steps(error) for name, error in errors.items()}
        times: dict[tuple[str, int], list[float]] = {}
        for _ in range(turns + 1):  # the first warms up, and compiles
            for name, (solve, batches) in solvers.items():
                for batch in batches:
                    taken = solve(steps[name], batch)[0] / batch
                    times.setdefault((name, batch), []).append(taken)
        print(f"cost of relative error {TARGET:g} at t = 1, 128^2, nu = {VISCOSITY:g}, float64")
        print(f"{'solver':10} {'steps':>6} {'error':>9} {'ms a trajectory':>18} {'ratio':>6}")
        cost = {
            name: [min(times[name, batch][1:]) * 1e3 for batch in batches]
            for name, (_, batches) in solvers.items()
        }
        for name, (_, batches) in solvers.items():
            ratio = min(cost[name]) / min(cost["chimera"])
            shown = "  ".join(f"{c:.0f} (B={b})" for c, b in zip(cost[name], batches, strict=True))
            error = errors[name](steps[name])
            print(f"{name:10} {steps[name]:6} {error:9.1e} {shown:>18} {ratio:6.2f}")


def transform_limit(num_points: int, dtype: torch.dtype, batch: int) -> Callable[[], object]:
    """Return 16 transforms of `batch` real fields."""
    real = torch.randn(batch, num_points, num_points, dtype=dtype)
    packed = torch.randn(max(1, batch // 2), num_points, num_points, dtype=dtype.to_complex())
    modes = torch.fft.rfft2(real)
    candidates: list[Callable[[], object]] = [
        lambda: (torch.fft.fft2(packed), torch.fft.ifft2(packed)),
        lambda: (torch.fft.rfft2(real), torch.fft.irfft2(modes)),
    ]
    fastest = min(candidates, key=lambda pair: min(seconds(pair) for _ in range(9)))
    return lambda: [fastest() for _ in range(8)]


def throughput(turns: int) -> None:
    """Print part 2."""
    print("\ntrajectory-steps a core-second, and the fraction of the limit of 16 transforms")
    print(f"{'grid':>6} {'batch':>6} {'float64':>16} {'float32':>16}")
    for num_points in (64, 128, 256):
        for batch in (1, 16):
            cells = []
            for dtype in (torch.float64, torch.float32):
                fields = random_fields(batch, num_points).to(dtype)
                steps = max(4, int(200 * (64 / num_points) ** 2 * 4 / (batch + 3)))

                physics = {
                    "viscosity": 0.01,
                    "drag": 0.1,
                    "forcing": KolmogorovForcing(1.0, 4),
                    "domain_extent": BOX,
                    "time_step": 0.25 / num_points,
                    "num_steps": steps,
                    "save_every": steps,
                }
                run = partial(simulate, fields, **physics)
                limit = transform_limit(num_points, dtype, batch)
                run()
                mine, floor = math.inf, math.inf
                for _ in range(turns):
                    mine = min(mine, seconds(run) / steps)
                    floor = min(floor, seconds(limit))
                cells.append(f"{batch / mine:8.0f} ({floor / mine:.2f})")
            print(f"{num_points:4}^2 {batch:6} {cells[0]:>16} {cells[1]:>16}")


def regimes(data: dict[str, Any]) -> None:
    """Print part 3."""
    print("\nerror after one frame against twice the resolution and half the step")
    print(f"{'dataset':26} {'grid':>6} {'steps a frame':>14} {'error':>9} {'largest speed':>14}")
    for name, settings in data["datasets"].items():
        fields = {k: v for k, v in settings.items() if k != "trajectories"}
        forcing = fields.pop("forcing")
        shared = {k: data[k] for k in ("domain_extent", "num_points", "simulated_points")}
        regime = Regime(
            forcing=KolmogorovForcing(**forcing) if forcing else None,
            num_frames=2,
            frame_interval=data["frame_interval"],
            **fields,
            **shared | {"num_points": shared["simulated_points"]},
        )
        start = torch.from_numpy(simulate_trajectories(regime, (0,), range(4)))[:, 0].double()
        speed = float(velocity(start, regime.domain_extent).abs().sum(-1).max())
        stored = []
        for factor in (1, 2):
            steps = factor * factor * regime.steps_per_frame
            frames = simulate(
                resample(start, factor * regime.simulated_points),
                viscosity=regime.viscosity,
                drag=regime.drag,
                forcing=regime.forcing,
                domain_extent=regime.domain_extent,
                time_step=regime.frame_interval / steps,
                num_steps=steps,
                save_every=steps,
            )
            stored.append(resample(frames[:, -1], shared["num_points"]))
        error = float(((stored[0] - stored[1]).norm(dim=(1, 2)) / stored[1].norm(dim=(1, 2))).max())
        grid = f"{regime.simulated_points}^2"
        print(f"{name:26} {grid:>6} {regime.steps_per_frame:14} {error:9.1e} {speed:14.2f}")


def main() -> None:
    """Print all parts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peers", help="interpreter with exponax and jax-cfd")
    parser.add_argument("--turns", type=int, default=7)
    options = parser.parse_args()
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})  # the peers' process inherits it
    torch.set_num_threads(1)
    equal_accuracy(options.peers, options.turns)
    throughput(options.turns)
    regimes(read_params()["data"])


if __name__ == "__main__":
    main()
