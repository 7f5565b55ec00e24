"""How cost grows with grid, trajectories, parameters and replicates, and the laws that follow.

On one core, processor time, best of several turns, all sizes of a series in turn so that a noisy
machine slows all alike. Each series is fitted by a power of its variable, over all sizes and of
the last two, in which what is fixed in a call weighs least; theory says

    solver        N^2 log2 N for a step of a trajectory, linear in trajectories
    training      linear in N^2 (the MACs of a convolution), in parameters' MACs, in replicates
    evaluation    the same, for a forward pass

The laws that predict are those of chimera.planning.costs, fitted to relative errors. `python
benchmarks/scaling.py [--turns 5] [--write]`; `--write` leaves them in benchmarks/laws.yaml, which
`make plan` reads. It ends with what they say of a step at the gpu scale, beside the time it takes.
"""

import argparse
import math
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import yaml
from msgspec.structs import replace
from scipy.optimize import nnls

from chimera.data.batches.trajectories import Form, Windows
from chimera.data.sources.generation import AT_ONCE
from chimera.files.artifacts import read_params, write_text
from chimera.interface.settings import as_plain, read_settings
from chimera.models import build_model
from chimera.models.forecasting import stepping
from chimera.planning.composition import compose
from chimera.planning.costs import Law, Laws, network_cost, solver_step_flops
from chimera.solver.forcing import KolmogorovForcing
from chimera.solver.initial import random_vorticity
from chimera.solver.navier_stokes import simulate
from chimera.training.loop import Training
from chimera.training.settings import TrainSettings
from held import hold_this_process

BOX = 2 * math.pi
GRIDS = (32, 64, 128, 256)


def best(calls: dict[int, Callable[[], object]], turns: int) -> dict[int, float]:
    """Return the least processor time of each call, after one that warms up."""
    for call in calls.values():
        call()
    seconds = dict.fromkeys(calls, math.inf)
    for _ in range(turns):
        for size, call in calls.items():
            start = time.process_time()
            call()
            seconds[size] = min(seconds[size], time.process_time() - start)
    return seconds


def exponent(points: dict[int, float]) -> float:
    """Return p of the power a x^p through the points, by least squares in logarithms."""
    return float(np.polyfit(np.log(list(points)), np.log(list(points.values())), 1)[0])


def show(title: str, variable: str, points: dict[int, float], theory: str) -> None:
    """Print one series and its exponents."""
    print(f"\n{title}")
    for size, seconds in points.items():
        print(f"  {variable} = {size:<10,} {seconds * 1e3:10.3f} ms")
    last = dict(list(points.items())[-2:])
    both = f"exponent {exponent(points):.2f}, of the last two {exponent(last):.2f}"
    print(f"  {both}; theory {theory}", flush=True)


def fit(title: str, rows: list[tuple[str, float, float, float]]) -> Law:
    """Print and return the law through rows of (name, operations, activation bytes, seconds)."""
    columns = np.array([(1.0, operations, kept) for _, operations, kept, _ in rows])
    seconds = np.array([row[3] for row in rows])
    scale = columns.max(axis=0)
    scale[scale == 0] = 1.0
    solution, _ = nnls(columns / scale / seconds[:, None], np.ones(len(rows)))
    law = Law(*(float(value) for value in solution / scale))
    off = {row[0]: law.seconds(row[1], row[2]) / row[3] - 1 for row in rows}
    worst = max(off, key=lambda name: abs(off[name]))
    typical = math.sqrt(sum(value**2 for value in off.values()) / len(off))
    terms = (law.fixed * 1e3, law.per_operation * 1e12, law.per_byte * 1e12)
    units = ("ms", "ps an operation", "ps a byte of activations")
    sentence = " + ".join(f"{t:.3g} {unit}" for t, unit in zip(terms, units, strict=True))
    print(f"\nlaw of {title}: {sentence}")
    print(f"  off by {typical:.0%} (root mean square), most at {worst}: {off[worst]:+.0%}")
    return law


def solving(num_points: int, trajectories: int, steps: int) -> Callable[[], object]:
    """Return the integration of some trajectories over some steps."""
    draws = (np.random.default_rng(i) for i in range(trajectories))
    fields = torch.stack([random_vorticity(rng, num_points, BOX, 4) for rng in draws])
    return lambda: simulate(
        fields,
        viscosity=0.01,
        drag=0.1,
        forcing=KolmogorovForcing(1.0, 4),
        domain_extent=BOX,
        time_step=0.25 / num_points,
        num_steps=steps,
        save_every=steps,
    )


def run_of(fields: dict, settings: TrainSettings) -> Training:
    """Return a training on random frames of the model's shape."""
    torch.manual_seed(0)
    frames = torch.randn(2, 1 + settings.unroll + 4, *fields["input_shape"])
    windows = Windows(frames, Form(1 + settings.unroll, settings.batch_size, (0,)))
    endless = replace(settings, steps=10**9, validate_every=10**9, schedule="constant")
    return Training(build_model(fields), windows, frames, endless)


