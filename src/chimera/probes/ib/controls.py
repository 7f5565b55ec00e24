"""The mutual information of two sides of samples, with controls of its reliability.

Each coordinate is replaced by its normal score, Phi^-1((rank - 1/2) / n), which changes no
information and leaves no long tail. An estimate I(x; y) of n samples comes with

- a t interval over blocks (trajectories) of its terms' means;
- its values at n / 2 and n / 4 (means over disjoint parts): one that still grows depends on n;
- a null: estimates of every second sample after whole blocks of y were exchanged, with no block
  unmoved. What trajectories have in common, such as a decay, is information that is left in it;
- the information of Gaussian variables of the same canonical correlations rho_i (Hotelling 1936),

      I_G = -1/2 sum_i ln(1 - rho_i^2);

- a positive control: estimates from samples of the same n, d_x, d_y and rho_i, whose information
  is known and no smaller than the estimate. Where this exceeds I_G, all coordinates of a sample
  share a random scale sqrt(nu / chi^2_nu), that of Student's t, which adds exactly (Arellano-Valle
  et al. 2013, doi:10.1111/j.1467-9469.2011.00774.x, for entropies h of k coordinates)

      h(d_x) + h(d_y) - h(d_x + d_y),   h(k) = ln[G(nu/2) / G((nu+k)/2)] + k/2 ln(nu pi)
                                               + (nu+k)/2 [psi((nu+k)/2) - psi(nu/2)],

  with nu such that this is the excess: dependence that no linear projection shows. The control's
  mean error, relative above 0.2 nats and to 0.2 nats below, must not exceed the tolerance.

n samples in b blocks of m, D features, d components, B shuffles.
"""

import math
from typing import NamedTuple

import numpy as np
from scipy.linalg import eigh
from scipy.optimize import brentq
from scipy.special import digamma, gammaincinv, gammaln, ndtri

from chimera.interface.errors import InputError
from chimera.probes.ib import ksg
from chimera.probes.ib.projection import block_interval
from chimera.statistics.resampling.samples import Floats, Integers

_SMALLEST_SD = 1e-5  # relative to the largest: smaller features and directions are float32 rounding
SMALL_INFORMATION = 0.2  # nats: errors of smaller values are relative to this one
_FREEDOM = (0.05, 1e3)  # degrees of freedom: Student's t is a Gaussian above the last


def standardised(features: Floats, name: str) -> Floats:
    """Return the features (n, D) that vary, with mean 0 and variance 1.

    If they are not finite or all are constant, it is an InputError that begins with their name.
    """
    if not np.isfinite(features).all():
        raise InputError(f"{name} holds NaN or infinite values, expected finite ones")
    sd = features.std(axis=0)
    varies = sd > _SMALLEST_SD * sd.max()
    if not varies.any():
        raise InputError(f"{name} is constant over {len(features)} samples, expected variation")
    return np.asarray((features[:, varies] - features[:, varies].mean(axis=0)) / sd[varies])


def principal_components(features: Floats, num_components: int, name: str) -> tuple[Floats, float]:
    """Return at most d principal components of standardised features (n, D).

    These are uncorrelated scores (n, d) of unit variance, and the share of all variance that they
    explain. Features that do not vary are left out. The largest loading of a component, the first
    of equals, is positive. Errors as `standardised`.
    """
    values = standardised(features, name)
    n, D = values.shape
    wide = n < D
    gram = values @ values.T if wide else values.T @ values
    size = len(gram)
    variances, vectors = eigh(gram, subset_by_index=(max(0, size - num_components), size - 1))
    real = variances > _SMALLEST_SD**2 * variances[-1]
    variances, vectors = variances[real][::-1], vectors[:, real][:, ::-1]
    loadings = values.T @ vectors if wide else vectors
    largest = np.abs(loadings).argmax(axis=0)
    signs = np.sign(loadings[largest, np.arange(len(variances))])
    projected = vectors if wide else values @ vectors
    scores = signs * projected / projected.std(axis=0)
    return scores, float(variances.sum() / (n * D))


def normal_scores(values: Floats) -> Floats:
    """Return Phi^-1((rank - 1/2) / n) of each column of values (n, d), ties in their order."""
    ranks = values.argsort(axis=0, kind="stable").argsort(axis=0, kind="stable")
    return np.asarray(ndtri((ranks + 0.5) / len(values)))


def canonical_correlations(x: Floats, y: Floats) -> Floats:
    """Return the min(d_x, d_y) canonical correlations of (n, d_x) and (n, d_y), descending.

    Sample correlations are biased upward, by about d_x d_y / 2n nats in I_G.
    """
    bases = [np.linalg.qr(side - side.mean(axis=0))[0] for side in (x, y)]
    return np.clip(np.linalg.svd(bases[0].T @ bases[1], compute_uv=False), 0, 1)


def gaussian_information(correlations: Floats) -> float:
    """Return I_G of canonical correlations, in nats."""
    return float(-0.5 * np.log1p(-np.square(np.minimum(correlations, 1 - 1e-12))).sum())


def block_orders(
    num_blocks: int, block_size: int, shuffles: int, rng: np.random.Generator
) -> Integers:
    """Draw B permutations of b blocks of m samples, (B, b m), that leave no block in its place."""
    derangements: list[Integers] = []
    while len(derangements) < shuffles:
        order = rng.permutation(num_blocks)
        if (order != np.arange(num_blocks)).all():
            derangements.append(order)
    starts = block_size * np.stack(derangements)[:, :, None]
    return (starts + np.arange(block_size)).reshape(shuffles, -1)


