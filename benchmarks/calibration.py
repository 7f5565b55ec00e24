"""How far each statistical procedure keeps its promise on studies of the structure of E1.

A simulated study is a matrix of paired differences (R replicates, T trajectories)

    d_rt = effect + a_r + b_t + e_rt

with var(a) + var(b) + var(e) = 1 split in several ways, all symmetric about zero: two models that
are equally good can change places. Two questions are asked of the same procedures:

    fixed     the claim is about these T trajectories: the b_t sum to zero, new seeds are drawn
    sampled   the claim is about the flows they were drawn from: new seeds and new b_t are drawn

Null studies (effect = 0) give the false-positive rate at the 5% level; other studies, with d_z = 1
over the replicates' means, give power and the coverage of the 95% interval. An interval rejects
where it excludes zero. The sign-flip test covers an effect that it does not reject.

The correlation's studies are R pairs of a bivariate normal distribution, of correlation 0 or 0.8.
Its test is exact, its interval Bonett & Wright's, which covers (6/pi) asin(r/2).

Every procedure is written here for many studies at once, and checked on some of them against
`chimera.statistics`, which the experiment uses. Procedures that look at a study again and again are
calibrated by `benchmarks/decision.py`.

    python benchmarks/calibration.py [--studies 10000] [--output benchmarks/calibration.csv]
"""

import argparse
import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from chimera import statistics
from chimera.files.artifacts import write_csv
from two_way import satterthwaite_interval

Floats = NDArray[np.float64]
Bounds = tuple[Floats, Floats]

REPLICATES = (3, 5, 10)
TRAJECTORIES = (16, 60)  # test trajectories of IND, and of five OOD sets of 12
EFFECT_DZ = 1.0
CORRELATION = 0.8
ALPHA = 0.05
NUM_RESAMPLES = 999
NULL_DRAWS = 200_000  # permutations that stand for all of Spearman's null distribution
CHECKED = 5  # studies of each kind that chimera.statistics is asked about too
BLOCK = 250  # studies that share their bootstrap's draws


@dataclass(frozen=True)
class Split:
    """How the variance of one difference is shared out, and how the seeds' part is distributed."""

    name: str
    seed: float
    trajectory: float
    rest: float
    heavy_tails: bool = False


SPLITS = (
    Split("seeds only", 1.0, 0.0, 0.0),
    Split("mostly seeds", 0.8, 0.1, 0.1),
    Split("mostly trajectories", 0.1, 0.8, 0.1),
    Split("mostly rest", 0.1, 0.1, 0.8),
    Split("rest only", 0.0, 0.0, 1.0),
    Split("equal parts", 1 / 3, 1 / 3, 1 / 3),
    Split("equal parts, heavy tails", 1 / 3, 1 / 3, 1 / 3, heavy_tails=True),
)


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    procedure: str
    replicates: int
    scenario: str
    false_positive_rate: float
    coverage: float
    power: float
    simulations: int
    monte_carlo_se: float  # of a rate of 5%


def simulate(
    rng: np.random.Generator, split: Split, shape: tuple[int, int, int], fixed: bool
) -> Floats:
    """Null studies (S, R, T)."""
    S, R, T = shape
    seed = rng.standard_normal((S, R, 1))
    if split.heavy_tails:
        # Student's t of 5 degrees of freedom, whose variance is 5/3.
        seed = rng.standard_t(5, (S, R, 1)) / math.sqrt(5 / 3)
    trajectory = rng.standard_normal((S, 1, T))
    if fixed:
        trajectory -= trajectory.mean(axis=2, keepdims=True)
    return (
        math.sqrt(split.seed) * seed
        + math.sqrt(split.trajectory) * trajectory
        + math.sqrt(split.rest) * rng.standard_normal(shape)
    )


def t_bounds(d: Floats) -> Bounds:
    """Student's interval of the replicates' means, (S,) each."""
    means = d.mean(axis=2)
    R = means.shape[1]
    half = stats.t.ppf(1 - ALPHA / 2, R - 1) * means.std(axis=1, ddof=1) / math.sqrt(R)
    center = means.mean(axis=1)
    return center - half, center + half


def satterthwaite_bounds(d: Floats) -> Bounds:
    """The two-way interval, (S,) each."""
    R, T = d.shape[1:]
    center = d.mean(axis=(1, 2))
    a = d.mean(axis=2) - center[:, None]
    b = d.mean(axis=1) - center[:, None]
    sum_r, sum_t = T * (a**2).sum(axis=1), R * (b**2).sum(axis=1)
    sum_e = ((d - center[:, None, None]) ** 2).sum(axis=(1, 2)) - sum_r - sum_t
    df_r, df_t, df_e = R - 1, T - 1, (R - 1) * (T - 1)
    ms_r, ms_t, ms_e = sum_r / df_r, sum_t / df_t, sum_e / df_e
    total = ms_r + np.maximum(ms_t - ms_e, 0)
    df = total**2 / (ms_r**2 / df_r + ms_t**2 / df_t + ms_e**2 / df_e)
    df = np.where(ms_t > ms_e, np.maximum(df, df_r), df_r)
    half = stats.t.ppf(1 - ALPHA / 2, df) * np.sqrt(total / (R * T))
    return center - half, center + half


