"""What a solution costs, against two peers and against the machine's Fourier transforms.

Side by side in one run, on one core, processor time, best of several turns:

1. Cost to reach a relative error of 1e-4 at t = 1 (128^2, nu = 1e-3, float64, random vorticity with
   its spectrum's peak at 4 and rms velocity 1, no forcing), milliseconds a trajectory, against
   exponax's ETDRK4 and jax-cfd's CN-RK4. Every solver takes the fewest steps that reach it, and the
   better of batch 1 and 16. The error is that of time, against the same solver's solution with
   2,000 steps.
2. Steps of one trajectory a second, and two fractions. The first is of the limit that the 16
   Fourier transforms of a step set to a solver built on torch: its time for 16 whole
   two-dimensional transforms of one real field, two of them packed into a complex one where that
   is faster. Ours are pruned and compiled for lines in a core's cache, hence above 1. The second is
   of our own limit: the time of these transforms alone, without loads from and stores to the
   trajectory's arrays, products and time stepping.
3. For the regimes of params.yaml: the error after one frame, on the stored grid, of the simulated
   grid and time step against twice the resolution and half the step, from developed flow, and the
   largest |u| + |v| seen.

4. What a first call costs: compilation in a process of its own, with a cache that is empty and one
   that is not, and the check of stability, every 10 steps, as a fraction of a step.

`python benchmarks/solver.py [--peers PYTHON] [--turns 7]`; PYTHON is an interpreter with `exponax`
and `jax-cfd`, without which part 1 has our row alone.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numba import njit
from torch import Tensor

from chimera.data.settings import GeneratedData, read_data_of
from chimera.data.sources.generation import draw_trajectory, regime_of, simulate_trajectories
from chimera.fields.fourier import resample, velocity
from chimera.files.artifacts import read_params
from chimera.solver.compiled import advection as compiled_advection
from chimera.solver.compiled import kernels
from chimera.solver.forcing import KolmogorovForcing
from chimera.solver.initial import random_vorticity
from chimera.solver.navier_stokes import simulate
from chimera.solver.spectral_grid import SpectralGrid, split_planes

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
        solvers = {"chimera": (ours, (1, 16))}
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


@njit
def transform_lines(work: Any, passes: Any, twiddles: Any, count: int) -> None:
    """Transform `count` blocks, of one line a lane."""
    for _ in range(count):
        kernels.transform(work[0], work[1], passes, twiddles)


def own_limit(num_points: int, dtype: torch.dtype, batch: int) -> Callable[[], object]:
    """Return the transforms of a step alone: 16 of fields, pruned, for each trajectory."""
    lanes = kernels.lane_count(dtype.itemsize)
    columns = SpectralGrid(num_points).shape[1]
    blocks = 4 * (4 * math.ceil(columns / lanes) + 2 * math.ceil(num_points / lanes)) * batch
    work = torch.zeros((2, 2, num_points, lanes), dtype=dtype).numpy()
    passes, twiddles = compiled_advection.plan_transform(num_points, work.dtype.type)
    return lambda: transform_lines(work, passes, twiddles, blocks)


def throughput(turns: int) -> None:
    """Print part 2."""
    print("\ntrajectory-steps a core-second (fraction of torch's limit, of our own transforms')")
    print(f"{'grid':>6} {'batch':>6} {'float64':>20} {'float32':>20}")
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
                limits = [kind(num_points, dtype, batch) for kind in (transform_limit, own_limit)]
                run(), limits[1]()  # compile
                mine, floors = math.inf, [math.inf, math.inf]
                for _ in range(turns):
                    mine = min(mine, seconds(run) / steps)
                    floors = [
                        min(floor, seconds(limit))
                        for floor, limit in zip(floors, limits, strict=True)
                    ]
                fractions = ", ".join(f"{floor / mine:.2f}" for floor in floors)
                cells.append(f"{batch / mine:8.0f} ({fractions})")
            print(f"{num_points:4}^2 {batch:6} {cells[0]:>20} {cells[1]:>20}")


def regimes(data: GeneratedData) -> None:
    """Print part 3."""
    print("\nerror after one frame against twice the resolution and half the step")
    print(f"{'dataset':26} {'grid':>6} {'steps a frame':>14} {'error':>9} {'largest speed':>14}")
    for name, dataset in data.datasets.items():
        regime = regime_of(dataset, data)
        regime = replace(regime, num_frames=2, num_points=regime.simulated_points)
        start = torch.from_numpy(simulate_trajectories(regime, (0,), range(4)))[:, 0].double()
        drawn = [draw_trajectory(regime, (0,), number)[1] for number in range(4)]
        speed = float(velocity(start, regime.domain_extent).abs().sum(-1).max())
        stored = []
        for factor in (1, 2):
            steps = factor * factor * regime.steps_per_frame
            frames = simulate(
                resample(start, factor * regime.simulated_points),
                viscosity=torch.tensor([one.viscosity for one in drawn], dtype=torch.float64),
                drag=torch.tensor([one.drag for one in drawn], dtype=torch.float64),
                forcing=[one.forcing for one in drawn],
                domain_extent=regime.domain_extent,
                time_step=regime.frame_interval / steps,
                num_steps=steps,
                save_every=steps,
            )
            stored.append(resample(frames[:, -1], data.num_points))
        error = float(((stored[0] - stored[1]).norm(dim=(1, 2)) / stored[1].norm(dim=(1, 2))).max())
        grid = f"{regime.simulated_points}^2"
        print(f"{name:26} {grid:>6} {regime.steps_per_frame:14} {error:9.1e} {speed:14.2f}")


FIRST_CALL = """
import time, torch
from chimera.solver import simulate
fields = torch.ones((1, 128, 128), dtype=torch.float64)
start = time.process_time()
simulate(fields, viscosity=0.01, domain_extent=1.0, time_step=0.01, num_steps=0)
print(time.process_time() - start)
"""


def first_call(turns: int) -> None:
    """Print part 4."""
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"NUMBA_CACHE_DIR": folder}
        empty, full = (
            float(subprocess.check_output([sys.executable, "-c", FIRST_CALL], env=environment))
            for _ in range(2)
        )
    print(
        f"\nfirst call: {empty:.1f} s of compilation, {full:.2f} s with what it left in the cache"
    )
    grid = SpectralGrid(128)
    state = split_planes(grid.to_modes(random_fields(16, 128)))
    engine, out = compiled_advection.CompiledAdvection(grid, BOX, state), torch.empty_like(state)
    check = min(seconds(lambda: engine.largest_speed(state)) for _ in range(turns + 1))
    tendency = min(seconds(lambda: engine(state, out)) for _ in range(turns + 1))
    print(f"check of stability: {check / (10 * 4 * tendency):.1%} of the tendencies of 10 steps")


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
    regimes(read_data_of(read_params()["data"], GeneratedData))
    first_call(options.turns)


if __name__ == "__main__":
    main()
