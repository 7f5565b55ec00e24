"""Effect sizes, intervals, tests and power for a handful of paired replicates.

Pure functions of arrays. A contrast of x against y has the sign of mean(x) - mean(y), and every
procedure gives the mirrored result when the two change places and the same result when the
replicates are put in another order. Input that no procedure could judge (too few values, a NaN,
no spread) raises `InputError`; nothing here returns NaN.

`benchmarks/calibration.py` measures how far each procedure keeps its promise at 3 to 10 replicates.
"""

from chimera.statistics.correlation import Correlation, spearman, spearman_interval
from chimera.statistics.effect_sizes import (
    cohens_d,
    cohens_dz,
    hedges_g,
    hedges_gz,
    probability_of_superiority,
)
from chimera.statistics.intervals import Interval, bca_interval, percentile_interval, t_interval
from chimera.statistics.location import paired_t_p, sign_flip_p
from chimera.statistics.multiplicity import benjamini_hochberg
from chimera.statistics.power import paired_t_power, required_replicates
from chimera.statistics.two_way import satterthwaite_interval

__all__ = [
    "Correlation",
    "Interval",
    "bca_interval",
    "benjamini_hochberg",
    "cohens_d",
    "cohens_dz",
    "hedges_g",
    "hedges_gz",
    "paired_t_p",
    "paired_t_power",
    "percentile_interval",
    "probability_of_superiority",
    "required_replicates",
    "satterthwaite_interval",
    "sign_flip_p",
    "spearman",
    "spearman_interval",
    "t_interval",
]
