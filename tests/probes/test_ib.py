"""White frames through an identity: every information is known in closed form."""

import math
from collections import OrderedDict

import numpy as np
import pytest
import torch
from msgspec.structs import replace
from torch import nn

from chimera.interface.errors import InputError
from chimera.interface.settings import as_plain
from chimera.models import build_model
from chimera.models.networks.site import Site
from chimera.probes.common.registry import probe_settings
from chimera.probes.common.sampling import draw_samples
from chimera.probes.common.subject import Subject
from chimera.probes.ib.measure import equal_blocks
from chimera.probes.ib.measure import measure_information as measure
from chimera.probes.ib.settings import IbSettings
from networks import FRACTAL

SETTINGS = IbSettings(
    threshold=0.2,
    largest_samples=400,
    components=2,
    noise=0.5,
    num_neighbors=3,
    shuffles=100,
    controls=4,
    tolerance=0.3,
)


class Scale(nn.Module):
    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def forward(self, x):
        return self.factor * x


def network(factor=1.0, bottleneck=None):
    """Three sites whose activation is a multiple of the input, except a changed bottleneck."""
    sites = {"encoder0": Site(), "skip0": Site(), "bottleneck": Site()}
    parts = OrderedDict(first=Scale(factor), **sites)
    if bottleneck is not None:
        parts["change"] = bottleneck
        parts.move_to_end("bottleneck")
    return nn.Sequential(parts)


def white(n=16, frames=9, scale=1.0, seed=0):
    noise = torch.randn(n, frames, 1, 16, 16, generator=torch.Generator().manual_seed(seed))
    return scale * noise


def measured(subject_network, settings=SETTINGS, seed=0, **trajectories):
    one = torch.ones(1, 1, 1)
    subject = Subject(subject_network, trajectories, 0 * one, one, 2 * math.pi)
    return measure(subject, settings, np.random.default_rng(seed), iter)


def by_site(measurement, axis="ind"):
    rows = (row for row in measurement.rows if row["axis"] == axis)
    return {(row["site"], row["pair"]): row for row in rows}


def test_information_of_white_frames_is_that_of_the_formula():
    """Y = X' - X and T = X + sigma N, all independent: corr(X, Y)^2 = 1/2, and so on.

    A network without a coarser level has patches of one cell: X, Y and T are scalars.
    """
    variance = SETTINGS.noise**2
    x_t = 0.5 * math.log(1 + 1 / variance)
    t_y = -0.5 * math.log(1 - 0.5 / (1 + variance))
    many = replace(SETTINGS, largest_samples=1500)
    frames = {"ind": white(15), "ood_a": white(15, seed=1), "ood_b": white(15, seed=2)}
    found = measured(network(), many, **frames)
    assert found.statistics["samples"] == 1500
    for axis in ("ind", "ood_a", "ood_b"):
        rows = by_site(found, axis)
        assert rows["bottleneck", "x_t"]["information"] == pytest.approx(x_t, abs=0.08)
        assert rows["bottleneck", "x_t"]["gaussian"] == pytest.approx(x_t, abs=0.05)
        for site in ("input", "encoder0", "bottleneck"):  # the same T, and the same noise
            row = rows[site, "t_y"]
            assert row["information"] == pytest.approx(t_y, abs=0.08)
            assert row["information"] == rows["bottleneck", "t_y"]["information"]
            assert (row["dimensions"], row["explained"]) == (1, pytest.approx(1))
            assert row["p"] == 1 / 101
            # Without the noise the decoder's error is X' alone: R^2 = 1/2.
            assert row["linear"] == pytest.approx(0.5 * math.log(2), abs=0.06)
            assert row["linear_low"] < 0.5 * math.log(2) < row["linear_high"] + 0.05
    sites = [(row["site"], row["depth"], row["pair"]) for row in found.rows[:5]]
    assert sites == [
        ("input", 0, "t_y"),
        ("encoder0", 1, "x_t"),
        ("encoder0", 1, "t_y"),
        ("bottleneck", 2, "x_t"),
        ("bottleneck", 2, "t_y"),
    ]
    ood = [by_site(found, axis)["bottleneck", "x_t"]["information"] for axis in ("ood_a", "ood_b")]
    assert found.statistics["ood_x_t_bottleneck"] == pytest.approx(sum(ood) / 2)
    ind = by_site(found)["encoder0", "x_t"]["information"]
    assert found.statistics["ind_x_t_encoder0"] == ind


class Unrelated(nn.Module):
    """Noise that is independent of the input."""

    def forward(self, x):
        return torch.randn(x.shape, generator=torch.Generator().manual_seed(len(x)))


def test_a_site_that_forgets_the_input_knows_nothing():
    rows = by_site(measured(network(bottleneck=Unrelated()), ind=white()))
    for pair in ("x_t", "t_y"):
        row = rows["bottleneck", pair]
        assert row["low"] < 0 < row["high"]
        assert row["linear"] < 0.01
        assert row["p"] > 0.01
        assert row["withheld"] == 0