class Information(NamedTuple):
    """An estimate and its controls, in nats; all 0 where nothing was estimated.

    `low` to `high` is the 95% interval, p = (1 + number of shuffles with at least the estimate of
    every second sample) / (1 + B), `gaussian` I_G, `planted` the true value of the control and
    `control` the mean estimate over its draws.
    """

    information: float = 0.0
    low: float = 0.0
    high: float = 0.0
    half: float = 0.0
    quarter: float = 0.0
    null_mean: float = 0.0
    null_sd: float = 0.0
    p: float = 0.0
    gaussian: float = 0.0
    planted: float = 0.0
    control: float = 0.0
    control_error: float = 0.0


Draws = tuple[Floats, Floats]


def draw_controls(controls: int, n: int, d: int, rng: np.random.Generator) -> Draws:
    """Draw normal (controls, 2, n, d) and uniform (controls, n, 1) numbers for controls."""
    return rng.standard_normal((controls, 2, n, d)), rng.random((controls, n, 1))


class Target(NamedTuple):
    """Normal scores (n, d) of the side that many others are paired with, in b equal blocks.

    `every_second` are indices within blocks, `ranked` their samples, `orders` shuffles of these.
    """

    scores: Floats
    blocks: int
    every_second: Integers
    ranked: ksg.Ranked
    orders: Integers


def prepare_target(scores: Floats, blocks: int, shuffles: int, rng: np.random.Generator) -> Target:
    """Draw the shuffles of normal scores (n, d), in the order of their blocks, and rank them."""
    kept = np.arange(len(scores)).reshape(blocks, -1)[:, ::2]
    orders = block_orders(blocks, kept.shape[1], shuffles, rng)
    return Target(scores, blocks, kept.ravel(), ksg.rank(scores[kept.ravel()]), orders)


def controlled_information(
    target: Target, y: Floats, draws: Draws, num_neighbors: int
) -> Information:
    """Estimate I(x; y) of a target x and normal scores y (n, d_y) with its controls.

    Errors as for `chimera.probes.ib.ksg.shuffled_information` and, for n / 4 samples,
    `mutual_information`; the draws have d >= d_x, d_y.
    """
    x = target.scores

    def mean_over_parts(number: int) -> float:
        parts = ((x[i::number], y[i::number]) for i in range(number))
        return float(np.mean([ksg.mutual_information(*sides, num_neighbors) for sides in parts]))

    terms = ksg.pointwise_information(x, y, num_neighbors)
    value = float(terms.mean())
    low, high = block_interval(terms, target.blocks)
    thinned = y[target.every_second]
    null = ksg.shuffled_information(target.ranked, thinned, target.orders, num_neighbors)
    unmoved = ksg.mutual_information(target.ranked.points, thinned, num_neighbors)
    rho = canonical_correlations(x, y)
    gaussian = gaussian_information(rho)
    planted = max(gaussian, value)
    d_x, d_y = x.shape[1], y.shape[1]
    freedom = _freedom(planted - gaussian, d_x, d_y)
    controls = [
        ksg.mutual_information(*_channel(normal, uniform, rho, (d_x, d_y), freedom), num_neighbors)
        for normal, uniform in zip(*draws, strict=True)
    ]
    control = float(np.mean(controls))
    return Information(
        information=value,
        low=low,
        high=high,
        half=mean_over_parts(2),
        quarter=mean_over_parts(4),
        null_mean=float(null.mean()),
        null_sd=float(null.std(ddof=1)),
        p=float((1 + (null >= unmoved).sum()) / (1 + len(null))),
        gaussian=gaussian,
        planted=planted,
        control=control,
        control_error=abs(control - planted) / max(planted, SMALL_INFORMATION),
    )


def _channel(
    normal: Floats, uniform: Floats, rho: Floats, dimensions: tuple[int, int], freedom: float | None
) -> tuple[Floats, Floats]:
    """Return both sides of a control, as normal scores where they share a scale."""
    (source, noise), (d_x, d_y), shared = normal, dimensions, len(rho)
    target = noise[:, :d_y].copy()
    weights = np.sqrt(1 - np.square(rho))
    target[:, :shared] = rho * source[:, :shared] + weights * noise[:, :shared]
    if freedom is None:
        return source[:, :d_x], target
    # chi^2 / nu of equal probability; a tiny one would overflow.
    square = np.maximum(2 * gammaincinv(freedom / 2, uniform) / freedom, 1e-200)
    return normal_scores(source[:, :d_x] / np.sqrt(square)), normal_scores(target / np.sqrt(square))


def _freedom(excess: float, d_x: int, d_y: int) -> float | None:
    """Return the degrees of freedom whose shared scale adds this information, None if none do."""

    def missing(log_freedom: float) -> float:
        return shared_scale_information(math.exp(log_freedom), d_x, d_y) - excess

    first, last = map(math.log, _FREEDOM)
    if missing(last) >= 0:
        return None
    return math.exp(first if missing(first) <= 0 else brentq(missing, first, last))


def shared_scale_information(freedom: float, d_x: int, d_y: int) -> float:
    """Return the information that Student's t has beyond its correlations', in nats."""

    def entropy(k: int) -> float:
        half = (freedom + k) / 2
        shape = gammaln(freedom / 2) - gammaln(half) + k / 2 * math.log(freedom * math.pi)
        return float(shape + half * (digamma(half) - digamma(freedom / 2)))

    return entropy(d_x) + entropy(d_y) - entropy(d_x + d_y)
