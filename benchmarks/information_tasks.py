"""The 40 tasks of known information of Czyz et al. 2023, rebuilt from their definitions.

"Beyond normal: on the evaluation of mutual information estimators", arXiv:2306.11078, section 3 and
appendix D; the package benchmark-mi lists them in this order. A smooth invertible map of one side
changes no information, so that every task has that of the Gaussian, uniform or Student's pair which
it transforms. The information of Student's t is from the entropies of Arellano-Valle et al. 2013.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.special import digamma, gammaln, ndtr

from chimera.statistics.resampling.samples import Floats

Sampler = Callable[[int, np.random.Generator], tuple[Floats, Floats]]
Map = Callable[[Floats], Floats]


class Task(NamedTuple):
    """Pairs (n, d_x) and (n, d_y) of known information, in nats."""

    name: str
    information: float
    sample: Sampler


def transformed(task: Task, name: str, of_x: Map, of_y: Map | None = None) -> Task:
    """Return the task seen through invertible maps, of both sides where only one is given."""

    def sample(n: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
        x, y = task.sample(n, rng)
        return of_x(x), (of_y or of_x)(y)

    return Task(f"{name} @ {task.name}", task.information, sample)


def normal(name: str, covariance: Floats, d: int) -> Task:
    """Return Gaussians, of which the first d coordinates are x."""
    parts = covariance[:d, :d], covariance[d:, d:], covariance
    x, y, both = (np.linalg.slogdet(part)[1] for part in parts)
    factor = np.linalg.cholesky(covariance)

    def sample(n: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
        both = rng.standard_normal((n, len(covariance))) @ factor.T
        return both[:, :d], both[:, d:]

    return Task(name, float(x + y - both) / 2, sample)


def dense(d: int) -> Task:
    """Return Gaussians with correlation 1/2 of any two of 2 d coordinates."""
    return normal(f"Multinormal {d} x {d} (dense)", 0.5 * np.eye(2 * d) + 0.5, d)


def two_pairs(d: int) -> Task:
    """Return Gaussians of which two pairs have correlation 2^2 / (1 + 2^2)."""
    covariance = np.eye(2 * d)
    for i in range(2):
        covariance[i, d + i] = covariance[d + i, i] = 0.8
    return normal(f"Multinormal {d} x {d} (2-pair)", covariance, d)


def student(d: int, freedom: int) -> Task:
    """Return uncorrelated Student's t of 2 d coordinates, which share one scale."""

    def entropy(k: int) -> float:
        half = 0.5 * (freedom + k)
        shape = gammaln(0.5 * freedom) - gammaln(half) + 0.5 * k * math.log(freedom * math.pi)
        return float(shape + half * (digamma(half) - digamma(0.5 * freedom)))

    def sample(n: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
        scale = np.sqrt(freedom / rng.chisquare(freedom, (n, 1)))
        both = scale * rng.standard_normal((n, 2 * d))
        return both[:, :d], both[:, d:]

    name = f"Student-t {d} x {d} (dof={freedom})"
    return Task(name, 2 * entropy(d) - entropy(2 * d), sample)


def additive(epsilon: float) -> Task:
    """Return y = x + noise, x uniform on (0, 1), noise uniform on (-epsilon, epsilon)."""

    def sample(n: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
        x = rng.random((n, 1))
        return x, x + rng.uniform(-epsilon, epsilon, (n, 1))

    known = 0.25 / epsilon if epsilon > 0.5 else epsilon - math.log(2 * epsilon)
    return Task(f"Uniform 1 x 1 (additive noise={epsilon})", known, sample)


def mixture_quantile(weight: float, first: float, second: float) -> Map:
    """Return the quantile function, of normal scores, of a mixture of two unit Gaussians."""
    x = np.linspace(-10, 10, 20001)
    cumulative = weight * ndtr(x - first) + (1 - weight) * ndtr(x - second)
    return lambda scores: np.interp(ndtr(scores), cumulative, x)


def spiral(i: int, j: int) -> Map:
    """Return the rotation of coordinates i and j by |x|^2 / d."""

    def turned(x: Floats) -> Floats:
        angle = np.square(x).sum(axis=1) / x.shape[1]
        result = x.copy()
        result[:, i] = np.cos(angle) * x[:, i] - np.sin(angle) * x[:, j]
        result[:, j] = np.sin(angle) * x[:, i] + np.cos(angle) * x[:, j]
        return result

    return turned


def half_cube(x: Floats) -> Floats:
    """Return x sqrt|x|."""
    return x * np.sqrt(np.abs(x))


def wiggly_x(x: Floats) -> Floats:
    """Return a rising map with ripples."""
    return x + 0.4 * np.sin(x) + 0.2 * np.sin(1.7 * x + 1) + 0.03 * np.sin(3.3 * x - 2.5)


def wiggly_y(x: Floats) -> Floats:
    """Return another one."""
    return x - 0.4 * np.sin(0.4 * x) + 0.17 * np.sin(1.3 * x + 3.5) + 0.02 * np.sin(4.3 * x - 2.5)


def swiss_roll(x: Floats) -> Floats:
    """Return the place (n, 2) on a spiral of normal scores (n, 1)."""
    t = 1.5 * np.pi * (1 + 2 * ndtr(x))
    return np.hstack([t * np.cos(t), t * np.sin(t)]) / 21


def all_tasks() -> list[Task]:
    """Return the 40 tasks."""
    pair = normal("Bivariate normal 1 x 1", np.array([[1, 0.75], [0.75, 1]]), 1)
    bimodal = mixture_quantile(0.3, 0, 5), mixture_quantile(0.5, -1, 3)
    pairs = [two_pairs(d) for d in (3, 5, 25)]
    uniform = [transformed(task, "Normal CDF", ndtr) for task in pairs]
    turns = spiral(0, 1), spiral(1, 2)
    return [
        pair,
        transformed(pair, "Uniform", ndtr),
        additive(0.1),
        additive(0.75),
        transformed(pair, "Bimodal", *bimodal),
        transformed(pair, "Wiggly", wiggly_x, wiggly_y),
        transformed(pair, "Half-cube", half_cube),
        student(1, 1),
        transformed(student(1, 1), "Asinh", np.arcsinh),
        transformed(pair, "Swiss roll", swiss_roll, ndtr),
        *(dense(d) for d in (2, 3, 5, 25, 50)),
        *(two_pairs(d) for d in (2, 3, 5, 25)),
        *(student(d, f) for d, f in ((2, 1), (2, 2), (3, 2), (3, 3), (5, 2), (5, 3))),
        *uniform,
        *(transformed(task, "Half-cube", half_cube) for task in pairs),
        *(transformed(task, "Spiral", *turns) for task in pairs),
        *(transformed(task, "Spiral", *turns) for task in uniform),
        *(transformed(student(d, f), "Asinh", np.arcsinh) for d, f in ((2, 1), (3, 2), (5, 2))),
    ]
