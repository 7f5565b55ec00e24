"""What people's scripts import: names and signatures that stay, and how little loads for them."""

import inspect
import subprocess
import sys
from importlib import import_module

import pytest

PUBLIC = {
    "chimera": {"load": "folder"},
    "chimera.models": {"build_model": "settings"},
    "chimera.models.parity": {
        "count": "model, input_shape",
        "live": "model, input_shape",
        "solve_widths": "settings, baseline, tolerance",
    },
    "chimera.solver": {
        "simulate": "vorticity, *, viscosity, domain_extent, time_step, num_steps, save_every=1, "
        "drag=0.0, forcing=None"
    },
    "chimera.fields.metrics": {
        "nrmse": "prediction, target",
        "vrmse": "prediction, target",
        "rmse": "prediction, target",
        "band_rmse": "prediction, target",
        "valid_time": "prediction, target",
    },
    "chimera.probes.twonn": {"intrinsic_dimension": "points"},
    "chimera.probes.ib": {"mutual_information": "x, y"},
    "chimera.probes.spectra": {"energy_spectrum": "field"},
    "chimera.probes.patching": {"recovered_effect": "model, donor, recipient, site"},
    "chimera.probes.rome": {"rank_one_update": "weight, keys, values, covariance, softness=0.0"},
    "chimera.statistics": {
        "benjamini_hochberg": "p",
        "bca_interval": "values",
        "cohens_d": "x, y",
        "cohens_dz": "x, y",
        "confidence_sequence": "differences, alpha=0.05",
        "detectable_effect": "num_replicates",
        "e_value": "differences",
        "equivalence_p": "differences, margin",
        "hedges_g": "x, y",
        "hedges_gz": "x, y",
        "holm": "p",
        "paired_t_p": "differences",
        "paired_t_power": "effect, num_replicates",
        "percentile_interval": "values",
        "probability_of_superiority": "x, y",
        "required_replicates": "effect",
        "sign_flip_p": "differences",
        "spearman": "x, y",
        "spearman_interval": "x, y",
        "t_interval": "values",
    },
}


def words(parameter):
    """Return a parameter as it is written in a call's signature."""
    has_default = parameter.default is not parameter.empty
    return parameter.name + (f"={parameter.default!r}" if has_default else "")


@pytest.mark.parametrize(
    ("module", "name", "signature"),
    [(module, name, told) for module, names in PUBLIC.items() for name, told in names.items()],
)
def test_a_public_function_is_found_and_called_as_before(module, name, signature):
    """Its parameters begin with these; what follows has defaults."""
    function = getattr(import_module(module), name)
    parameters = inspect.signature(function).parameters.values()
    written = [words(parameter) for parameter in parameters]
    expected = [part for part in signature.split(", ") if part != "*"]
    assert written[: len(expected)] == expected
    assert all("=" in part for part in written[len(expected) :])
    if "*, " in signature:
        kinds = {parameter.kind for parameter in list(parameters)[1:]}
        assert kinds == {inspect.Parameter.KEYWORD_ONLY}
    assert name in dir(import_module(module))


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        ("import chimera", {"torch", "numpy", "scipy", "numba", "dvc"}),
        ("import chimera.models, chimera.statistics", {"torch", "scipy"}),
        ("from chimera.statistics import cohens_dz", {"torch"}),
        ("from chimera.fields.metrics import nrmse", {"numba", "scipy", "matplotlib"}),
    ],
)
def test_an_import_loads_little(statement, absent):
    script = f"import sys; {statement}; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not absent & set(loaded)
