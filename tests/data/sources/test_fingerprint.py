"""Fingerprints against closed forms; rounding leaves them in agreement, another flow does not."""

import math

import numpy as np
import pytest

from chimera.data.sources.simulation import flow_fingerprint, recipe
from chimera.data.verification import FINGERPRINT_TOLERANCE, agree


def waves(amplitudes, extent=3.0, m=(2, 3), n=32):
    """Return A cos(k . x), k = 2 pi m / L, for amplitudes (trajectories, frames), float32."""
    x = 2 * math.pi * np.arange(n) / n
    wave = np.cos(m[0] * x[:, None] + m[1] * x[None, :])
    return (np.array(amplitudes)[..., None, None] * wave).astype(np.float32)


def test_one_mode_s_enstrophy_and_energy():
    """1/2 <omega^2> = A^2 / 4 and 1/2 <|u|^2> = A^2 / (4 k^2), for u = omega / k across k."""
    amplitudes = [[1.0, 2.0, 3.0], [4.0, 0.5, 7.0]]
    seen = flow_fingerprint(waves(amplitudes), 3.0, "digest")
    square = (2 * math.pi / 3.0) ** 2 * 13
    assert seen["recipe"] == "digest"
    assert seen["enstrophy"] == pytest.approx([3.0**2 / 4, 7.0**2 / 4], rel=1e-6)
    energy = [(a**2 + b**2) / 2 / (4 * square) for a, b in zip(*amplitudes, strict=True)]
    assert seen["energy"] == pytest.approx(energy, rel=1e-6)


def test_rounding_agrees_and_another_flow_does_not():
    generator = np.random.default_rng(0)
    vorticity = generator.standard_normal((3, 4, 16, 16)).astype(np.float32)
    seen = flow_fingerprint(vorticity, 1.0, "digest")
    signs = generator.choice([-1.0, 1.0], vorticity.shape).astype(np.float32)
    rounded = np.nextafter(vorticity, signs * np.float32(np.inf))
    assert not np.array_equal(rounded, vorticity)
    assert agree(seen, flow_fingerprint(rounded, 1.0, "digest"))
    # Enstrophy and energy are squares: they move twice as far as the field.
    further = vorticity * np.float32(1 + FINGERPRINT_TOLERANCE)
    assert not agree(seen, flow_fingerprint(further, 1.0, "digest"))
    one_alone = vorticity.copy()
    one_alone[1] *= np.float32(1 + FINGERPRINT_TOLERANCE)
    assert not agree(seen, flow_fingerprint(one_alone, 1.0, "digest"))


def test_a_recipe_is_of_generator_parameters_and_seeds():
    base = recipe("solver 1", {"viscosity": 0.01, "seed": (0, 1)})
    assert base == recipe("solver 1", {"seed": (0, 1), "viscosity": 0.01})
    others = {
        recipe("solver 2", {"viscosity": 0.01, "seed": (0, 1)}),
        recipe("solver 1", {"viscosity": 0.010000000000000002, "seed": (0, 1)}),
        recipe("solver 1", {"viscosity": 0.01, "seed": (0, 2)}),
        recipe("solver 1", {"viscosity": 0.01}),
    }
    assert len(others - {base}) == 4
