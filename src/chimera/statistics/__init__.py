"""Effect sizes, intervals, tests and power for a handful of paired replicates.

Pure functions of arrays. A contrast of x against y has the sign of mean(x) - mean(y), and every
procedure gives the mirrored result when the two change places and the same result when the
replicates are put in another order. Input that no procedure could judge (too few values, a NaN,
no spread) raises `InputError`; nothing here returns NaN. `scipy.stats` is imported where its first
function is called, not before: it takes a second.

`benchmarks/calibration.py` measures how far each procedure keeps its promise at 3 to 10 replicates.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "correlation": ["Correlation", "spearman", "spearman_interval"],
        "effect_sizes": [
            "cohens_d",
            "cohens_dz",
            "hedges_g",
            "hedges_gz",
            "probability_of_superiority",
        ],
        "location": ["paired_t_p", "sign_flip_p"],
        "multiplicity": ["benjamini_hochberg"],
        "power": ["paired_t_power", "required_replicates"],
        "resampling.intervals": ["Interval", "bca_interval", "percentile_interval", "t_interval"],
        "two_way": ["satterthwaite_interval"],
    },
)