def bootstrap_bounds(d: Floats, rng: np.random.Generator) -> tuple[Bounds, Bounds]:
    """The percentile and the BCa interval of the replicates' means, (S,) each."""
    blocks = [
        _bootstrap_block(means, rng)
        for means in np.array_split(d.mean(axis=2), math.ceil(len(d) / BLOCK))
    ]
    low, high, bca_low, bca_high = (np.concatenate(part) for part in zip(*blocks, strict=True))
    return (low, high), (bca_low, bca_high)


def _bootstrap_block(means: Floats, rng: np.random.Generator) -> tuple[Floats, ...]:
    R = means.shape[1]
    weights = rng.multinomial(R, np.full(R, 1 / R), NUM_RESAMPLES) / R
    deviation = means - means.mean(axis=1, keepdims=True)
    resampled = np.sort(deviation @ weights.T, axis=1)
    # Resamples that are the sample in another order tie with its mean, here zero up to rounding.
    zero = 1e-12 * np.abs(deviation).max(axis=1, keepdims=True)
    below = ((resampled < -zero).mean(axis=1) + (resampled <= zero).mean(axis=1)) / 2
    z0 = stats.norm.ppf(below)
    # Jackknifed means lie at -deviation / (R - 1): the factor drops out of the acceleration.
    a = (deviation**3).sum(axis=1) / (6 * (deviation**2).sum(axis=1) ** 1.5)
    bounds = []
    for z in stats.norm.ppf([ALPHA / 2, 1 - ALPHA / 2]):
        level = stats.norm.cdf(z0 + (z0 + z) / (1 - a * (z0 + z)))
        bounds.append(_quantile(resampled, level) + means.mean(axis=1))
    plain = np.quantile(resampled, [ALPHA / 2, 1 - ALPHA / 2], axis=1) + means.mean(axis=1)
    return plain[0], plain[1], bounds[0], bounds[1]


def _quantile(ordered: Floats, level: Floats) -> Floats:
    """The quantile of each row (S, B) at its own level (S,), linear between order statistics."""
    place = level * (ordered.shape[1] - 1)
    lower = np.minimum(place.astype(int), ordered.shape[1] - 2)[:, None]
    pair = np.take_along_axis(ordered, np.concatenate([lower, lower + 1], axis=1), axis=1)
    return pair[:, 0] + (place - lower[:, 0]) * (pair[:, 1] - pair[:, 0])


def sign_flip_rejects(d: Floats) -> NDArray[np.bool_]:
    """Whether the exact sign-flip test of the replicates' means rejects, (S,)."""
    means = d.mean(axis=2)
    signs = np.array(list(itertools.product([1.0], *[[1.0, -1.0]] * (means.shape[1] - 1))))
    sums = np.abs(means @ signs.T)
    p = (sums >= sums[:, :1] - 1e-12 * np.abs(means).sum(axis=1, keepdims=True)).mean(axis=1)
    return p <= ALPHA


def excludes(bounds: Bounds, value: float) -> NDArray[np.bool_]:
    """Whether each interval leaves the value out."""
    return (bounds[0] > value) | (bounds[1] < value)


def rates_of_means(
    rng: np.random.Generator, split: Split, shape: tuple[int, int, int], fixed: bool
) -> dict[str, tuple[float, float, float]]:
    """False-positive rate, coverage and power of each procedure for a mean."""
    effect = EFFECT_DZ * math.sqrt(split.seed + split.rest / shape[2])
    null = simulate(rng, split, shape, fixed)
    other = simulate(rng, split, shape, fixed) + effect
    bounds: dict[str, tuple[Bounds, Bounds]] = {
        "paired t": (t_bounds(null), t_bounds(other)),
        "two-way Satterthwaite": (satterthwaite_bounds(null), satterthwaite_bounds(other)),
    }
    null_percentile, null_bca = bootstrap_bounds(null, rng)
    percentile, bca = bootstrap_bounds(other, rng)
    bounds["percentile"] = null_percentile, percentile
    bounds["BCa"] = null_bca, bca
    check_means(other, {name: pair[1] for name, pair in bounds.items()})
    rates = {
        name: (
            float(excludes(of_null, 0).mean()),
            1 - float(excludes(of_other, effect).mean()),
            float(excludes(of_other, 0).mean()),
        )
        for name, (of_null, of_other) in bounds.items()
    }
    rates["sign flip"] = (
        float(sign_flip_rejects(null).mean()),
        1 - float(sign_flip_rejects(other - effect).mean()),
        float(sign_flip_rejects(other).mean()),
    )
    return rates


