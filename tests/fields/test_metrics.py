"""Field metrics against closed forms, Parseval's theorem and The Well's own implementation."""

import math

import numpy as np
import pytest
import torch
from the_well.benchmark.metrics import VRMSE
from the_well.data.datasets import WellMetadata

from chimera.fields.metrics import band_rmse, correlation, rmse, valid_time, vrmse
from chimera.fields.nrmse import nrmse
from chimera.interface.errors import InputError

METRICS = [rmse, nrmse, vrmse, correlation, band_rmse]


def shells(error, quadrant):
    """Return the sums of |error_hat|^2 over the shells of floor(|m|), the error's mean square.

    PDEBench (Takamoto et al. 2022, appendix) keeps the quadrant of modes m_x, m_y >= 0 alone.
    """
    n = error.shape[-1]
    power = np.abs(np.fft.fft2(error) / n**2) ** 2
    m = np.fft.fftfreq(n, 1 / n)
    shell = np.floor(np.hypot(m[:, None], m[None, :])).astype(int)
    if quadrant:
        power, shell = power[: n // 2, : n // 2], shell[: n // 2, : n // 2]
    return np.bincount(shell.ravel(), power.ravel())


@pytest.fixture
def pair():
    """Return prediction and target (3, 2, 32, 32), float64."""
    generator = np.random.default_rng(0)
    return generator.standard_normal((2, 3, 2, 32, 32))


def reference_fields(n=64):
    """Return the prediction and the target of the shared fixture."""
    generator = np.random.default_rng(0)
    y0 = generator.standard_normal((n, n))
    e = generator.standard_normal((n, n))
    x = 2 * np.pi * np.arange(n) / n
    X, Y = np.meshgrid(x, x, indexing="ij")
    y = np.sin(X) + 0.5 * np.cos(3 * X + 2 * Y) + 0.1 * y0
    p = y + 0.2 * np.sin(2 * Y) + 0.1 * np.cos(6 * X - 5 * Y) + 0.05 * np.cos(20 * Y) + 0.01 * e
    return p, y


def test_reference_values():
    prediction, target = reference_fields()
    # The Well adds 1e-7 to the mean square of the target; we divide by the norm itself.
    regularised = nrmse(prediction, target) / np.sqrt(1 + 1e-7 / np.mean(target**2))
    assert regularised == pytest.approx(0.203847534, abs=1e-9)
    assert vrmse(prediction, target) == pytest.approx(0.203823067, abs=1e-9)


def test_bands_are_pdebench_s_shells_of_every_direction():
    prediction, target = reference_fields()
    seen = np.sqrt(shells(prediction - target, quadrant=True)[:32])
    expected = (0.0251768, 0.000551546, 0.00214654)
    assert (seen[:4].mean(), seen[4:12].mean(), seen[12:].mean()) == pytest.approx(expected, 1e-5)
    # Its own numbers are those of reference; ours add the other quadrants, over our edges.
    whole = shells(prediction - target, quadrant=False)
    ours = np.sqrt([whole[:8].sum(), whole[8:24].sum(), whole[24:].sum()])
    np.testing.assert_allclose(band_rmse(prediction, target), ours, rtol=1e-12)


def test_nrmse_is_pdebench_s(pair):
    """Its norms are root mean squares over space, sample by sample."""
    prediction, target = pair
    error = np.sqrt(np.mean((prediction - target).reshape(3, 2, -1) ** 2, axis=2))
    norm = np.sqrt(np.mean(target.reshape(3, 2, -1) ** 2, axis=2))
    np.testing.assert_allclose(nrmse(prediction, target), error / norm)


def test_definitions(pair):
    prediction, target = pair
    error = prediction - target
    axes = (-2, -1)
    np.testing.assert_allclose(rmse(prediction, target), np.sqrt((error**2).mean(axes)))
    norms = np.linalg.norm(error, axis=axes) / np.linalg.norm(target, axis=axes)
    np.testing.assert_allclose(nrmse(prediction, target), norms)


def test_vrmse_is_the_well_s(pair):
    prediction, target = (torch.from_numpy(field) for field in pair)
    metadata = WellMetadata(
        dataset_name="fixture",
        n_spatial_dims=2,
        spatial_resolution=(32, 32),
        scalar_names=[],
        constant_scalar_names=[],
        field_names={0: ["a", "b"], 1: [], 2: []},
        constant_field_names={0: [], 1: [], 2: []},
        boundary_condition_types=["periodic"],
        n_files=1,
        n_trajectories_per_file=[3],
        n_steps_per_trajectory=[1],
    )
    channels_last = [field.movedim(1, -1) for field in (prediction, target)]
    expected = VRMSE.eval(*channels_last, metadata)
    torch.testing.assert_close(vrmse(prediction, target), expected)


def test_arrays_and_tensors_give_the_same(pair):
    prediction, target = pair
    tensors = torch.from_numpy(prediction), torch.from_numpy(target)
    for metric in (rmse, nrmse, vrmse, correlation):
        array, tensor = metric(prediction, target), metric(*tensors)
        assert isinstance(array, np.ndarray)
        assert isinstance(tensor, torch.Tensor)
        np.testing.assert_array_equal(array, tensor.numpy())


def test_views_of_arrays_are_taken():
    target = np.random.default_rng(2).standard_normal((16, 16))
    assert nrmse(target[::-1, ::-1], target[::-1, ::-1]) == 0.0
    repeated = np.broadcast_to(target, (3, 16, 16))  # not writable
    np.testing.assert_array_equal(rmse(repeated + 1.0, repeated), rmse(target + 1.0, target))
    repeated = target.copy()
    nrmse(target, repeated)
    np.testing.assert_array_equal(repeated, target)


@pytest.mark.parametrize(("H", "W"), [(16, 16), (15, 16), (16, 15), (15, 15), (12, 20)])
def test_bands_add_up_to_the_whole_error(H, W):
    prediction, target = np.random.default_rng(1).standard_normal((2, 4, H, W))
    bands = band_rmse(prediction, target)
    total = np.sqrt(sum(band**2 for band in bands))
    np.testing.assert_allclose(total, rmse(prediction, target), rtol=1e-12)


@pytest.mark.parametrize(
    ("m_x", "m_y", "band"),
    [(0, 0, 0), (3, 0, 0), (2, 2, 0), (0, 4, 1), (8, 8, 1), (0, -11, 1), (12, 0, 2), (9, 9, 2)],
)
def test_a_mode_lies_in_its_band(m_x, m_y, band):
    """On 32 points the largest resolved wavenumber is 16, so the edges are at 4 and at 12."""
    x = 2 * np.pi * np.arange(32) / 32
    wave = np.cos(m_x * x[:, None] + m_y * x[None, :])
    bands = band_rmse(wave, np.zeros_like(wave))
    expected = [0.0, 0.0, 0.0]
    expected[band] = 1.0 if (m_x, m_y) == (0, 0) else math.sqrt(0.5)
    np.testing.assert_allclose(bands, expected, atol=1e-12)


def test_correlation_is_pearson_s(pair):
    prediction, target = pair[0] + 0.3 * pair[1], pair[1]
    expected = [
        [np.corrcoef(p.ravel(), t.ravel())[0, 1] for p, t in zip(*channels, strict=True)]
        for channels in zip(prediction, target, strict=True)
    ]
    np.testing.assert_allclose(correlation(prediction, target), expected)


def test_valid_time_counts_frames_before_the_first_bad_one():
    """A rollout a field + b noise, of unit orthogonal fields, correlates as a / sqrt(a^2 + b^2)."""
    x = 2 * np.pi * np.arange(16) / 16
    field = np.broadcast_to(np.sin(x)[:, None], (16, 16))
    noise = np.broadcast_to(np.cos(x)[:, None], (16, 16))
    target = np.stack([field] * 5)
    for wanted, expected in (
        ([1.0, 0.9, 0.81, 0.79, 0.95], 3),
        ([0.7, 1.0, 1.0, 1.0, 1.0], 0),
        ([0.9] * 5, 5),
    ):
        prediction = np.stack([c * field + math.sqrt(1 - c**2) * noise for c in wanted])
        np.testing.assert_allclose(correlation(prediction, target), wanted)
        assert valid_time(prediction, target, 0.8) == expected
        assert valid_time(prediction, target) == expected
    prediction[2] = np.nan
    assert valid_time(prediction, target, 0.8) == 2


def test_degenerate_targets_are_as_documented():
    one, zero = torch.ones(4, 4, dtype=torch.float64), torch.zeros(4, 4, dtype=torch.float64)
    assert nrmse(one, zero) == math.inf
    assert torch.isnan(nrmse(zero, zero))
    assert torch.isnan(correlation(one, one))
    for value, dtype in ((0.1, torch.float32), (0.7, torch.float64), (1.1, torch.float32)):
        constant = torch.full((64, 64), value, dtype=dtype)
        assert torch.isnan(correlation(constant, 3 * constant))  # although its mean is rounded
    # The variance is zero: only The Well's epsilon is left.
    assert vrmse(one, zero) == pytest.approx(1 / math.sqrt(1e-7))


def test_shapes_must_agree():
    message = r"shape \(2, 4, 4\) and torch.float64 of shape \(4, 4\), expected real numbers of one"
    with pytest.raises(InputError, match=message):
        nrmse(np.zeros((2, 4, 4)), np.zeros((4, 4)))


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.uint32, np.int64, np.float16])
def test_whole_numbers_and_half_floats_are_computed_as_floats(metric, kind):
    prediction, target = np.random.default_rng(3).integers(0, 120, (2, 3, 16, 16)).astype(kind)
    assert (prediction < target).any()  # which unsigned numbers cannot subtract
    wide = [f.astype(np.float32 if kind == np.float16 else float) for f in (prediction, target)]
    np.testing.assert_array_equal(metric(prediction, target), metric(*wide))
    np.testing.assert_array_equal(
        metric(*map(torch.from_numpy, (prediction, target))), metric(*wide)
    )


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(
    ("field", "found"),
    [
        (np.ones((4, 4), complex), r"torch.complex128 of shape \(4, 4\)"),
        (np.ones((4, 4), bool), r"torch.bool of shape \(4, 4\)"),
        (np.ones((3, 0, 4)), r"torch.float64 of shape \(3, 0, 4\)"),
        (np.ones((0, 0)), r"torch.float64 of shape \(0, 0\)"),
        (np.ones(4), r"torch.float64 of shape \(4,\)"),
    ],
)
def test_fields_are_real_numbers_in_cells(metric, field, found):
    with pytest.raises(InputError, match=f"^fields are {found} and {found}, expected real numbers"):
        metric(field, field)


