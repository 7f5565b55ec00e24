"""The compiled engine against the one in torch, on grids of every factor and of ragged widths."""

import math
import subprocess
import sys

import pytest
import torch

from chimera.solver.advection import Advection
from chimera.solver.compiled import advection as compiled_advection
from chimera.solver.compiled import kernels
from chimera.solver.compiled.advection import CompiledAdvection, covers
from chimera.solver.spectral_grid import SpectralGrid, split_planes

EXTENT = 3.0


def random_state(grid, dtype, count=3):
    generator = torch.Generator().manual_seed(grid.num_points)
    N = grid.num_points
    fields = torch.randn(count, N, N, dtype=torch.float64, generator=generator)
    return split_planes(grid.to_modes(fields)).to(dtype)


@pytest.mark.parametrize(("dtype", "bound"), [(torch.float64, 1e-13), (torch.float32, 5e-6)])
@pytest.mark.parametrize(
    "num_points", [24, 27, 32, 42, 48, 50, 54, 64, 81, 96, 100, 105, 128, 144, 160, 256]
)
def test_engines_agree(num_points, dtype, bound):
    grid = SpectralGrid(num_points)
    state = random_state(grid, dtype)
    if not covers(grid, state):
        assert grid.shape[1] < kernels.lane_count(dtype.itemsize)
        return
    mine, other = (kind(grid, EXTENT, state) for kind in (CompiledAdvection, Advection))
    result, expected = (torch.full_like(state, math.nan) for _ in range(2))
    for _ in range(2):  # what the first leaves behind must not matter to the second
        mine(state, result)
        other(state, expected)
        assert float((result - expected).norm() / expected.norm()) < bound
        speeds = mine.largest_speed(state), other.largest_speed(state)
        torch.testing.assert_close(*speeds, rtol=bound, atol=0.0)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_seen_and_stays_in_its_trajectory(value):
    grid = SpectralGrid(48)
    state = random_state(grid, torch.float64)
    engine = CompiledAdvection(grid, EXTENT, state)
    clean, result = torch.empty_like(state), torch.empty_like(state)
    engine(state, clean)
    speeds = engine.largest_speed(state)
    state[1, 0, 3, 2] = value
    engine(state, result)
    assert not result[1].isfinite().any()
    assert torch.equal(result[[0, 2]], clean[[0, 2]])
    assert not engine.largest_speed(state)[1].isfinite()
    assert torch.equal(engine.largest_speed(state)[[0, 2]], speeds[[0, 2]])


def test_grids_that_it_does_not_cover_are_left_to_torch():
    for num_points, expected in ((22, False), (44, False), (66, False), (8, False), (48, True)):
        grid = SpectralGrid(num_points)
        assert covers(grid, random_state(grid, torch.float64, count=1)) == expected


def test_radices_multiply_to_the_number_of_points():
    for num_points in range(2, 600):
        radices = compiled_advection._radices(num_points)
        assert math.prod(radices) == num_points
        assert radices.count(2) <= 1


def test_compiles_where_nothing_can_be_written(monkeypatch):
    plain = kernels.njit

    def njit(*function, cache=False):
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return plain(*function)

    monkeypatch.setattr(kernels, "njit", njit)

    def double(x):
        return 2 * x

    assert kernels._cached(double)["float64"](1.5) == 3.0


def test_reading_parameters_loads_no_compiler():
    """Stages that only know the solver's settings start without it."""
    script = "import sys, chimera.stages.validate, chimera.stages.evaluate, chimera.solver; "
    script += "sys.exit('numba' in sys.modules or 'llvmlite' in sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True)