def test_scales_of_frames_and_activations_change_nothing():
    plain = measured(network(), ind=white())
    scaled = measured(network(factor=8.0), ind=white(scale=4.0))
    assert scaled == plain


def test_a_seed_gives_one_result():
    first, again, other = (measured(network(), seed=s, ind=white()) for s in (0, 0, 1))
    assert first == again
    assert other.statistics["ind_x_t_bottleneck"] != first.statistics["ind_x_t_bottleneck"]


def test_what_the_control_cannot_vouch_for_is_withheld_and_counted():
    found = measured(network(), replace(SETTINGS, tolerance=1e-6), ind=white(), ood_a=white(seed=1))
    assert found.statistics == {
        "samples": 400,
        "reported": 0,
        "withheld_control": 10,
        "withheld_samples": 0,
        "withheld_trajectories": 0,
    }


def test_a_value_is_withheld_where_its_control_errs_by_more_than_the_tolerance():
    errors = [row["control_error"] for row in measured(network(), ind=white()).rows]
    assert len(set(errors)) == 2  # of X and T, and of T and Y
    for tolerance in (factor * error for error in set(errors) for factor in (0.99, 1.0)):
        found = measured(network(), replace(SETTINGS, tolerance=tolerance), ind=white())
        assert [row["control_error"] for row in found.rows] == errors
        assert [row["withheld"] for row in found.rows] == [int(e > tolerance) for e in errors]


def test_one_axis_that_is_withheld_withholds_the_mean_over_axes():
    few = white(n=16, frames=2)[:, :, :, :2, :2]
    strong = replace(SETTINGS, tolerance=0.9)
    found = measured(network(), strong, ind=white(), ood_a=white(seed=1), ood_b=few)
    assert "ind_x_t_bottleneck" in found.statistics
    assert "ood_x_t_bottleneck" not in found.statistics
    assert found.statistics["withheld_samples"] == 5
    assert found.statistics["reported"] == 10 / 15


@pytest.mark.parametrize(
    ("count", "reason"),
    [(5, "withheld_trajectories"), (6, "reported"), (2, "withheld_trajectories")],
)
def test_few_trajectories_leave_too_few_exchanges(count, reason):
    """Five can be deranged in 44 ways, six in 265."""
    found = measured(network(), replace(SETTINGS, tolerance=0.9), ind=white(n=count))
    assert len(found.rows) == 5
    assert found.statistics[reason] == (1 if reason == "reported" else 5)
    assert all(math.isfinite(v) for row in found.rows for v in row.values() if v != str(v))


def test_a_network_on_small_fields_gives_finite_counts():
    model = build_model(FRACTAL | {"channels": [4, 4, 8]})
    units = []

    def track(items):
        units.extend(items)
        return iter(items)

    one = torch.ones(1, 1, 1)
    frames = {"ind": white(4), "ood_a": white(2, seed=1)}
    subject = Subject(model, frames, 0 * one, one, 2 * math.pi)
    found = measure(subject, SETTINGS, np.random.default_rng(0), track)
    blocks = ["encoder0", "encoder1", "bottleneck", "decoder1", "decoder0"]
    columns = {f"{block}.column{c}" for block in blocks for c in (1, 2)}
    assert {row["site"] for row in found.rows} == {"input", *blocks, *columns}
    assert len(units) == 2 * 16
    assert len(found.rows) == 2 * 31 == found.statistics["withheld_trajectories"]
    assert len({tuple(row) for row in found.rows}) == 1


def test_equal_blocks_keep_order_and_number():
    rng = np.random.default_rng(0)
    samples = draw_samples(white(n=7), 2, rng)
    kept = equal_blocks(samples, 100, rng)
    assert np.bincount(kept.trajectory).tolist() == [14] * 7
    assert (np.diff(kept.trajectory) >= 0).all()
    assert len(equal_blocks(samples, 10**6, rng)) == len(samples)


def test_a_constant_site_is_one_sentence():
    with pytest.raises(InputError, match="ind's activation at site 'bottleneck' is constant"):
        measured(network(bottleneck=Scale(0.0)), ind=white())


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("threshold", 1.0, "a number below 1"),
        ("largest_samples", 199, "a whole number of at least 200"),
        ("components", 4, "a whole number of at most 3"),
        ("noise", 0.0, "a number above 0"),
        ("num_neighbors", 6, "a whole number of at most 5"),
        ("shuffles", 99, "a whole number of at least 100"),
        ("controls", 0, "a whole number of at least 1"),
        ("tolerance", 0.0, "a number above 0"),
        ("noise", 101.0, "a number of at most 100"),
        ("shuffles", 10**12, "a whole number of at most 10000"),
        ("controls", 10**12, "a whole number of at most 10000"),
    ],
)
def test_unusable_settings_name_their_key(key, value, expected):
    with pytest.raises(InputError, match=rf"probes\.ib\.{key} is {value}, expected {expected}$"):
        probe_settings("ib", as_plain(SETTINGS) | {key: value})