def check_means(d: Floats, bounds: dict[str, Bounds]) -> None:
    """Ask chimera.statistics, and two_way.py beside this file, about the first studies."""
    used: dict[str, tuple[Callable[[Floats], statistics.Interval], float]] = {
        "paired t": (lambda x: statistics.t_interval(x.mean(axis=1)), 1e-9),
        "two-way Satterthwaite": (satterthwaite_interval, 1e-9),
        # Two sets of random resamples: the ends agree within a part of the spread.
        "percentile": (lambda x: statistics.percentile_interval(x.mean(axis=1)), 0.35),
        "BCa": (lambda x: statistics.bca_interval(x.mean(axis=1)), 0.35),
    }
    for index, study in enumerate(d[:CHECKED]):
        for name, (interval, tolerance) in used.items():
            if tolerance > 1e-9 and len(study) < max(REPLICATES):
                continue  # of few replicates there are few resamples: an end may jump to the next
            found = [bounds[name][0][index], bounds[name][1][index]]
            spread = study.mean(axis=1).std()
            np.testing.assert_allclose(found, interval(study), rtol=0, atol=tolerance * spread)
        p = statistics.sign_flip_p(study.mean(axis=1))
        assert (p <= ALPHA) == sign_flip_rejects(study[None])[0]


def rates_of_correlation(
    rng: np.random.Generator, replicates: int, studies: int
) -> tuple[float, float, float]:
    """False-positive rate, coverage and power of Spearman's test and interval."""
    null_rho = _rank_correlation(rng.standard_normal((2, studies, replicates)))
    x, noise = rng.standard_normal((2, studies, replicates))
    y = CORRELATION * x + math.sqrt(1 - CORRELATION**2) * noise
    rho = _rank_correlation(np.stack([x, y]))
    # A study matters through its rho alone: the test and the interval are looked up by it.
    first = {r: (x[i], y[i]) for i, r in reversed(list(enumerate(rho.round(12))))}
    interval = {r: statistics.spearman_interval(*pair) for r, pair in first.items()}
    draws = _rank_correlation(rng.standard_normal((2, NULL_DRAWS, replicates)))
    magnitudes = np.sort(np.abs(draws).round(12))
    null_p = 1 - np.searchsorted(magnitudes, np.abs(null_rho).round(12)) / NULL_DRAWS
    p = 1 - np.searchsorted(magnitudes, np.abs(rho).round(12)) / NULL_DRAWS
    truth = 6 / math.pi * math.asin(CORRELATION / 2)
    for index in range(CHECKED):
        found = statistics.spearman(x[index], y[index])
        assert math.isclose(found.rho, rho[index], abs_tol=1e-12)
        assert abs(found.p - p[index]) < 0.01
    low, high = np.array([interval[r] for r in rho.round(12)]).T
    return (
        float((null_p <= ALPHA).mean()),
        float(((low <= truth) & (truth <= high)).mean()),
        float((p <= ALPHA).mean()),
    )


def _rank_correlation(pairs: Floats) -> Floats:
    """Spearman's rho (S,) of S studies (2, S, R) without ties."""
    R = pairs.shape[2]
    x, y = pairs.argsort(axis=2).argsort(axis=2)
    return np.asarray(1 - 6 * ((x - y) ** 2).sum(axis=1) / (R * (R**2 - 1)), dtype=np.float64)


def table(studies: int) -> Iterator[Row]:
    """Yield the rates of every procedure, number of replicates and scenario."""
    rng = np.random.default_rng(0)
    error = math.sqrt(ALPHA * (1 - ALPHA) / studies)
    scenarios = itertools.product(REPLICATES, ("fixed", "sampled"), SPLITS, TRAJECTORIES)
    for replicates, question, split, trajectories in scenarios:
        shape = (studies, replicates, trajectories)
        if split.seed == split.rest == 0:
            continue  # every difference would be the same
        scenario = f"{question}, {split.name}, {trajectories} trajectories"
        for procedure, rates in rates_of_means(rng, split, shape, question == "fixed").items():
            yield Row(procedure, replicates, scenario, *rates, studies, error)
    for replicates in REPLICATES:
        rates = rates_of_correlation(rng, replicates, studies)
        yield Row("Spearman", replicates, "correlation", *rates, studies, error)


def main() -> None:
    """Simulate, write the table and print its worst rates."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--studies", type=int, default=10000, help="simulated for each row")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/calibration.csv"))
    options = parser.parse_args()
    rows = list(table(options.studies))
    write_csv(options.output, [vars(row) for row in rows])
    print(f"{'worst over scenarios':32s} {'n':>3s} {'false positives':>16s} {'coverage':>9s}")
    groups: dict[tuple[str, str, int], list[Row]] = {}
    for row in rows:
        question = row.scenario.partition(",")[0]
        groups.setdefault((question, row.procedure, row.replicates), []).append(row)
    for (question, procedure, replicates), group in groups.items():
        highest = max(row.false_positive_rate for row in group)
        lowest = min(row.coverage for row in group)
        print(f"{question + ', ' + procedure:32s} {replicates:3d} {highest:16.4f} {lowest:9.4f}")


if __name__ == "__main__":
    main()
