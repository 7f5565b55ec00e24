"""Decorrelation of fields whose autocorrelation is known, and samples spaced by it."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from chimera.interface.errors import InputError, NoSiteError
from chimera.models.networks.site import Site
from chimera.probes.common.sampling import (
    Decorrelation,
    all_patches,
    autocorrelations,
    coarsest_cell,
    conditional_anomaly,
    decorrelation,
    draw_samples,
    gather_frames,
    gather_patches,
    thin,
)
from chimera.probes.common.subject import Subject

THRESHOLD = 0.2


def autoregression(phi, n=64, T=24, N=8, seed=0):
    """White in space, R(tau) = phi^tau in time."""
    noise = torch.randn(n, T, 1, N, N, generator=torch.Generator().manual_seed(seed))
    frames = [noise[:, 0]]
    for t in range(1, T):
        frames.append(phi * frames[-1] + math.sqrt(1 - phi**2) * noise[:, t])
    return torch.stack(frames, dim=1)


def smooth_noise(width_x, width_y, n=60, T=2, N=64, seed=0):
    """White in time, R(delta) = exp(-delta^2 / (4 width^2)) along each axis.

    White noise whose Fourier modes are multiplied by exp(-m^2 q^2 / 2), q = 2 pi width / N, has
    the spectrum exp(-m^2 q^2), the transform of that Gaussian (periodic images are negligible for
    widths far below N).
    """
    noise = torch.randn(n, T, 1, N, N, generator=torch.Generator().manual_seed(seed))
    m = torch.fft.fftfreq(N, 1 / N)
    q_x, q_y = (2 * math.pi * width / N for width in (width_x, width_y))
    gain = torch.exp(-((m[:, None] * q_x) ** 2 + (m[None, :] * q_y) ** 2) / 2)
    return torch.fft.ifft2(torch.fft.fft2(noise) * gain).real


@pytest.mark.parametrize("phi", [0.3, 0.6, 0.8])
def test_time_of_an_autoregression(phi):
    """phi^tau < 0.2 first at tau = ceil(ln 0.2 / ln phi): no phi here sits on the threshold."""
    expected = math.ceil(math.log(THRESHOLD) / math.log(phi))
    frames = autoregression(phi)
    assert decorrelation(frames, THRESHOLD).time == expected
    time = autocorrelations(frames)[0].numpy()
    np.testing.assert_allclose(time[:8], phi ** np.arange(8.0), atol=0.04)


@pytest.mark.parametrize(("width_x", "width_y"), [(2.2, 4.4), (3.3, 1.1)])
def test_length_of_gaussian_correlations(width_x, width_y):
    """exp(-delta^2 / (4 w^2)) < 0.2 first at ceil(2 w sqrt(ln 5)), the larger of both axes."""
    frames = smooth_noise(width_x, width_y)
    _, rows, columns = autocorrelations(frames)
    lags = np.arange(12.0)
    for measured, width in ((rows, width_x), (columns, width_y)):
        np.testing.assert_allclose(measured[:12], np.exp(-((lags / width) ** 2) / 4), atol=0.05)
    expected = math.ceil(2 * max(width_x, width_y) * math.sqrt(-math.log(THRESHOLD)))
    assert decorrelation(frames, THRESHOLD).length == expected


def test_autocorrelation_is_its_definition():
    frames = torch.randn(3, 5, 2, 6, 6, dtype=torch.float64)
    a = (frames - frames.mean(dim=(0, 1))).numpy()
    time, rows, columns = (R.numpy() for R in autocorrelations(frames))
    for lag in range(5):
        first, second = a[:, : 5 - lag], a[:, lag:]
        expected = (first * second).sum() / np.sqrt((first**2).sum() * (second**2).sum())
        assert time[lag] == pytest.approx(expected, abs=1e-12)
    for lag in range(4):
        for measured, axis in ((rows, -2), (columns, -1)):
            expected = (a * np.roll(a, -lag, axis)).mean() / (a**2).mean()
            assert measured[lag] == pytest.approx(expected, abs=1e-12)


def test_a_mean_profile_correlates_nothing():
    """A forced flow keeps its profile; relative to one mean number R would stay above 0.9."""
    frames = autoregression(0.6)
    profile = 10 * torch.cos(2 * math.pi * torch.arange(8) / 8)
    with_profile = frames + profile
    assert decorrelation(with_profile) == decorrelation(frames)
    about_one_number = with_profile - with_profile.mean()
    lagged = (about_one_number[:, :-5] * about_one_number[:, 5:]).mean()
    assert lagged / about_one_number.square().mean() > 0.9


def test_pure_decay_never_decorrelates_and_gives_one_frame_a_trajectory():
    start = torch.randn(5, 1, 1, 16, 16)
    frames = start * torch.exp(-0.5 * torch.arange(12.0)).reshape(1, 12, 1, 1, 1)
    frames = frames - frames.mean(dim=0)  # only anomalies: a_t = exp(-t / 2) a_0 exactly
    np.testing.assert_allclose(autocorrelations(frames)[0], 1.0, atol=1e-6)
    samples = draw_samples(frames, 8, np.random.default_rng(0))
    assert samples.decorrelation.time == 12
    assert len(samples.frames()[0]) == 5
    assert len(samples) == 5 * 4


def test_standing_wave_of_the_whole_square_gives_one_patch_a_frame():
    wave = torch.cos(2 * math.pi * torch.arange(16) / 16).expand(16, 16)
    frames = torch.randn(4, 6, 1, 1, 1) * wave  # constant along rows: R = 1 there
    samples = draw_samples(frames, 4, np.random.default_rng(0))
    assert samples.decorrelation.length == 16
    assert len(samples) == len(samples.frames()[0])


@pytest.mark.parametrize("seed", range(5))
def test_samples_keep_their_distance(seed):
    frames = smooth_noise(3.3, 2.2, n=3, T=1)
    frames = torch.cat([frames, -frames, frames.flip(-1)] * 7, dim=1)
    samples = draw_samples(frames, 8, np.random.default_rng(seed))
    time, length = samples.decorrelation.time, samples.decorrelation.length
    assert 8 < length <= 16
    assert samples.frame.min() >= 0
    assert samples.frame.max() < 21 - 1
    for trajectory in range(3):
        own = np.unique(samples.frame[samples.trajectory == trajectory])
        assert len(own) == 1 + 19 // time
        assert (np.diff(own) == time).all()
        for frame in own:
            held = (samples.trajectory == trajectory) & (samples.frame == frame)
            assert held.sum() == 16
            for at in (samples.row[held], samples.column[held]):
                positions = np.unique(at)
                gaps = np.diff([*positions, positions[0] + 64])
                assert (gaps >= length).all()
                assert (positions % 8 == 0).all()


def test_count_at_the_default_scale():
    """16 trajectories x 3 frames x 64 patches where both lags are 8 (20 frames have a target)."""
    frames = torch.randn(16, 3, 1, 64, 64)  # held for 8 frames and 8 cells below
    frames = frames.repeat_interleave(8, dim=1)[:, :21]
    frames = frames[..., ::8, ::8].repeat_interleave(8, dim=-2).repeat_interleave(8, dim=-1)
    samples = draw_samples(frames, 8, np.random.default_rng(0))
    found = samples.decorrelation
    assert found == Decorrelation(time=7, length=7)  # R = 1 - lag / 8 < 0.2
    assert len(samples) == 16 * 3 * 64


def test_same_seed_same_samples():
    frames = autoregression(0.6, n=4, N=16)
    first, again, other = (
        draw_samples(frames, 4, np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    assert np.array_equal(first.frame, again.frame)
    assert np.array_equal(first.row, again.row)
    assert not np.array_equal(first.frame, other.frame)


def test_thin_keeps_distinct_samples_in_order():
    samples = draw_samples(autoregression(0.6, n=4, N=16), 4, np.random.default_rng(0))
    fewer = thin(samples, 100, np.random.default_rng(1))
    places = np.stack([fewer.trajectory, fewer.frame, fewer.row, fewer.column], axis=1)
    assert len(np.unique(places, axis=0)) == 100
    assert (np.diff(fewer.trajectory) >= 0).all()
    assert thin(samples, len(samples), np.random.default_rng(1)) is samples


@pytest.mark.parametrize("resolution", [16, 8, 4, 2])
def test_patches_lie_over_the_same_square(resolution):
    """A site that holds the field at lower resolution holds the mean of each patch's cells."""
    frames = torch.randn(3, 6, 2, 16, 16, dtype=torch.float64)
    samples = draw_samples(frames, 4, np.random.default_rng(0))
    batch = gather_frames(frames, samples)
    cell = 16 // resolution
    patches = gather_patches(nn.functional.avg_pool2d(batch, cell), samples)
    across = max(1, 4 // cell)
    assert patches.shape == (len(samples), 2 * across**2)
    if cell > 4:
        return
    for i in range(0, len(samples), 7):
        rows = (samples.row[i] + np.arange(4)) % 16
        columns = (samples.column[i] + np.arange(4)) % 16
        field = frames[samples.trajectory[i], samples.frame[i]]
        square = field[:, rows][:, :, columns]
        expected = nn.functional.avg_pool2d(square, cell).flatten()
        torch.testing.assert_close(patches[i], expected)


def test_patches_wrap_around_the_edge():
    frames = torch.randn(2, 3, 1, 16, 16)
    samples = draw_samples(frames, 8, np.random.default_rng(0))
    samples.row[:] = 12
    batch = gather_frames(frames, samples)
    first = gather_patches(batch, samples)[0].reshape(8, 8)
    rows, columns = [12, 13, 14, 15, 0, 1, 2, 3], np.arange(8) + samples.column[0]
    torch.testing.assert_close(first, batch[0, 0][rows][:, columns])


class Pyramid(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Conv2d(1, 3, 1), Site(), nn.MaxPool2d(4), Site())


@pytest.mark.parametrize("batch_size", [1, 3, 100])
def test_sites_are_gathered_as_from_one_batch(batch_size):
    network, frames = Pyramid(), torch.randn(3, 6, 1, 16, 16)
    assert coarsest_cell(network, ["1", "3"], frames[0, 0]) == 4
    samples = thin(draw_samples(frames, 4, np.random.default_rng(0)), 50, np.random.default_rng(0))
    samples = samples.take(np.random.default_rng(0).permutation(len(samples)))  # any order
    subject = Subject(network, {"ind": frames}, torch.zeros(1), torch.ones(1), 2 * math.pi)
    found = all_patches(subject, "ind", ["1", "3"], samples, batch_size)
    assert list(found) == ["input", "1", "3", "target"]
    now, later = (gather_frames(frames, samples, later) for later in (0, 1))
    assert torch.equal(found["input"], gather_patches(now, samples))
    assert torch.equal(found["target"], gather_patches(later - now, samples))
    with torch.no_grad():
        finest = network[0](gather_frames(frames, samples))
    torch.testing.assert_close(found["1"], gather_patches(finest, samples))
    torch.testing.assert_close(found["3"], gather_patches(network[2](finest), samples))


@pytest.mark.parametrize(("shape", "stated"), [((4, 1), r"\(1, 3, 4, 16\)"), ((3, 3), "5, 5")])
def test_a_site_whose_cells_are_no_squares_of_the_field_offers_nothing(shape, stated):
    network = nn.Sequential(nn.Conv2d(1, 3, 1), nn.MaxPool2d(shape), Site())
    with pytest.raises(NoSiteError, match=rf"^site '2' has activations .*{stated}"):
        coarsest_cell(network, ["2"], torch.randn(1, 16, 16))


def test_later_frames_follow():
    frames = torch.arange(10.0).reshape(1, 10, 1, 1, 1) * torch.randn(3, 1, 1, 8, 8)
    samples = draw_samples(frames, 4, np.random.default_rng(0))
    for row, (trajectory, frame) in enumerate(samples.frames()[0]):
        later = gather_frames(frames, samples, later=1)[row]
        assert torch.equal(later, frames[trajectory, frame + 1])


def test_bad_input_is_one_sentence():
    frames, rng = torch.randn(2, 4, 1, 8, 8), np.random.default_rng(0)
    with pytest.raises(InputError, match=r"shape \(2, 4, 8, 8\), expected \(n, T, C, N, N\)"):
        decorrelation(frames[:, :, 0])
    with pytest.raises(InputError, match="NaN or infinite"):
        decorrelation(torch.full_like(frames, torch.nan))
    with pytest.raises(InputError, match="all frames of the trajectories are equal"):
        decorrelation(torch.ones_like(frames))
    with pytest.raises(InputError, match="patches of 3 cells"):
        draw_samples(frames, 3, rng)
    with pytest.raises(InputError, match=r"1 frames of .*, expected a divisor of 8 and two frames"):
        draw_samples(frames.reshape(8, 1, 1, 8, 8), 4, rng)
    samples = draw_samples(frames, 4, rng)
    with pytest.raises(InputError, match=r"shape \(1, 3, 8, 8\), expected \(6, C, H, H\)"):
        gather_patches(torch.zeros(1, 3, 8, 8), samples)
    with pytest.raises(InputError, match=r"expected \(6, C, H, H\)"):
        gather_patches(torch.zeros(6, 3, 8, 4), samples)


def test_a_profile_that_follows_the_force_is_no_correlation():
    """w = noise + F_i / 2 + mean field: without what is linear in F_i, noise is left."""
    generator = torch.Generator().manual_seed(0)
    forces = 3 * torch.randn(12, 1, 1, 16, 16, generator=generator)
    noise = torch.randn(12, 9, 1, 16, 16, generator=generator)
    flow = noise + forces / 2 + torch.randn(1, 1, 1, 16, 16, generator=generator)
    constant = torch.cat([forces[:, 0], torch.full((12, 1, 16, 16), 7.0)], dim=1)
    assert decorrelation(flow, 0.2).time == 9  # never
    anomaly = conditional_anomaly(flow, constant)
    assert decorrelation(anomaly, 0.2) == decorrelation(noise, 0.2) == (1, 1)
    mean = (forces[:, 0] - forces[:, 0].mean(dim=0))[:, None] / 2
    error = (anomaly - (flow - mean)).square().mean().sqrt()
    assert error < 3 * (12 * 9 * 256) ** -0.5  # that of a slope fitted to noise, times the force


def test_one_force_for_all_changes_nothing():
    flow, force = torch.randn(4, 5, 1, 8, 8), torch.randn(1, 1, 8, 8).expand(4, 1, 8, 8)
    torch.testing.assert_close(conditional_anomaly(flow, force), flow)
    assert torch.equal(conditional_anomaly(flow, flow[:, 0, :0]), flow)
