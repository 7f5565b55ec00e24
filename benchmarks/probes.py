"""What the estimators of the probes cost, beside published software.

Side by side in one process, each on one thread, in turns: processor time, the best of them, its
ratio to ours, which is above 1 where the other is slower, and the largest difference of the
answers, which has to stay below 1e-5.

ksg: mutual information of n = 10,000 samples, d = 3 a side, k = 3, against NPEET-plus and, where it
is installed, infomeasure; then 100 shuffles of n = 1,024 at once, against one after the other.

    python benchmarks/probes.py [--parts ksg ...] [--turns 7]

infomeasure is under the AGPL and not among the requirements: `pip install infomeasure`.
"""

import argparse
import importlib.util
import time
from collections.abc import Callable, Mapping
from functools import partial

import npeet_plus
import numpy as np

from chimera.probes.ksg import mutual_information, rank, shuffled_information

AGREEMENT = 1e-5


def compare(title: str, contestants: Mapping[str, Callable[[], object]], turns: int) -> None:
    """Time contestants in turns and print a table; the first is ours."""
    answers = {name: np.asarray(run()) for name, run in contestants.items()}  # compiles, too
    seconds = dict.fromkeys(contestants, np.inf)
    for _ in range(turns):
        for name, run in contestants.items():
            start = time.process_time()
            run()
            seconds[name] = min(seconds[name], time.process_time() - start)
    print(title)
    ours = next(iter(contestants))
    for name, best in seconds.items():
        difference = float(np.abs(answers[name] - answers[ours]).max())
        print(f"  {name:24s} {1e3 * best:9.1f} ms {best / seconds[ours]:7.2f} x {difference:9.1e}")
        assert difference < AGREEMENT, f"{name} disagrees"


def gaussian_pairs(n: int, d: int, rho: float) -> tuple[np.ndarray, np.ndarray]:
    """Draw pairs of correlated Gaussians, (n, d) each."""
    r = np.random.default_rng(0)
    x = r.standard_normal((n, d))
    return x, rho * x + np.sqrt(1 - rho**2) * r.standard_normal((n, d))


def ksg(turns: int) -> None:
    """Mutual information."""
    for rho in (0.0, 0.9):
        x, y = gaussian_pairs(10000, 3, rho)
        contestants: dict[str, Callable[[], object]] = {
            "chimera": partial(mutual_information, x, y),
            "NPEET-plus": partial(npeet_plus.mi, x, y, k=3, base=np.e),
        }
        if importlib.util.find_spec("infomeasure"):
            from infomeasure import mutual_information as peer

            options = {"approach": "ksg", "k": 3, "base": "e", "noise_level": 0}
            contestants["infomeasure"] = partial(peer, x, y, **options)
        compare(f"ksg, n = 10,000, d = 3, rho = {rho}", contestants, turns)
    x, y = gaussian_pairs(1024, 3, 0.9)
    r = np.random.default_rng(0)
    orders = np.stack([r.permutation(1024) for _ in range(100)])
    compare(
        "ksg, 100 shuffles, n = 1,024, d = 3",
        {
            "chimera, at once": lambda: shuffled_information(rank(x), rank(y), orders),
            "chimera, one by one": lambda: [mutual_information(x, y[order]) for order in orders],
        },
        turns,
    )


PARTS: dict[str, Callable[[int], None]] = {"ksg": ksg}


def main() -> None:
    """Run the parts that are asked for, all by default."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", nargs="+", choices=list(PARTS), default=list(PARTS))
    parser.add_argument("--turns", type=int, default=7)
    arguments = parser.parse_args()
    for name in arguments.parts:
        PARTS[name](arguments.turns)


if __name__ == "__main__":
    main()
