"""The results of the probe on subjects whose dimensions are known."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from chimera.interface.errors import InputError
from chimera.interface.settings import as_plain
from chimera.models import build_model
from chimera.models.networks.site import Site
from chimera.probes.common.registry import probe_settings
from chimera.probes.common.sampling import MIN_SAMPLES
from chimera.probes.common.subject import Subject
from chimera.probes.twonn.measure import measure_dimension as measure
from chimera.probes.twonn.settings import TwonnSettings
from networks import FRACTAL

SETTINGS = TwonnSettings(
    threshold=0.2, largest_samples=600, discard_fraction=0.1, scales=(2, 4), bootstraps=20
)
COLUMNS = [
    "axis",
    "site",
    "depth",
    "samples",
    "duplicates",
    "decorrelation_time",
    "decorrelation_length",
    "estimator",
    "scale",
    "dimension",
    "sd",
    "first_scale",
    "last_scale",
    "low",
    "high",
]


def patterns(d, count=6, frames=9, num_points=16, seed=0):
    """Frames of 4 x 4 squares, each a random point of the same d-dimensional cube of patterns.

    White in time and from square to square, so that each square is a sample of its own.
    """
    r = torch.Generator().manual_seed(seed)
    basis = torch.randn(d, 4, 4, generator=torch.Generator().manual_seed(100))
    squares = num_points // 4
    weights = torch.rand(count, frames, squares, squares, d, generator=r) - 0.5
    patches = torch.einsum("ntabd,dij->ntaibj", weights, basis)
    return patches.reshape(count, frames, 1, num_points, num_points)


class Coarsen(nn.Module):
    """Sites: the frame itself, `fine`, and the first of each square's 16 numbers, `bottleneck`."""

    def __init__(self):
        super().__init__()
        self.fine, self.bottleneck = Site(), Site()

    def forward(self, frames):
        coarse = self.bottleneck(self.fine(frames)[..., ::4, ::4])
        return nn.functional.interpolate(coarse, scale_factor=4)


def subject(model, **trajectories):
    one = torch.ones(1, 1, 1)
    return Subject(model, trajectories, 0 * one, one, 2 * math.pi)


def measured(study, settings=SETTINGS, seed=0):
    return measure(study, settings, np.random.default_rng(seed), iter)


def column(found, axis, site, estimator="linear", scale=1):
    (row,) = (
        row
        for row in found.rows
        if (row["axis"], row["site"], row["estimator"], row["scale"])
        == (axis, site, estimator, scale)
    )
    return row


@pytest.fixture(scope="module")
def known():
    return measured(subject(Coarsen(), ind=patterns(2), ood_a=patterns(4, seed=1)))


def test_dimension_of_the_data(known):
    """A square holds d weights; with 600 samples the linear fit's sd is about d / sqrt(540)."""
    for axis, d in (("ind", 2), ("ood_a", 4)):
        for estimator in ("linear", "mle"):
            row = column(known, axis, "input", estimator)
            assert row["dimension"] == pytest.approx(d, abs=4 * d / math.sqrt(540))
            assert row["sd"] == pytest.approx(d / math.sqrt(540), rel=0.9)
        # The bottleneck keeps one number of each square.
        bottleneck = column(known, axis, "bottleneck")["dimension"]
        assert bottleneck == pytest.approx(1, abs=4 / math.sqrt(540))
    assert column(known, "ind", "input", "gride", 4)["dimension"] == pytest.approx(2, abs=0.3)


def test_target_is_the_increment():
    """Frames sin(1.9 t) A + cos(1.9 t) B + 5, and their increments, are on the plane of A and B."""
    t = 1.9 * torch.arange(12.0)[:, None, None, None]
    first, second = (patterns(1, 40, 1, seed=s) for s in (3, 4))
    both = first * torch.sin(t) + second.flip(-1) * torch.cos(t) + 5.0
    one = first * torch.sin(t) + 5.0
    found = measured(subject(Coarsen(), ind=both, ood_a=one))
    assert column(found, "ind", "target")["dimension"] == pytest.approx(2, abs=0.35)
    assert column(found, "ood_a", "target")["dimension"] == pytest.approx(1, abs=0.2)


def test_statistics_are_means_of_rows():
    axes = {"ind": patterns(2), "ood_a": patterns(3, seed=1), "ood_b": patterns(4, seed=2)}
    found = measured(subject(Coarsen(), **axes))
    of = {(row["axis"], row["site"]): row for row in found.rows if row["estimator"] == "linear"}
    for place in ("input", "bottleneck", "target"):
        assert found.statistics[f"ind_{place}"] == of["ind", place]["dimension"]
        expected = np.mean([of[axis, place]["dimension"] for axis in ("ood_a", "ood_b")])
        assert found.statistics[f"ood_{place}"] == pytest.approx(expected)
    highest = [max(of[axis, site]["dimension"] for site in ("fine", "bottleneck")) for axis in axes]
    assert found.statistics["ind_max"] == highest[0]
    assert found.statistics["ood_max"] == pytest.approx(np.mean(highest[1:]))
    ratio = found.statistics["ood_bottleneck"] / found.statistics["ind_bottleneck"]
    assert found.statistics["ratio_bottleneck"] == pytest.approx(ratio)
    assert found.statistics["ind_bottleneck_bootstrap"] == of["ind", "bottleneck"]["sd"]
    assert found.statistics["samples"] == 600
    assert found.statistics["withheld"] == 0
    assert found.statistics["duplicates"] == 0
    assert found.statistics["reported"] == 1
    assert found.statistics["plateaus"] == 0  # no run of three scales is one
    assert len(found.statistics) == 15


