"""What the probes' numerics cost, beside other packages and beside the work no method avoids.

Every part takes turns with its peers in one process and compares the best times of all turns, which
a busy machine disturbs least; all must give one answer. On one thread that is the time of the
process, on several it is what the clock shows. Needs the development packages.

    python benchmarks/probes.py [twonn ...] [--turns 5] [--threads 1]
"""

import argparse
import resource
import time
from collections.abc import Callable, Mapping

import numpy as np
import skdim
import torch
from threadpoolctl import threadpool_limits

from chimera.probes.two_nn import intrinsic_dimension


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


def peak_memory() -> float:
    """Return the most memory that the process has held so far, in GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


PARTS = {"twonn": twonn}


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
