"""Vorticity against closed forms: exact where periodic, second order where not."""

import math

import numpy as np
import pytest
import torch

from chimera.data.sources.vorticity import vorticity
from chimera.fields.fourier import axis_derivative, velocity


def test_periodic_vorticity_undoes_the_solver_s_velocity():
    field = torch.randn(3, 32, 32, dtype=torch.float64)
    field_hat = torch.fft.rfft2(field)
    field_hat[..., 8:-8, :] = 0.0
    field_hat[..., :, 8:] = 0.0
    field_hat[..., 0, 0] = 0.0
    field = torch.fft.irfft2(field_hat, s=(32, 32))
    flow = velocity(field, 5.0).numpy()
    found = vorticity(flow[..., 0], flow[..., 1], (5.0, 5.0), ("periodic", "periodic"))
    np.testing.assert_allclose(found, field.numpy(), atol=1e-6)


@pytest.mark.parametrize("axis", [-2, -1])
@pytest.mark.parametrize("points", [12, 15])
def test_derivative_along_one_axis_of_a_rectangle(axis, points):
    shape = [9, 9]
    shape[axis] = points
    position = np.arange(points) * 3.0 / points
    wave, slope = (f(2 * math.pi * 2 * position / 3.0) for f in (np.sin, np.cos))
    expand = (slice(None), None) if axis == -2 else (None, slice(None))
    field = torch.from_numpy(np.broadcast_to(wave[expand], shape).copy())
    found = axis_derivative(field, 3.0, axis).numpy()
    expected = np.broadcast_to((4 * math.pi / 3.0 * slope)[expand], shape)
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_sign_is_that_of_a_counterclockwise_turn():
    """(u, v) = (-y, x) has vorticity 2: exact for differences, too, at the edges included."""
    x, y = np.meshgrid(np.linspace(-1, 1, 8), np.linspace(-1, 1, 10), indexing="ij")
    extent = (2 * 8 / 7, 2 * 10 / 9)
    found = vorticity(-y[None], x[None], extent, ("open", "open"))
    np.testing.assert_allclose(found, 2.0, rtol=1e-6)


def test_differences_converge_with_second_order():
    def error(N):
        x = np.arange(N) / N
        field = np.exp(np.sin(2 * x))[:, None] * np.cos(3 * x)[None, :]
        expected = (2 * np.cos(2 * x))[:, None] * field
        zero = np.zeros_like(field)
        found = vorticity(zero[None], field[None], (1.0, 1.0), ("open", "open"))[0]
        return np.abs(found - expected).max()

    order = math.log2(error(32) / error(64))
    assert 1.75 < order < 2.3


def test_each_axis_has_its_own_derivative():
    """Periodic along x, open along y: exact for a wave in x times a parabola in y."""
    x, y = np.arange(16) * 2 * math.pi / 16, np.arange(9) / 9
    u = np.sin(3 * x)[:, None] * y[None] ** 2
    v = np.cos(2 * x)[:, None] * (1 + y[None])
    expected = -2 * np.sin(2 * x)[:, None] * (1 + y[None]) - 2 * np.sin(3 * x)[:, None] * y[None]
    found = vorticity(u[None], v[None], (2 * math.pi, 1.0), ("periodic", "open"))[0]
    np.testing.assert_allclose(found, expected, atol=1e-5)