def test_no_fields_have_no_errors():
    """One value for each leading index, of which there is none."""
    assert nrmse(torch.ones(0, 4, 4), torch.ones(0, 4, 4)).shape == (0,)


@pytest.mark.parametrize("size", [1e-30, 1e-13, 1e9, 1e20, 1e34])
def test_no_unit_over_or_underflows_float32(pair, size):
    """Against the same numbers in float64, whose range holds their squares."""
    prediction, target = (torch.from_numpy(size * f).float() for f in (pair[0] + pair[1], pair[1]))
    for metric in (nrmse, rmse, correlation, band_rmse):
        exact = metric(prediction.double(), target.double())
        found = metric(prediction, target)
        torch.testing.assert_close(found, exact, rtol=1e-5, atol=0, check_dtype=False)
    assert valid_time(target, target).tolist() == [2.0] * 3
    # Each field has its own scale.
    torch.testing.assert_close(correlation(target / size, target), torch.ones(3, 2))
    assert nrmse(target, target).abs().max() == 0


@pytest.mark.parametrize("kind", [torch.float32, torch.float64])
def test_powers_of_two_change_no_bit(pair, kind):
    prediction, target = (torch.from_numpy(field).to(kind) for field in pair)
    top = 2.0 ** (120 if kind == torch.float32 else 1000)
    for factor in (top, 1 / top):
        for metric in (nrmse, correlation):
            scaled = metric(factor * prediction, factor * target)
            assert torch.equal(scaled, metric(prediction, target))
        assert torch.equal(
            rmse(factor * prediction, factor * target), factor * rmse(prediction, target)
        )
    norms = [f.square().sum(dim=(-2, -1)) for f in (prediction - target, target)]
    assert torch.equal(nrmse(prediction, target), (norms[0] / norms[1]).sqrt())


def test_a_forecast_that_is_infinite_has_an_infinite_error():
    target = torch.ones(2, 4, 4)
    prediction = target.clone()
    prediction[1, 2, 3] = math.inf
    for metric in (nrmse, rmse):
        assert metric(prediction, target).tolist() == [0.0, math.inf]