def at_grid(fields: dict, num_points: int) -> dict:
    """Return the settings of the same network on another grid."""
    return fields | {"input_shape": [fields["input_shape"][0], num_points, num_points]}


def forecasting(fields: dict, batch: int) -> Callable[[], object]:
    """Return the forecast of a batch."""
    network, frames = build_model(fields).eval(), torch.randn(batch, *fields["input_shape"])

    def call() -> None:
        with torch.no_grad():
            stepping.step(network, frames)

    return call


def solver_law(turns: int) -> Law:
    """Measure the solver against grid and trajectories, as many at once as generation takes."""
    steps = {n: max(4, round(80 * (32 / n) ** 2)) for n in GRIDS}
    times = best({n: solving(n, AT_ONCE, steps[n]) for n in GRIDS}, turns)
    step = {n: times[n] / steps[n] for n in GRIDS}
    show(f"solver: a step of {AT_ONCE} trajectories", "N", step, "2 and more (N^2 log2 N)")
    times = best({n: solving(64, n, 20) for n in (2, 4, 8, 16, 32)}, turns)
    show("solver: 20 steps on 64^2", "trajectories", times, "1")
    rows = [(f"{n}^2", solver_step_flops(n), 0.0, step[n] / AT_ONCE) for n in GRIDS]
    return fit("a step of one trajectory", rows)


def network_laws(models: dict[str, dict], settings: TrainSettings, turns: int) -> tuple[Law, Law]:
    """Measure training and evaluation against grid, parameters and replicates."""
    B, rows = settings.batch_size, []

    def series(variants: dict[int, dict], name: str) -> dict[int, float]:
        steps = best({n: run_of(f, settings).advance for n, f in variants.items()}, turns)
        passes = best({n: forecasting(f, B) for n, f in variants.items()}, turns)
        for n, fields in variants.items():
            rows.append((f"{name} {n}", network_cost(fields), steps[n] / B, passes[n] / B))
        return steps

    for name, fields in models.items():
        grids = series({n: at_grid(fields, n) for n in GRIDS}, name)
        show(f"training of {name}: a step of {B}", "N", grids, "2")
    base = next(iter(models.values()))
    widths = {k: base | {"channels": [k * c for c in base["channels"]]} for k in (1, 2, 3, 4)}
    steps = series(widths, "width")
    params = {network_cost(widths[k]).params: seconds for k, seconds in steps.items()}
    show(f"training: a step of {B}", "parameters", params, "1 (convolutions alone)")

    def replicated(number: int) -> Callable[[], object]:
        return lambda: [run_of(base, settings).advance() for _ in range(number)]

    times = best({r: replicated(r) for r in (1, 2, 4, 8)}, turns)
    show("training: a network and its first step", "replicates", times, "1")
    return (
        fit("a training sample", [(n, 3 * c.macs, c.activation_bytes, t) for n, c, t, _ in rows]),
        fit("a forecast", [(n, c.macs, c.activation_bytes, t) for n, c, _, t in rows]),
    )


def prediction(laws: Laws, turns: int) -> None:
    """Print what the laws say of a step at the gpu scale beside its time."""
    params = yaml.safe_load(compose(["scale=gpu"]))
    settings = read_settings(params["train"], "train", TrainSettings)
    print(f"\na step of {settings.batch_size} at the gpu scale, predicted and measured, seconds")
    for name, fields in params["models"].items():
        cost = network_cost(fields)
        predicted = settings.batch_size * cost.sample_seconds(laws)
        measured = best({0: run_of(fields, settings).advance}, turns)[0]
        rate = settings.batch_size * 3 * cost.macs / measured
        off = predicted / measured - 1
        print(f"  {name:16} {predicted:8.3f} {measured:8.3f}  {off:+.0%}, {rate:.3g} MACs/s")


def processor() -> str:
    """Return the processor's name."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    return next((x.split(":")[1].strip() for x in lines if x.startswith("model name")), "a core")


def main() -> None:
    """Measure, print, and write the laws if asked to."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--write", action="store_true", help="benchmarks/laws.yaml")
    options = parser.parse_args()
    hold_this_process()
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    torch.set_num_threads(1)
    params = read_params()
    settings = read_settings(params["train"], "train", TrainSettings)
    solver = solver_law(options.turns)
    training, evaluation = network_laws(params["models"], settings, options.turns)
    machine = f"{processor()}, torch {torch.__version__.split('+')[0]}"
    laws = Laws(machine, solver, training, evaluation)
    prediction(laws, options.turns)
    if options.write:
        head = "# Seconds of one core; written by benchmarks/scaling.py --write\n"
        content = yaml.safe_dump(as_plain(laws), sort_keys=False)
        write_text(Path(__file__).with_name("laws.yaml"), head + content)


if __name__ == "__main__":
    main()
