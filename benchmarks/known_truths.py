"""Estimators against benchmarks of known truth: what is reported, what refused, what is missed.

Information: the 40 tasks of Czyz et al. 2023 (information_tasks.py), 1,020 samples in 12 blocks. A
value states its 95% interval, widened at both ends by the tolerance and its control's error.
Dimension: the 24 manifolds of scikit-dimension (Campadelli et al. 2015), 2,000 points. A value is
the range of a plateau. Writes both tables into docs/estimators.md.

    python benchmarks/known_truths.py [--seeds 3]
"""

import argparse
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import skdim

from chimera.files.artifacts import read_params
from chimera.probes.common.registry import probe_settings
from chimera.probes.ib.controls import (
    SMALL_INFORMATION,
    controlled_information,
    draw_controls,
    normal_scores,
    prepare_target,
)
from chimera.probes.twonn.estimator import distinct_neighbors, scale_dimension
from chimera.probes.twonn.scales import cube_curves, find_plateau
from information_tasks import all_tasks

BLOCKS, SAMPLES, POINTS = 12, 1020, 2000
# The rules of reporting were chosen in view of these sets, on draws with seeds below this one.
FIRST_SEED = 100
PAGE = Path("docs/estimators.md")


class Result(NamedTuple):
    """One estimate: refused, or with the range that it states."""

    name: str
    truth: float
    estimate: float
    low: float
    high: float
    reported: bool


def information(seeds: int) -> Iterator[Result]:
    """Yield the estimate of every task and seed, by the settings of the probe."""
    settings = probe_settings("ib", read_params()["probes"]["ib"])
    for index, task in enumerate(all_tasks()):
        for seed in range(FIRST_SEED, FIRST_SEED + seeds):
            rng = np.random.default_rng([index, seed])
            x, y = (normal_scores(side) for side in task.sample(SAMPLES, rng))
            target = prepare_target(x, BLOCKS, settings.shuffles, rng)
            draws = draw_controls(settings.controls, SAMPLES, max(x.shape[1], y.shape[1]), rng)
            found = controlled_information(target, y, draws, settings.num_neighbors)
            margin = settings.tolerance + found.control_error
            margin *= max(found.planted, SMALL_INFORMATION)
            yield Result(
                task.name,
                task.information,
                found.information,
                found.low - margin,
                found.high + margin,
                found.control_error <= settings.tolerance,
            )


def dimension(seeds: int) -> Iterator[Result]:
    """Yield the plateau of every manifold and seed, by the scales of the probe."""
    scales = (1, *probe_settings("twonn", read_params()["probes"]["twonn"]).scales)
    cubes = cube_curves(POINTS, scales, np.random.default_rng(0))
    for seed in range(FIRST_SEED, FIRST_SEED + seeds):
        manifolds = skdim.datasets.BenchmarkManifolds(random_state=seed)
        for name, points in manifolds.generate(n=POINTS).items():
            truth = float(manifolds.truth.loc[name, "Intrinsic Dimension"])
            found = distinct_neighbors(points, 2 * max(scales))
            curve = [scale_dimension(found.ratios(n), n) for n in scales]
            plateau = find_plateau(curve, scales, cubes)
            ends = (plateau.low, plateau.high) if plateau else (0.0, 0.0)
            yield Result(name, truth, curve[0], *ends, plateau is not None)


def table(results: list[Result], seeds: int) -> str:
    """Return a Markdown table by name, and a sentence with the counts."""
    lines = [
        "| set | truth | estimates | reported | within the stated range |",
        "|---|---|---|---|---|",
    ]
    for name in dict.fromkeys(result.name for result in results):
        own = [result for result in results if result.name == name]
        kept = [result for result in own if result.reported]
        within = sum(result.low <= result.truth <= result.high for result in kept)
        estimates = ", ".join(f"{result.estimate:.3g}" for result in own)
        held = f"{within} of {len(kept)}" if kept else "refused"
        lines.append(f"| {name} | {own[0].truth:.3g} | {estimates} | {len(kept)} | {held} |")
    kept = [result for result in results if result.reported]
    within = sum(result.low <= result.truth <= result.high for result in kept)
    return "\n".join(lines) + (
        f"\n\nOf {len(results)} values ({seeds} seeds) {len(kept)} are reported and "
        f"{len(results) - len(kept)} refused. Of the reported, {within} "
        f"({within / len(kept):.0%}) lie within the range that they state.\n"
    )


def main() -> None:
    """Compute both tables and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    seeds = parser.parse_args().seeds
    warnings.simplefilter("ignore")  # of scikit-dimension, about its own generators
    PAGE.write_text(
        "# Estimators against known truths\n\n"
        "Made by `python benchmarks/known_truths.py`. What is refused, and how wide a stated range "
        "is, was chosen in view of these very sets, on other draws of them: the shares below hold "
        "for new draws, and promise nothing for sets of another kind.\n\n"
        "## Mutual information\n\n"
        "The 40 tasks of Czyż et al. (2023), rebuilt from their definitions, with 1,020 samples, "
        "as many as the probe `ib` has. A value (in nats) states the 95% interval over blocks, "
        "widened by the tolerance and by its control's error; it is refused where this exceeds "
        "the tolerance. Maps of single coordinates change no normal score, so that their tasks "
        "differ in the draw alone.\n\n"
        f"{table(list(information(seeds)), seeds)}\n"
        "## Intrinsic dimension\n\n"
        "The 24 manifolds of scikit-dimension, 2,000 points each. The estimates are those at the "
        "nearest neighbours; the range is that of a plateau, and a set without one is refused.\n\n"
        f"{table(list(dimension(seeds)), seeds)}",
        encoding="utf-8",
    )


if __name__ == "__main__":
    main()
