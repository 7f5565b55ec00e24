"""Effect sizes, intervals, tests and power for few paired replicates.

Pure functions of arrays. A contrast of x against y has the sign of mean(x) - mean(y); exchanging
the two mirrors every result, and the order of the replicates changes none. Input that cannot be
analysed (too few values, one that is not finite, a largest magnitude outside 1e-60 to 1e60 except
of p and ranks, a nonzero effect without any spread, a level outside (0, 1)) raises `InputError`;
nothing here returns NaN.

`benchmarks/calibration.py` and `benchmarks/decision.py` measure coverage and error rates.
"""

from importlib import import_module
from typing import Any

_NAMES = {
    "confidence_sequences": ["confidence_sequence"],
    "correlation": ["Correlation", "smallest_spearman_p", "spearman", "spearman_interval"],
    "e_values": ["e_value"],
    "effect_sizes": [
        "cohens_d",
        "cohens_dz",
        "hedges_g",
        "hedges_gz",
        "probability_of_superiority",
    ],
    "equivalence": ["equivalence_p"],
    "location": ["paired_t_p", "sign_flip_p"],
    "multiplicity": ["benjamini_hochberg", "holm"],
    "power": ["detectable_effect", "paired_t_power", "required_replicates"],
    "resampling.intervals": ["Interval", "bca_interval", "percentile_interval", "t_interval"],
}
__all__ = sorted(name for names in _NAMES.values() for name in names)
__dir__ = __all__.copy


def __getattr__(name: str) -> Any:
    """Import a public name when it is asked for; the audit has no lazy_loader."""
    for module, names in _NAMES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
