"""The mutual information of two sides of samples, with controls of its reliability.

An estimate I(x; y) of n samples comes with

- its values at n / 2 and n / 4 (means over disjoint parts): one that still grows depends on n;
- a null: estimates after whole blocks (trajectories) of y were exchanged, with no block unmoved;
- the information of Gaussian variables of the same canonical correlations rho_i (Hotelling 1936),

      I_G = -1/2 sum_i ln(1 - rho_i^2);

- a positive control: estimates from Gaussian samples of the same n, d_x, d_y and rho_i, whose
  information I_G is known. Their relative error, root mean square over the draws, includes both the
  bias and the scatter of one estimate; above a tolerance the estimate is withheld.

The control validates dependence as strong as I_G. An estimate above I_G includes dependence that
no linear projection shows and the control does not validate.

n samples in b blocks of m, D features, d components, B shuffles.
"""

from typing import NamedTuple

import numpy as np
from scipy.linalg import eigh

from chimera.interface.errors import InputError
from chimera.probes.ib.ksg import Ranked, mutual_information, shuffled_information
from chimera.statistics.resampling.samples import Floats, Integers

# Relative to the largest: smaller features and directions are float32 rounding errors.
_SMALLEST_SD = 1e-5


class Components(NamedTuple):
    """Uncorrelated scores (n, d) of unit variance, and the share of all variance they explain."""

    scores: Floats
    explained: float


def principal_components(features: Floats, num_components: int, name: str) -> Components:
    """Return at most d standardised principal components of standardised features (n, D).

    Features that do not vary are left out. The sign of a component is such that its largest
    loading, the first of equals, is positive.

    Raises:
        InputError: If the features are not finite or all are constant; it begins with their name.
    """
    if not np.isfinite(features).all():
        raise InputError(f"{name} holds NaN or infinite values, expected finite ones")
    sd = features.std(axis=0)
    varies = sd > _SMALLEST_SD * sd.max()
    if not varies.any():
        raise InputError(
            f"{name} is constant over {len(features)} samples, expected some variation"
        )
    values = (features[:, varies] - features[:, varies].mean(axis=0)) / sd[varies]
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
    return Components(scores, float(variances.sum() / (n * D)))


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

    `half` and `quarter` are means over the parts, `null_mean` and `null_sd` are over shuffles, and
    p = (1 + number of shuffles with an estimate of at least `information`) / (1 + B). `gaussian` is
    I_G, the true value of the control; `control` is the mean estimate over the control's draws, and
    `control_error` the root mean square of their errors, relative to the true value.
    """

    information: float = 0.0
    half: float = 0.0
    quarter: float = 0.0
    null_mean: float = 0.0
    null_sd: float = 0.0
    p: float = 0.0
    gaussian: float = 0.0
    control: float = 0.0
    control_error: float = 0.0


def controlled_information(
    x: Ranked, y: Ranked, orders: Integers, draws: Floats, num_neighbors: int
) -> Information:
    """Estimate I(x; y) of standardised samples (n, d_x) and (n, d_y) with its controls.

    Args and errors as for `chimera.probes.ib.ksg.shuffled_information` and, for n / 4 samples,
    `mutual_information`; `draws` are standard normal numbers (controls, 2, n, d), d >= d_x, d_y.
    """

    def mean_over_parts(number: int) -> float:
        parts = ((x.points[i::number], y.points[i::number]) for i in range(number))
        return float(np.mean([mutual_information(*sides, num_neighbors) for sides in parts]))

    d_x, d_y = x.points.shape[1], y.points.shape[1]
    value, half, quarter = (mean_over_parts(number) for number in (1, 2, 4))
    null = shuffled_information(x, y, orders, num_neighbors)
    rho = canonical_correlations(x.points, y.points)
    gaussian = gaussian_information(rho)
    shared, weights = len(rho), np.sqrt(1 - np.square(rho))
    controls = []
    for source, noise in draws:
        target = noise[:, :d_y].copy()
        target[:, :shared] = rho * source[:, :shared] + weights * noise[:, :shared]
        controls.append(mutual_information(source[:, :d_x], target, num_neighbors))
    error = np.sqrt(np.mean(np.square(np.array(controls) - gaussian)))
    return Information(
        information=value,
        half=half,
        quarter=quarter,
        null_mean=float(null.mean()),
        null_sd=float(null.std(ddof=1)),
        p=float((1 + (null >= value).sum()) / (1 + len(null))),
        gaussian=gaussian,
        control=float(np.mean(controls)),
        control_error=float(error / max(gaussian, np.finfo(float).tiny)),
    )
