"""Both engines against torch.fft and the advective form, on grids of every factor and width."""

import math
import subprocess
import sys

import numpy as np
import pytest
import torch

from chimera.solver import navier_stokes
from chimera.solver.advection import Advection
from chimera.solver.compiled import advection as compiled_advection
from chimera.solver.compiled import kernels
from chimera.solver.compiled.advection import CompiledAdvection, covers
from chimera.solver.spectral_grid import SpectralGrid, join_planes, split_planes

EXTENT = 3.0


def random_state(grid, dtype, count=3):
    generator = torch.Generator().manual_seed(grid.num_points)
    N = grid.num_points
    fields = torch.randn(count, N, N, dtype=torch.float64, generator=generator)
    return split_planes(grid.to_modes(fields)).to(dtype)


def primitive(grid, state):
    """Return the kept modes of -u . grad omega, as planes, and the largest |u| + |v|.

    Written out in float64 with torch's transforms of whole planes: five products on the grid,
    where the engines take Basdevant's form. Both alias onto no kept mode, and agree exactly.
    """
    N, K = grid.num_points, grid.highest
    m = torch.fft.fftfreq(N, 1 / N, dtype=torch.float64) * (2 * math.pi / EXTENT)
    k_x, k_y = m[:, None], m[None, :]
    square = k_x.square() + k_y.square()
    square[0, 0] = 1.0
    omega_hat = torch.fft.fft2(grid.to_grid(join_planes(state.double())))

    def on_grid(factor):
        return torch.fft.ifft2(1j * factor * omega_hat).real

    u, v = on_grid(k_y / square), on_grid(-k_x / square)
    modes = torch.fft.fft2(-(u * on_grid(k_x) + v * on_grid(k_y)), norm="forward")
    kept = torch.cat([torch.arange(K + 1), torch.arange(N - K, N)])
    return split_planes(modes[:, kept, : K + 1]), (u.abs() + v.abs()).amax((1, 2))


@pytest.mark.parametrize(("dtype", "bound"), [(torch.float64, 1e-13), (torch.float32, 5e-6)])
@pytest.mark.parametrize(
    "num_points", [22, 24, 27, 32, 42, 48, 50, 54, 64, 66, 81, 96, 100, 105, 128, 144, 160, 256]
)
def test_engines_agree_with_the_advective_form(num_points, dtype, bound):
    grid = SpectralGrid(num_points)
    state = random_state(grid, dtype)
    fits = grid.shape[1] >= 32 // dtype.itemsize  # whatever the width of this processor's vectors
    smooth = all(num_points % prime for prime in (11, 13))
    assert covers(grid, state) == (fits and smooth)
    expected, speeds = primitive(grid, state)
    for kind in [Advection, CompiledAdvection] if covers(grid, state) else [Advection]:
        engine = kind(grid, EXTENT, state)
        result = torch.full_like(state, math.nan)
        for _ in range(2):  # what the first leaves behind must not matter to the second
            engine(state, result)
            assert float((result.double() - expected).norm() / expected.norm()) < bound, kind
            found = engine.largest_speed(state).double()
            torch.testing.assert_close(found, speeds, rtol=bound, atol=0.0)


@pytest.mark.parametrize(("dtype", "bound"), [("float64", 1e-14), ("float32", 1e-6)])
@pytest.mark.parametrize("num_points", [2, 3, 4, 7, 8, 9, 16, 24, 35, 48, 60, 64, 128, 210, 256])
def test_compiled_transforms_are_those_of_torch(num_points, dtype, bound):
    """Forward as it is called, and the inverse with real and imaginary parts exchanged."""
    lanes = kernels.lane_count(np.dtype(dtype).itemsize)
    rng = np.random.default_rng(num_points)
    parts = rng.standard_normal((2, num_points, lanes)).astype(dtype)
    passes, twiddles = compiled_advection.plan_transform(num_points, np.dtype(dtype).type)
    whole = torch.complex(*torch.from_numpy(parts))
    for is_inverse in (False, True):
        re, im = (np.full((2, num_points, lanes), np.nan, dtype) for _ in range(2))
        re[0], im[0] = parts
        kernels.transform(*((im, re) if is_inverse else (re, im)), passes, twiddles)
        place = len(passes) % 2
        found = torch.complex(torch.from_numpy(re[place]), torch.from_numpy(im[place]))
        transform = torch.fft.ifft if is_inverse else torch.fft.fft
        expected = transform(
            whole.to(torch.complex128), dim=0, norm="forward" if is_inverse else None
        )
        assert float((found - expected).norm() / expected.norm()) < bound


def test_simulations_take_the_engine_that_covers_them(monkeypatch):
    for num_points, engine in ((48, CompiledAdvection), (44, Advection)):
        grid = SpectralGrid(num_points)
        state = random_state(grid, torch.float64, count=1)
        assert type(navier_stokes._engine(grid, EXTENT, state)) is engine
    monkeypatch.setattr(compiled_advection, "covers", lambda *_: False)
    grid = SpectralGrid(48)
    state = random_state(grid, torch.float64, count=1)
    assert type(navier_stokes._engine(grid, EXTENT, state)) is Advection


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
