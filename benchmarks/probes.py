"""What the probes' numerics cost, beside other packages and beside the work no method avoids.

Every part takes turns with its peers in one process and compares the best times of all turns, which
a busy machine disturbs least; all must give one answer. On one thread that is the time of the
process, on several it is what the clock shows. Needs the development packages;
infomeasure, under the AGPL and not among them, is compared where it is installed.

The part `cells` measures whole probes instead, in core-seconds without the start of a process, on
the committed checkpoints of one replicate.

    python benchmarks/probes.py [twonn ksg cells ...] [--turns 5] [--threads 1]
"""

import argparse
import importlib
import importlib.util
import resource
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from zlib import crc32

import npeet_plus
import numpy as np
import skdim
import torch
from threadpoolctl import threadpool_limits

from chimera.data.layout.splits import Split
from chimera.files.artifacts import read_params, read_yaml
from chimera.models.forecasting.checkpoint import read_network
from chimera.models.forecasting.stepping import states
from chimera.probes.common.registry import probe_measure, probe_settings
from chimera.probes.common.subject import Subject
from chimera.probes.ib.ksg import mutual_information, rank, shuffled_information
from chimera.probes.twonn.estimator import intrinsic_dimension


def best_times(
    contenders: Mapping[str, Callable[[], float | None]], turns: int
) -> tuple[dict[str, float], dict[str, float | None]]:
    """Return each contender's least time in seconds, and its last answer."""
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    times = {name: float("inf") for name in contenders}
    answers: dict[str, float | None] = {}
    for _ in range(turns):
        for name, run in contenders.items():
            start = clock()
            answers[name] = run()
            times[name] = min(times[name], clock() - start)
    return times, answers


def twonn(turns: int) -> None:
    """Dimension of 10,000 points in 512 dimensions, float32: at most 1.3 times a bare GEMM."""
    n, D = 10_000, 512
    points = np.random.default_rng(0).standard_normal((n, D), dtype=np.float32)
    tensor, gram = torch.from_numpy(points), torch.empty(n, n)
    before = peak_memory()
    intrinsic_dimension(points)
    memory = peak_memory() - before

    def gemm() -> None:
        torch.mm(tensor, tensor.T, out=gram)

    contenders: dict[str, Callable[[], float | None]] = {
        "bare GEMM": gemm,
        "chimera": lambda: intrinsic_dimension(points),
        "scikit-dimension": lambda: float(skdim.id.TwoNN().fit(points).dimension_),
    }
    times, answers = best_times(contenders, turns)
    ours, theirs = answers["chimera"], answers["scikit-dimension"]
    assert abs(ours / theirs - 1) < 1e-5, (ours, theirs)
    print(f"two nearest neighbours, n = {n}, D = {D}, float32: d = {ours:.5f} and {theirs:.5f}")
    for name, seconds in times.items():
        print(f"  {name:17s} {seconds:6.2f} s, {seconds / times['chimera']:5.2f} of chimera's")
    print(f"  chimera's time is {times['chimera'] / times['bare GEMM']:.2f} of the bare GEMM's")
    print(f"  chimera's memory is {memory:.2f} GB at its peak, beside the points")


def ksg(turns: int) -> None:
    """Information of 10,000 samples in 3 dimensions a side, and 100 shuffles of 1,024 at once."""
    r = np.random.default_rng(0)
    for rho in (0.0, 0.9):
        x = r.standard_normal((10_000, 3))
        y = rho * x + np.sqrt(1 - rho**2) * r.standard_normal((10_000, 3))
        contenders: dict[str, Callable[[], float | None]] = {
            "chimera": partial(mutual_information, x, y),
            "NPEET-plus": partial(npeet_plus.mi, x, y, k=3, base=np.e),
        }
        if importlib.util.find_spec("infomeasure"):
            estimate = importlib.import_module("infomeasure").mutual_information
            options = {"approach": "ksg", "k": 3, "base": "e", "noise_level": 0}
            contenders["infomeasure"] = partial(estimate, x, y, **options)
        print_against_ours(f"KSG, n = 10,000, d = 3 a side, rho = {rho}", contenders, turns)
    few = x[:1024], y[:1024]
    orders = r.permuted(np.tile(np.arange(1024), (100, 1)), axis=1)

    def one_by_one() -> float:
        return float(np.mean([mutual_information(few[0], few[1][order]) for order in orders]))

    shuffles: dict[str, Callable[[], float | None]] = {
        "chimera": lambda: float(shuffled_information(rank(few[0]), few[1], orders).mean()),
        "one by one": one_by_one,
    }
    print_against_ours("mean of 100 shuffles, n = 1,024, d = 3 a side", shuffles, turns)


def print_against_ours(
    title: str, contenders: Mapping[str, Callable[[], float | None]], turns: int
) -> None:
    """Print the times of contenders who agree to 1e-5, and their ratios to chimera's."""
    for run in contenders.values():
        run()  # compiled before it is timed
    times, answers = best_times(contenders, turns)
    assert np.ptp(list(answers.values())) < 1e-5, answers
    print(f"{title}: {answers['chimera']:.6f} nats")
    for name, seconds in times.items():
        ratio = seconds / times["chimera"]
        print(f"  {name:17s} {1e3 * seconds:6.0f} ms, {ratio:5.2f} of chimera's")


def peak_memory() -> float:
    """Return the most memory that the process has held so far, in GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def read_subject(cell: str) -> Subject:
    """Return the network of a cell, `model/replicate`, with the test trajectories of all axes."""
    trained = read_network(Path("checkpoints") / cell / "model.safetensors", torch.device("cpu"))
    axes = read_yaml(Path("metrics/gates/verify/evaluation.yaml"))["axes"]
    C, P = len(trained.fields), trained.past_frames

    def trajectories(dataset: str) -> torch.Tensor:
        folder = Path("data") / dataset / "data" / "test"
        split = Split(folder, trained.fields, trained.conditioning)
        frames = torch.from_numpy(split.read(0, split.fitting(2**30)))
        return states(frames, P, C).sub_(trained.mean).div_(trained.std)

    return Subject(
        network=trained.network,
        trajectories={axis: trajectories(about["dataset"]) for axis, about in axes.items()},
        mean=trained.mean[:C],
        std=trained.std[:C],
        domain_extent=axes["ind"]["layout"]["extent"][0],
        fields=trained.fields,
        past_frames=P,
    )


def cells(turns: int) -> None:
    """Core-seconds of every probe of every model's first replicate, and the share it reports."""
    del turns
    params = read_params()
    for model in params["model_names"]:
        subject = read_subject(f"{model}/{params['replicates'][0]}")
        for probe in params["probe_names"]:
            settings = probe_settings(probe, params["probes"][probe])
            rng = np.random.default_rng((params["seed"], 0, crc32(probe.encode())))
            start = time.process_time()
            found = probe_measure(probe)(subject, settings, rng, iter)
            seconds = time.process_time() - start
            reported = found.statistics["reported"]
            print(f"{model:14s} {probe:9s} {seconds:6.1f} s, reports {reported:.1%}")


PARTS = {"twonn": twonn, "ksg": ksg, "cells": cells}


def main() -> None:
    """Print one table per part."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(PARTS)}; all if none is named")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    with threadpool_limits(limits=arguments.threads):
        for part in arguments.parts or PARTS:
            PARTS[part](arguments.turns)


if __name__ == "__main__":
    main()
