"""Runs of one model that are paired at random differ as often as chance says."""

import sys
from pathlib import Path

import numpy as np
import pytest

from chimera.interface.errors import InputError

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from same_model import share_found


@pytest.mark.parametrize("n", [12, 21, 40])
def test_runs_of_one_model_differ_in_a_twentieth_of_pairings(n):
    shares = [
        share_found(np.random.default_rng(seed).normal(-2, 0.08, n), rng=seed) for seed in range(6)
    ]
    assert 0.03 < np.mean(shares) < 0.07
    assert max(shares) < 0.1


def test_a_seed_draws_the_same_pairings_and_a_level_is_kept():
    values = np.random.default_rng(3).normal(size=20)
    assert share_found(values) == share_found(values)
    assert share_found(values, alpha=0.5) == pytest.approx(0.5, abs=0.06)
    with pytest.raises(InputError, match="holds 3 values, expected at least 4"):
        share_found(values[:3])
