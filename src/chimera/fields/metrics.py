"""How far a predicted field is from the true one.

All functions take arrays or tensors (..., H, W) of equal shape and return one value for each
leading index, so that the caller decides what is averaged and every sample counts once.

H, W space; T time.
"""

import math
from itertools import pairwise

import torch

from chimera.fields.nrmse import Field, as_tensors, like_field, nrmse

__all__ = ["band_rmse", "correlation", "nrmse", "rmse", "valid_time", "vrmse"]

# The Well's regularisation of the variance, in the square of the field's unit.
VRMSE_EPSILON = 1e-7


def rmse(prediction: Field, target: Field) -> Field:
    """Return sqrt(mean (prediction - target)^2), (...), in the field's unit."""
    p, t = as_tensors(prediction, target)
    return like_field((p - t).square().mean(dim=(-2, -1)).sqrt(), target)


def vrmse(prediction: Field, target: Field) -> Field:
    """Return sqrt(MSE / (var(target) + 1e-7)), (...), var with n - 1 in the denominator.

    The variance-scaled error of The Well (Ohana et al. 2024, section 4), which does not
    favour fields with a large mean.
    """
    p, t = as_tensors(prediction, target)
    variance = t.var(dim=(-2, -1), correction=1)
    mse = (p - t).square().mean(dim=(-2, -1))
    return like_field((mse / (variance + VRMSE_EPSILON)).sqrt(), target)


def band_rmse(prediction: Field, target: Field) -> tuple[Field, Field, Field]:
    """Return the error in the low, the middle and the high wavenumbers, each (...).

    With m = (m_x, m_y) the integer wavenumbers and n = min(H, W) / 2 the largest that every
    direction resolves, `high` holds |m| >= 3/4 n (the top quarter, corners included), `low`
    |m| < 1/4 n, and `mid` what lies between. By Parseval's theorem
    rmse^2 = low^2 + mid^2 + high^2.
    """
    p, t = as_tensors(prediction, target)
    H, W = t.shape[-2:]
    # The mean over space of e^2 is the sum over all wavenumbers of |e_hat|^2 / (H W)^2; the
    # half-plane of rfft2 holds every column but the first and the Nyquist one once for two.
    power = torch.fft.rfft2(p - t, norm="forward").abs().square()
    weight = torch.full((W // 2 + 1,), 2.0, dtype=power.dtype, device=power.device)
    weight[0] = 1.0
    if W % 2 == 0:
        weight[-1] = 1.0
    m_x = torch.fft.fftfreq(H, 1 / H, device=power.device)[:, None]
    m_y = torch.fft.rfftfreq(W, 1 / W, device=power.device)
    fraction = (m_x.square() + m_y.square()).sqrt() / (min(H, W) / 2)
    edges = (0.0, 0.25, 0.75, math.inf)
    bands = []
    for low, high in pairwise(edges):
        inside = ((fraction >= low) & (fraction < high)).to(power.dtype) * weight
        bands.append(like_field((power * inside).sum(dim=(-2, -1)).sqrt(), target))
    return bands[0], bands[1], bands[2]


def correlation(prediction: Field, target: Field) -> Field:
    """Return Pearson's correlation over space, (...), both moments with the same denominator.

    A constant field has no correlation: NaN.
    """
    # Measured from a corner first, a constant field is exactly zero, its rounded mean or not.
    p, t = (f - f[..., :1, :1] for f in as_tensors(prediction, target))
    p = p - p.mean(dim=(-2, -1), keepdim=True)
    t = t - t.mean(dim=(-2, -1), keepdim=True)
    norms = p.square().sum(dim=(-2, -1)) * t.square().sum(dim=(-2, -1))
    return like_field((p * t).sum(dim=(-2, -1)) / norms.sqrt(), target)


def valid_time(prediction: Field, target: Field, threshold: float = 0.8) -> Field:
    """Return the number of frames before the correlation first falls below the threshold.

    Args:
        prediction: A rollout (..., T, H, W).
        target: The true frames, of the same shape.
        threshold: 0.8 as in Kochkov et al. 2021, "Machine learning-accelerated computational
            fluid dynamics", figure 2.

    Returns:
        A whole number of frames 0 .. T, (...); T where it never falls below. A frame without a
        correlation (constant, or not finite) counts as below.
    """
    valid = torch.as_tensor(correlation(prediction, target)) >= threshold
    return like_field(valid.to(torch.get_default_dtype()).cumprod(dim=-1).sum(dim=-1), target)
