"""What a linear decoder that has not seen a trajectory reads from activations about a target.

    u_hat = a + z B,   B = argmin |U - 1 a - Z B|^2 + lambda |B|^2       (ridge regression)

is fitted on all trajectories but one and evaluated on that one. With H = 1 1^T / n + Z (Z^T Z +
lambda)^-1 Z^T, the errors on the samples S of the left-out trajectory are exactly

    U_S - U_hat_S = (I - H_SS)^-1 (U - H U)_S

so that one decomposition serves all folds and penalties. The penalty of a fold has the least error
on the other folds. From the errors e of the d targets, which are normal scores u,

    I_lin = -1/2 sum_j ln(1 - R_j^2),   1 - R_j^2 = <e_j^2> / <u_j^2>

is a lower bound of the information about targets that are independent of each other (Barber &
Agakov 2003, "The IM algorithm"), since no Gaussian decoder beats the true one. It is the mean of

    sum_j 1/2 [-ln(1 - R_j^2) + u_j^2 / <u_j^2> - e_j^2 / <e_j^2>]

over samples. It is negative where the decoder predicts worse than the mean.

n samples in b blocks of m, D features, d targets.
"""

from typing import NamedTuple

import numpy as np

from chimera.statistics.resampling.intervals import student_quantile
from chimera.statistics.resampling.samples import Floats

_PENALTIES = np.geomspace(1e-6, 1.0, 6)  # relative to the sum of all variances
_SMALLEST_VARIANCE = 1e-10  # relative to the largest: what is smaller is rounding


def held_out(features: Floats, targets: Floats, blocks: int) -> Floats:
    """Return the predictions (n, d) of targets (n, d) from standardised features (n, D).

    Samples are in the order of their blocks, of equal size; a block's are predicted from others'.
    """
    z = features - features.mean(axis=0)
    n, D = z.shape
    variances, vectors = np.linalg.eigh(z @ z.T if n < D else z.T @ z)
    real = variances > _SMALLEST_VARIANCE * variances[-1]
    variances, vectors = variances[real], vectors[:, real]
    basis = vectors if n < D else z @ (vectors / np.sqrt(variances))  # orthonormal, (n, r)
    folds = basis.reshape(blocks, n // blocks, -1)
    own_targets = targets.reshape(blocks, n // blocks, -1)
    deviation = targets - targets.mean(axis=0)
    predictions = []
    for penalty in _PENALTIES * variances.sum():
        weighted = folds * (variances / (variances + penalty))
        fitted = weighted.reshape(basis.shape) @ (basis.T @ deviation)
        own = 1 / n + weighted @ folds.swapaxes(1, 2)  # H_SS, (b, m, m)
        residuals = (deviation - fitted).reshape(own_targets.shape)
        predictions.append(own_targets - np.linalg.solve(np.eye(n // blocks) - own, residuals))
    found = np.stack(predictions)  # (penalties, b, m, d)
    squares = np.square(found - own_targets).sum(axis=2)
    best = (squares.sum(axis=1, keepdims=True) - squares).argmin(axis=0)  # (b, d)
    chosen = np.take_along_axis(found, best[None, :, None, :], axis=0)
    return chosen[0].reshape(targets.shape)


class LinearInformation(NamedTuple):
    """I_lin and the ends of its 95% interval over blocks, in nats."""

    linear: float = 0.0
    linear_low: float = 0.0
    linear_high: float = 0.0


def linear_information(targets: Floats, predictions: Floats, blocks: int) -> LinearInformation:
    """Return what the held-out predictions (n, d) of normal scores (n, d) show."""
    u, e = (np.square(side) for side in (targets, targets - predictions))
    mean_u, mean_e = u.mean(axis=0), e.mean(axis=0)
    terms = 0.5 * (np.log(mean_u / mean_e) + u / mean_u - e / mean_e).sum(axis=1)
    return LinearInformation(float(terms.mean()), *block_interval(terms, blocks))


def block_interval(terms: Floats, blocks: int) -> tuple[float, float]:
    """Return the ends of Student's 95% interval of the mean of terms (n,), by their blocks."""
    means = terms.reshape(blocks, -1).mean(axis=1)
    half = student_quantile(0.95, blocks - 1) * means.std(ddof=1) / np.sqrt(blocks)
    return float(means.mean() - half), float(means.mean() + half)
