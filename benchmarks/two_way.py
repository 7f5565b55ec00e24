"""Interval of the mean of paired differences over random seeds and random trajectories.

The study does not use it: see calibration.py.

    d_rt = mu + a_r + b_t + e_rt,   r = 1..R replicates, t = 1..T trajectories

    V  = (MS_R + max(MS_T - MS_E, 0)) / (R T)              estimates var(mean d)
    df = (RTV)^2 / (MS_R^2 / (R-1) + MS_T^2 / (T-1) + MS_E^2 / ((R-1)(T-1)))
    CI = mean d -+ t_df sqrt(V)

with the mean squares of the two-way layout without repetition: E[MS_R] = T var(a) + var(e),
E[MS_T] = R var(b) + var(e), E[MS_E] = var(e), so that E[MS_R + MS_T - MS_E] = R T var(mean d).
Where MS_T <= MS_E the trajectories add nothing, and the interval is Student's over the replicates'
means; df is never below its R - 1 degrees of freedom.

F. E. Satterthwaite 1946, An approximate distribution of estimates of variance components,
Biometrics Bulletin 2, 110-114. Mean squares: S. R. Searle, G. Casella & C. E. McCulloch
1992, Variance Components, section 4.3.
"""

import numpy as np
import scipy
from numpy.typing import ArrayLike

from chimera.interface.errors import InputError
from chimera.statistics.resampling.intervals import Interval
from chimera.statistics.resampling.samples import has_spread, require_fraction, sample


def satterthwaite_interval(differences: ArrayLike, confidence: float = 0.95) -> Interval:
    """Return the interval of the mean of paired differences (R, T), both at least 2.

    It is [0, 0] where every difference is zero, and [mean, mean] where the replicates' means agree
    exactly and the trajectories add nothing. Other differences without any spread are an error.
    """
    require_fraction("confidence", confidence)
    d = np.array([sample("differences", row) for row in np.asarray(differences)])  # T >= 2
    R, T = d.shape
    if R < 2:
        raise InputError(f"'differences' has {R} replicates, expected at least 2")
    mean = d.mean()
    if not has_spread("all of 'differences'", d - mean, mean, d):
        return Interval(0.0, 0.0)
    a = d.mean(axis=1) - mean
    b = d.mean(axis=0) - mean
    e = d - mean - a[:, None] - b
    ms_r = T * (a**2).sum() / (R - 1)
    ms_t = R * (b**2).sum() / (T - 1)
    ms_e = (e**2).sum() / ((R - 1) * (T - 1))
    df = float(R - 1)
    if ms_t > ms_e:
        total = ms_r + ms_t - ms_e
        weight = ms_r**2 / (R - 1) + ms_t**2 / (T - 1) + ms_e**2 / ((R - 1) * (T - 1))
        df = max(df, total**2 / weight)
    variance = (ms_r + max(ms_t - ms_e, 0.0)) / (R * T)
    half = scipy.stats.t.isf((1 - confidence) / 2, df) * np.sqrt(variance)
    return Interval(float(mean - half), float(mean + half))