def test_rows_are_one_finite_table_in_network_order(known):
    assert all(list(row) == COLUMNS for row in known.rows)
    assert all(math.isfinite(v) for row in known.rows for v in row.values() if type(v) is not str)
    order = [row["site"] for row in known.rows if row["estimator"] == "mle"]
    assert order == 2 * ["input", "fine", "bottleneck", "target"]
    depth = [row["depth"] for row in known.rows if row["estimator"] == "mle"]
    assert depth == 2 * [-1, 0, 1, 2]
    assert {(row["estimator"], row["scale"]) for row in known.rows} == {
        ("linear", 1),
        ("mle", 1),
        ("gride", 2),
        ("gride", 4),
    }


def test_equal_activations_have_equal_rows(known):
    """`fine` is the input itself: one estimate, and one bootstrap, for both."""
    data, site = (column(known, "ind", name) for name in ("input", "fine"))
    assert (data["dimension"], data["sd"]) == (site["dimension"], site["sd"])


def test_every_axis_has_the_same_number_of_samples():
    """The number of points changes an estimate: IND is thinned to the smallest axis."""
    axes = {"ind": patterns(2), "ood_a": patterns(2, count=3, seed=1)}
    found = measured(subject(Coarsen(), **axes))
    assert {row["samples"] for row in found.rows} == {3 * 8 * 16}
    assert found.statistics["samples"] == 3 * 8 * 16


def test_axes_with_too_few_samples_are_withheld_and_counted():
    few = patterns(2, count=1, seed=1)
    assert MIN_SAMPLES > 8 * 16
    found = measured(subject(Coarsen(), ind=patterns(2), ood_a=few, ood_b=patterns(2, seed=2)))
    assert {row["axis"] for row in found.rows} == {"ind", "ood_b"}
    assert found.statistics["withheld"] == 4  # input, two sites, target
    assert found.statistics["reported"] == 8 / 12
    assert found.statistics["samples"] == 600
    assert {"ind_input", "ind_bottleneck", "ind_max"} <= set(found.statistics)
    assert not [name for name in found.statistics if name.startswith(("ood", "ratio"))]


def test_nothing_left_is_no_number_at_all():
    found = measured(subject(Coarsen(), ind=patterns(2, count=1), ood_a=patterns(2, count=1)))
    assert found.rows == []
    assert found.statistics == {"samples": 8 * 16, "duplicates": 0, "withheld": 8, "reported": 0}


class Rounded(Coarsen):
    """A bottleneck of too few distinct numbers for an estimate of their dimension."""

    def forward(self, frames):
        return super().forward((frames * 5).round())


def test_sites_with_too_many_duplicates_are_withheld_alone():
    found = measured(subject(Rounded(), ind=patterns(2), ood_a=patterns(3, seed=1)))
    assert {row["site"] for row in found.rows} >= {"input", "target"}
    assert "bottleneck" not in {row["site"] for row in found.rows}
    assert "ind_bottleneck" not in found.statistics
    assert "ind_max" not in found.statistics
    assert found.statistics["withheld"] >= 2
    assert found.statistics["duplicates"] > 0


def test_a_network_of_the_study():
    torch.manual_seed(0)
    study = subject(build_model(FRACTAL), ind=patterns(4), ood_a=patterns(5, seed=1))
    found = measured(study)
    assert all(map(math.isfinite, found.statistics.values()))
    assert found.statistics["withheld"] == 0
    sites = {row["site"] for row in found.rows}
    assert {"encoder0.column1", "skip0", "bottleneck", "up0", "decoder0", "target"} <= sites
    again = measured(study)
    assert again == found
    skip, encoder = (column(found, "ind", name) for name in ("skip0", "encoder0"))
    assert skip["dimension"] == encoder["dimension"]
    assert measured(study, seed=1).statistics != found.statistics


def test_both_models_of_a_replicate_see_the_same_samples():
    torch.manual_seed(0)
    flows = {"ind": patterns(3), "ood_a": patterns(3, seed=1)}
    first, second = (measured(subject(build_model(FRACTAL), **flows)) for _ in range(2))
    assert first.statistics["ind_input"] == second.statistics["ind_input"]
    assert first.statistics["ood_target"] == second.statistics["ood_target"]
    assert first.statistics["ind_bottleneck"] != second.statistics["ind_bottleneck"]


class Dead(Coarsen):
    def forward(self, frames):
        return super().forward(0 * frames)


class Broken(Coarsen):
    def forward(self, frames):
        return super().forward(frames / 0)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (Dead(), "activations at site 'fine' on ind: 600 points of which 1 are distinct"),
        (Broken(), "activations at site 'fine' hold .* NaN or infinite"),
    ],
)
def test_bad_activations_are_one_sentence(model, message):
    with pytest.raises(InputError, match=message) as error:
        measured(subject(model, ind=patterns(2), ood_a=patterns(2, seed=1)))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("threshold", 0.0),
        ("threshold", 1.0),
        ("largest_samples", 199),
        ("discard_fraction", 1.0),
        ("discard_fraction", -0.1),
        ("scales", (1, 2)),
        ("scales", (100,)),
        ("bootstraps", 1),
        ("bootstraps", 10**12),
        ("largest_samples", 10**12),
    ],
)
def test_bad_settings_name_their_key(key, value):
    with pytest.raises(
        InputError, match=rf"^probes\.twonn\.{key}.* is .*, expected a (whole )?number "
    ):
        probe_settings("twonn", as_plain(SETTINGS) | {key: value})


@pytest.mark.parametrize("scales", [(16, 2), (2, 2), (2, 8, 4), ()])
def test_scales_that_do_not_rise_are_refused(scales):
    with pytest.raises(
        InputError, match=r"^probes\.twonn\.scales is \[.*\], expected rising ranks"
    ):
        probe_settings("twonn", as_plain(SETTINGS) | {"scales": scales})
