"""Print the cost of a study in operations, hours and bytes; needs no data.

`python -m chimera.commands.plan [OVERRIDE ...]` counts the study that conf/ composes with these
overrides, such as `scale=gpu`. Hours follow from laws that benchmarks/scaling.py measured on one
core; with `--throughput`, hours of networks follow from the MACs a second that a device sustains.
"""

import argparse
from collections.abc import Sequence
from functools import partial
from math import inf
from pathlib import Path
from typing import Annotated, Any

from msgspec import Meta
from tqdm import tqdm

from chimera.data.settings import GeneratedData, read_data_of
from chimera.evaluation.settings import EvaluateSettings
from chimera.files.artifacts import parse_yaml, read_yaml
from chimera.interface.errors import InputError, guarded
from chimera.interface.settings import read_settings
from chimera.models.forecasting.building import fit_to_data
from chimera.planning.composition import compose
from chimera.planning.costs import FLOAT_BYTES, Laws, generation_part, network_cost, run_parts
from chimera.training.settings import train_settings

STATES = 5  # numbers a parameter: weight, gradient, two moments and the average
readable = partial(tqdm.format_sizeof, suffix="B")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="plan", description=__doc__)
    parser.add_argument("--cores", type=int, default=1, help="that work side by side")
    parser.add_argument("--throughput", type=float, help="MACs a second that a device sustains")
    parser.add_argument("overrides", nargs="*", help="such as scale=gpu or train.steps=10000")
    options = parser.parse_args(arguments)
    for name in ("cores", "throughput"):
        if (value := getattr(options, name)) is not None and not 0 < value < inf:
            raise InputError(f"--{name} is {value}, expected more than 0, and finite")
    params = parse_yaml(compose(options.overrides), "params.yaml")
    lists = {name: params[name] for name in ("replicates", "model_names", "datasets")}
    read_settings(lists, "study", dict[str, Annotated[tuple[Any, ...], Meta(min_length=1)]])
    laws = read_settings(read_yaml(Path("benchmarks/laws.yaml")), "laws", Laws)
    data = read_data_of(params["data"], GeneratedData)
    names = [name for name in params["datasets"] if name not in data.imported]
    replicates = len(params["replicates"])
    horizon = read_settings(params["evaluate"], "evaluate", EvaluateSettings).horizon
    K, shape = len(data.conditioning), (len(data.fields), data.num_points, data.num_points)

    parts, memory = [generation_part(data, names, laws)], []
    available = data.datasets[names[0]].trajectories["train"]
    resident = min(params["train"].get("trajectories") or available, available) * data.num_frames
    resident *= data.num_points**2 * (len(data.fields) + K) * FLOAT_BYTES
    first = max(len(f"evaluate {name}") for name in params["model_names"])
    for name in params["model_names"]:
        section = params["models"][name]
        fit = partial(fit_to_data, conditioning=K, past_frames=data.past_frames)
        fields = fit(section, shape, ("periodic", "periodic"))
        train = train_settings(params["train"], section, f"models.{name}")
        cost = network_cost(fields, train.precision)
        parts += run_parts(name, cost, replicates, train, horizon, data, names, laws)
        batch = train.batch_size // train.devices * train.unroll * cost.activation_bytes
        sizes = f"{cost.params:>12,}{cost.macs:>16,}{readable(batch):>10}"
        states = readable(STATES * cost.params * FLOAT_BYTES)
        memory.append(f"{name:{first}}{sizes}{states:>11}")
    cores = f"{options.cores} core(s) of {laws.machine}"
    where = f"all on {cores}, by benchmarks/laws.yaml"
    seconds = {part.name: part.core_seconds / options.cores for part in parts}
    if options.throughput:
        where = f"networks at {options.throughput:.3g} MACs/s, generate on {cores}"
        networks = [part for part in parts if part.name != "generate"]
        seconds |= {part.name: part.operations / options.throughput for part in networks}
    lines = []
    for part in parts:
        count = f"{part.operations:.3g} {'FLOPs' if part.name == 'generate' else 'MACs'}"
        cells = f"{count:>16}{seconds[part.name] / 3600:>10.3g}{readable(part.bytes):>10}"
        lines.append(f"{part.name:{first}}{part.number:>8}{cells}")
    total, stored = sum(seconds.values()) / 3600, sum(part.bytes for part in parts)
    print(  # noqa: T201
        f"{params['scale']['name']}: {data.num_points}^2, {train.steps} steps of "
        f"{train.batch_size}, {replicates} replicates",
        f"{'part':{first}}{'number':>8}{'operations':>16}{'hours':>10}{'disk':>10}",
        *lines,
        f"{'all':{first + 24}}{total:>10.3g}{readable(stored):>10}",
        "",
        f"memory of one process that trains, beside {readable(resident)} of training data:",
        f"{'model':{first}}{'parameters':>12}{'MACs a frame':>16}{'a batch':>10}{'optimiser':>11}",
        *memory,
        f"\nhours: {where}\n{', '.join(['probes', *data.imported])} and report are not counted",
        sep="\n",
    )


if __name__ == "__main__":
    guarded(main)
