"""The results of the probes on subjects whose answers are known."""

import math

import numpy as np
import pytest
import torch
import yaml
from scipy import stats
from torch import nn
from torch.overrides import TorchFunctionMode

import networks
from chimera.interface.errors import InputError, NoSiteError
from chimera.models import build_model
from chimera.models.forecasting.sites import name_sites
from chimera.models.networks.site import Site
from chimera.planning.composition import compose
from chimera.probes.common.activations import site_names
from chimera.probes.common.registry import probe_measure, probe_settings
from chimera.probes.common.sampling import decorrelation
from chimera.probes.common.subject import Subject
from chimera.probes.patching.measure import measure_effects
from chimera.probes.patching.settings import PatchingSettings
from chimera.probes.rome.edit import METHODS
from chimera.probes.rome.measure import evenly, measure_edits
from chimera.probes.rome.settings import RomeSettings
from chimera.probes.spectra.measure import measure_spectra
from chimera.probes.spectra.settings import SpectraSettings
from workspaces import ROOT

UNET = networks.UNET | {"input_shape": [1, 32, 32]}
FRACTAL = networks.FRACTAL | {"input_shape": [1, 32, 32]}
ROME = RomeSettings(num_keys=2, iterations=3, pairs=2, threshold=0.2)
PATCHING = PatchingSettings(pairs=2, factors=())


NAMES = ("effect", "efficacy")


def plain(items):
    return iter(items)


def network():
    torch.manual_seed(0)
    return build_model(UNET)


def subject(model, std=1.0, **trajectories):
    return Subject(model, trajectories, torch.tensor(0.0), torch.tensor(std), 2 * math.pi)


def waves(generator, count, frames=8, num_points=32):
    """Return trajectories of a few waves whose phases wander: smooth, never constant."""
    x = 2 * torch.pi * torch.arange(num_points) / num_points
    phase = torch.randn(count, 3, frames, generator=generator).cumsum(dim=2)
    fields = sum(
        torch.cos(k * (x[:, None] + k % 2 * x[None, :]) + phase[:, i, :, None, None])
        for i, k in enumerate((1, 2, 3))
    )
    return fields[:, :, None]


@pytest.fixture(scope="module")
def study():
    generator = torch.Generator().manual_seed(0)
    flows = {axis: waves(generator, 4) for axis in ("ind", "ood_a", "ood_b")}
    return subject(network(), **flows)


def power_law(exponent, phases, num_points=64):
    """Return vorticity along x whose kinetic energy is exactly k^exponent in shells 1 to 20."""
    x = 2 * torch.pi * torch.arange(num_points, dtype=torch.float64) / num_points
    field = torch.zeros(num_points, num_points, dtype=torch.float64)
    for k, phase in enumerate(phases, start=1):
        # A cos(k x) has 1/2 mean(u^2) = A^2 / (4 k^2).
        field += 2 * k * k ** (exponent / 2) * torch.cos(k * x + phase)[:, None]
    return field


class Still(nn.Module):
    """Predicts that nothing changes; its only site sees the frame."""

    def __init__(self):
        super().__init__()
        self.bottleneck = Site()

    def forward(self, frames):
        return 0 * self.bottleneck(frames)


def test_slopes_that_do_not_differ_have_a_mean_and_no_interval():
    """A flow and its mirror image, turned in sign, have one spectrum, here k^-3."""
    flow = power_law(-3.0, torch.rand(20, generator=torch.Generator().manual_seed(0)))
    frames = torch.stack([flow, -flow])[:, None, None].expand(-1, 4, -1, -1, -1)
    settings = SpectraSettings(frames=(1, 3), slope_shells=(4, 16))
    study = subject(Still(), ind=frames)
    found = measure_spectra(study, settings, np.random.default_rng(0), plain).statistics
    assert found["ind_slope_target"] == pytest.approx(-3)
    assert not [name for name in found if name.endswith(("_low", "_high")) and "slope" in name]


def test_slopes_are_those_of_the_flow():
    generator = torch.Generator().manual_seed(0)
    exponents = (-3.0, -3.5, -4.3)
    fields = [power_law(e, torch.rand(20, generator=generator) * 6) for e in exponents]
    frames = torch.stack(fields)[:, None, None].expand(-1, 4, -1, -1, -1)
    settings = SpectraSettings(frames=(1, 3), slope_shells=(4, 16))
    found = measure_spectra(
        subject(Still(), ind=frames / 7, ood_x=frames[:2] / 7, std=7.0),
        settings,
        np.random.default_rng(0),
        plain,
    )
    half = stats.t.isf(0.025, 2) * np.std(exponents, ddof=1) / math.sqrt(3)
    for quantity in ("target", "prediction"):
        name = f"ind_slope_{quantity}"
        assert found.statistics[name] == pytest.approx(np.mean(exponents), abs=1e-6)
        assert found.statistics[f"{name}_low"] == pytest.approx(np.mean(exponents) - half, abs=1e-6)
        assert found.statistics[f"{name}_high"] == pytest.approx(
            np.mean(exponents) + half, abs=1e-6
        )
        assert found.statistics[f"ood_slope_{quantity}"] == pytest.approx(-3.25, abs=1e-6)
    # The flow stands still, and so does its forecast: no error in any band of any definition.
    for name, value in found.statistics.items():
        if "_error_" in name or "_well_" in name or "_pdebench_" in name:
            assert value == pytest.approx(0.0, abs=1e-12), name
    energies = {
        row["wavenumber"]: row["energy"]
        for row in found.rows
        if (row["axis"], row["frame"], row["quantity"]) == ("ind", 3, "target")
    }
    for k in (1, 5, 20):
        assert energies[k] == pytest.approx(np.mean([float(k) ** e for e in exponents]), rel=1e-6)
    assert max(energies) == 32


def test_a_flow_without_energy_in_a_shell_of_the_slope_has_no_slope():
    """The spectrum of a band-limited flow is no power law; all else about it is measured."""
    steep, flat, limited = (power_law(e, torch.zeros(n)) for e, n in ((-3, 20), (-2, 20), (-3, 8)))
    frames = torch.stack([steep, flat, limited])[:, None, None].expand(-1, 4, -1, -1, -1)
    settings = SpectraSettings(frames=(1, 3), slope_shells=(4, 16))
    study = subject(Still(), ind=frames, ood_x=frames[2:])
    found = measure_spectra(study, settings, np.random.default_rng(0), plain).statistics
    assert found["ind_slope_target"] == pytest.approx(-2.5, abs=1e-6)
    assert not [name for name in found if name.startswith("ood_slope")]
    assert found["ood_enstrophy_ratio"] == pytest.approx(1.0)


def test_error_of_a_still_forecast_is_the_change_of_the_flow():
    x = 2 * torch.pi * torch.arange(32, dtype=torch.float64) / 32
    wave = torch.cos(2 * x)[:, None].expand(32, 32)
    frames = torch.stack([wave, 3 * wave])[None, :, None].repeat(2, 1, 1, 1, 1)
    settings = SpectraSettings(frames=(1,), slope_shells=(1, 3))
    noisy = frames + 1e-3 * torch.randn(
        frames.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64
    )
    found = measure_spectra(subject(Still(), ind=noisy), settings, np.random.default_rng(0), plain)
    # All of it is at |m| = 2 of 16: the low band of ours and of PDEBench's, The Well's first or
    # second bin; its mean square is (3 - 1)^2 / 2.
    assert found.statistics["ind_error_low"] == pytest.approx(2 / 3, rel=1e-2)
    bins = [found.statistics[f"ind_well_{band}"] for band in ("low", "mid", "high")]
    assert sum(bins) == pytest.approx(2.0, rel=1e-2)
    # Two modes, (2, 0) and (-2, 0), of 1 each after (3 - 1) / 2: the root of their sum, over the
    # four shells of the band. PDEBench's own quadrant has one of the two.
    assert found.statistics["ind_pdebench_full_low"] == pytest.approx(math.sqrt(2) / 4, rel=1e-2)
    assert found.statistics["ind_pdebench_low"] == pytest.approx(1 / 4, rel=1e-2)


class Doubled(Still):
    """Adds the frame itself: the energy is four times the truth's, with its phases."""

    def forward(self, frames):
        return self.bottleneck(frames)


class Shifted(Still):
    """Moves the frame by a quarter of a wave of two periods: right energy, unrelated phases."""

    def forward(self, frames):
        return self.bottleneck(frames).roll(4, dims=-2) - frames


@pytest.mark.parametrize(
    ("network", "energy", "phase", "error"),
    [(Doubled(), 3.0, 0.0, 1.0), (Shifted(), 0.0, 1.0, 2**0.5)],
)
def test_energy_and_phase_are_told_apart(network, energy, phase, error):
    """A still wave of |m| = 2 of 16: the low band; the other two are silent."""
    x = 2 * torch.pi * torch.arange(32, dtype=torch.float64) / 32
    frames = torch.cos(2 * x)[:, None].expand(2, 3, 1, 32, 32).clone()
    frames += 1e-9 * torch.cos(5 * x[:, None] + 20 * x)
    settings = SpectraSettings(frames=(1,), slope_shells=(1, 3))
    frames = frames + 1e-6 * waves(torch.Generator().manual_seed(0), 2, frames=3).double()
    found = measure_spectra(subject(network, ind=frames), settings, np.random.default_rng(0), plain)
    assert found.statistics["ind_energy_error_low"] == pytest.approx(energy, abs=1e-4)
    assert found.statistics["ind_phase_error_low"] == pytest.approx(phase, abs=1e-4)
    assert found.statistics["ind_error_low"] == pytest.approx(error, abs=1e-4)
    assert found.statistics["ind_enstrophy_ratio"] == pytest.approx(1 + energy, abs=1e-4)
    assert "ind_error_high" not in found.statistics
    assert found.statistics["withheld_bands"] == 4
    assert found.statistics["reported"] == pytest.approx(1 / 3)
    scored = [row["wavenumber"] for row in found.rows if row["phase_error"] != ""]
    assert scored == [2]


def test_a_rollout_that_blows_up_is_counted_and_leaves_no_number():
    class Explosion(Still):
        def forward(self, frames):
            return 1e30 * self.bottleneck(frames)

    generator = torch.Generator().manual_seed(0)
    flows = {"ind": waves(generator, 3), "ood_x": waves(generator, 2)}
    settings = SpectraSettings(frames=(1, 4), slope_shells=(1, 4))
    found = measure_spectra(
        subject(Explosion(), **flows), settings, np.random.default_rng(0), plain
    )
    assert found.statistics == {"diverged": 5.0, "withheld_bands": 0.0, "reported": 0.0}
    assert {row["quantity"] for row in found.rows} == {"bottleneck"}


def test_patching_covers_every_site_and_band(study):
    found = measure_effects(study, PATCHING, np.random.default_rng(0), plain)
    kinds = {(row["donor"], row["recipient"]) for row in found.rows}
    assert kinds == {("ind", "ind"), ("ind", "ood"), ("ood", "ind")}
    sites = site_names(study.network)
    assert len(found.rows) == len(kinds) * len(sites) * 4
    whole = {
        (row["donor"], row["recipient"], row["site"]): row
        for row in found.rows
        if row["band"] == "all"
    }
    for kind in kinds:
        # The first encoder and the last decoder carry all information, and the edges into the
        # bottleneck and out of it carry the same as the bottleneck.
        for site in ("encoder0", "decoder0"):
            assert whole[(*kind, site)]["effect"] == pytest.approx(1.0, abs=1e-6)
            assert whole[(*kind, site)]["faithfulness"] == pytest.approx(1.0, abs=1e-6)
        through = whole[(*kind, "bottleneck")]["effect"]
        for edge in ("down1", "up1"):
            assert whole[(*kind, edge)]["effect"] == pytest.approx(through, abs=1e-6)
        assert found.statistics[f"{kind[0]}_into_{kind[1]}_bottleneck_sufficiency"] == through
    assert all(math.isfinite(value) for value in found.statistics.values())


def test_patching_columns_of_a_fractal_alone_and_jointly():
    torch.manual_seed(0)
    model = build_model(FRACTAL)
    generator = torch.Generator().manual_seed(1)
    fractal = subject(model, ind=waves(generator, 3), ood_x=waves(generator, 2))
    found = measure_effects(fractal, PATCHING, np.random.default_rng(0), plain)
    effects = {
        row["site"]: row["effect"]
        for row in found.rows
        if (row["donor"], row["band"]) == ("ood", "all")
    }
    # The last block's output is the mean of its columns and the head is linear: their effects add
    # up to that of the block, which is both of them jointly.
    total = effects["decoder0.column1"] + effects["decoder0.column2"]
    assert total == pytest.approx(effects["decoder0"], abs=1e-5)


class Squared(nn.Module):
    """x + x^2, where a site carries the square: how much that is depends on the samples."""

    def __init__(self, more):
        super().__init__()
        self.bottleneck = Site()
        self.more = nn.ModuleList(Site() for _ in range(more))

    def forward(self, frames):
        square = self.bottleneck(frames).square()
        for site in self.more:
            square = site(square)
        return frames + square


def test_networks_of_more_sites_or_layers_get_the_same_samples(study):
    """They draw more permutations, or more keys, between one kind of samples and the next."""
    flows = study.trajectories
    few, many = (
        measure_effects(subject(Squared(more), **flows), PATCHING, np.random.default_rng(0), plain)
        for more in (0, 3)
    )
    drawn = ("donor", "recipient", "effect", "sd", "faithfulness")
    found = [
        [[row[key] for key in drawn] for row in one.rows if row["site"] == "bottleneck"]
        for one in (few, many)
    ]
    assert found[0] == found[1]
    assert len({row[2] for row in found[0]}) > 3
    settings = [
        RomeSettings(num_keys=2, iterations=1, pairs=2, threshold=0.2, layers=n) for n in (1, 3)
    ]
    edits = [measure_edits(study, own, np.random.default_rng(0), plain).rows for own in settings]
    effects = [{r["axis"]: r["effect"] for r in rows if r["chosen"]} for rows in edits]
    assert effects[0] == effects[1]
    assert len(effects[0]) == 2


def test_rome_edits_every_axis_and_restores_the_network(study):
    weights = {name: value.clone() for name, value in study.network.state_dict().items()}
    found = measure_edits(study, ROME, np.random.default_rng(0), plain)
    for name, value in study.network.state_dict().items():
        assert torch.equal(value, weights[name]), name
    assert found.statistics["edits"] == 2
    for axis in ("ood_a", "ood_b"):
        rows = [row for row in found.rows if row["axis"] == axis]
        # All methods at the chosen layer, whose effect is the largest below 1; ROME at two others.
        assert [row["method"] for row in rows] == [*METHODS, "rome", "rome"]
        assert [row["chosen"] for row in rows] == [1] * len(METHODS) + [0, 0]
        assert len({row["layer"] for row in rows}) == 3
        assert all(row["effect"] <= rows[0]["effect"] or row["effect"] > 0.99 for row in rows)
        times = [decorrelation(study.trajectories[name]).time for name in ("ind", axis)]
        assert {row["gap"] for row in rows} == {min(max(times), 6)}
    chosen = [row for row in found.rows if row["method"] == "rome" and row["chosen"]]
    mean = np.mean([row["efficacy"] for row in chosen])
    assert found.statistics["efficacy"] == pytest.approx(mean)
    assert found.statistics["efficacy"] > 0
    tried = [row for row in found.rows if row["method"] == "rome"]
    rhos = [
        stats.spearmanr(*([row[name] for row in tried if row["axis"] == axis] for name in NAMES))
        for axis in ("ood_a", "ood_b")
    ]
    # Without ties every axis has the same norm of ranks, and the pooled correlation is the mean.
    expected = np.mean([rho.statistic for rho in rhos])
    assert found.statistics["localisation_rho"] == pytest.approx(expected)


def test_fewer_axes_and_layers_are_evenly_spaced(study):
    settings = RomeSettings(num_keys=2, iterations=1, pairs=2, threshold=0.2, layers=1, axes=1)
    found = measure_edits(study, settings, np.random.default_rng(0), plain)
    assert {row["axis"] for row in found.rows} == {"ood_a"}
    assert [row["method"] for row in found.rows] == list(METHODS)
    assert "localisation_rho" not in found.statistics  # one layer has no order
    assert evenly(list("abcde"), 9) == list("abcde")
    assert evenly(list("abcde"), 2) == ["a", "e"]
    assert evenly([], 2) == evenly(list("ab"), 0) == []


def test_without_ood_or_a_second_trajectory_nothing_is_edited(study):
    ind, ood = study.trajectories["ind"], study.trajectories["ood_a"]
    for flows in ({"ind": ind}, {"ind": ind, "ood_a": ood[:1]}, {"ind": ind[:1], "ood_a": ood}):
        found = measure_edits(
            subject(study.network, **flows), ROME, np.random.default_rng(0), plain
        )
        assert found.statistics == {"edits": 0.0, "reported": 0.0}
        assert found.rows == []


class OfADevice(TorchFunctionMode):
    """Every tensor is refused as an array before `cpu()`, as those of a GPU are."""

    def __init__(self):
        super().__init__()
        self.copies = {}  # by address, and kept, so that no address is used twice

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func in (torch.Tensor.numpy, torch.Tensor.__array__):
            assert args[0].untyped_storage().data_ptr() in self.copies, "no array: still on a GPU"
        if func is torch.Tensor.cpu:
            copy = args[0].clone()
            self.copies[copy.untyped_storage().data_ptr()] = copy
            return copy
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("probe", ["twonn", "ib", "spectra", "patching", "rome"])
def test_probes_read_arrays_of_tensors_on_any_device(study, probe):
    overrides = ["scale=smoke", "probes.spectra.frames=[1,4]"]
    section = yaml.safe_load(compose(overrides, ROOT / "conf"))["probes"][probe]
    with OfADevice():
        probe_measure(probe)(study, probe_settings(probe, section), np.random.default_rng(0), plain)


def test_the_same_seed_measures_the_same(study):
    for measure, settings in (
        (measure_effects, PATCHING),
        (measure_edits, ROME),
        (measure_spectra, SpectraSettings(frames=(1, 4), slope_shells=(2, 6))),
    ):
        first, second = (
            measure(study, settings, np.random.default_rng(5), plain) for _ in range(2)
        )
        assert first == second


@pytest.mark.parametrize(
    ("name", "section", "sentence"),
    [
        ("patching", {"pairs": 1}, "pairs is 1, expected a whole number of at least 2"),
        (
            "spectra",
            {"frames": [4, 2], "slope_shells": [1, 4]},
            r"frames is \[4, 2\], expected rising frames",
        ),
        (
            "spectra",
            {"frames": [], "slope_shells": [1, 4]},
            r"frames is \[\], expected a list of at least 1",
        ),
        (
            "spectra",
            {"frames": [1], "slope_shells": [1]},
            r"slope_shells is \[1\], expected a list of 2",
        ),
        (
            "spectra",
            {"frames": [1], "slope_shells": [0, 4]},
            r"slope_shells is \[0, 4\], expected three or more from 1 on",
        ),
        (
            "spectra",
            {"frames": [1], "slope_shells": [4, 5]},
            r"slope_shells is \[4, 5\], expected three or more from 1 on",
        ),
        (
            "patching",
            {"pairs": 10**12},
            f"pairs is {10**12}, expected a whole number of at most 10000",
        ),
        (
            "patching",
            {"pairs": 2, "factors": ["colour"]},
            r"factors\[0\] is 'colour', expected .*",
        ),
        (
            "rome",
            {"pairs": 0, "threshold": 0.2},
            "pairs is 0, expected a whole number of at least 1",
        ),
        ("rome", {"pairs": 1, "threshold": 1.0}, r"threshold is 1\.0, expected a number below 1"),
    ],
)
def test_settings_that_no_probe_could_use(name, section, sentence):
    with pytest.raises(InputError, match=rf"^probes\.{name}\.{sentence}$"):
        probe_settings(name, section)


def test_trajectories_shorter_than_the_frames_asked_for(study):
    settings = SpectraSettings(frames=(1, 8), slope_shells=(2, 6))
    with pytest.raises(InputError, match="ends with 8, expected at most 7, the"):
        measure_spectra(study, settings, np.random.default_rng(0), plain)


def bare(padding_mode, *, site):
    """Return a network of one convolution, with a site or without."""
    bare = nn.Sequential(nn.Conv2d(1, 1, 3, padding=1, padding_mode=padding_mode))
    if site:
        name_sites(bare, ["0"])
    return bare


@pytest.mark.parametrize("probe", ["twonn", "ib", "patching"])
def test_a_network_without_a_site_is_withheld(probe):
    frames = torch.randn(3, 6, 1, 16, 16)
    study = subject(bare("circular", site=False), ind=frames, ood_x=frames.flip(0))
    overrides = ["scale=smoke", "probes.spectra.frames=[1,4]"]
    section = yaml.safe_load(compose(overrides, ROOT / "conf"))["probes"][probe]
    settings = probe_settings(probe, section)
    with pytest.raises(NoSiteError, match="the network has no site, expected modules of class"):
        probe_measure(probe)(study, settings, np.random.default_rng(0), plain)


@pytest.mark.parametrize(("mode", "site"), [("circular", False), ("zeros", True)])
def test_a_network_without_a_layer_to_edit_is_withheld(mode, site):
    """Without a site, or with a convolution whose padding is not that of a periodic grid."""
    generator = torch.Generator().manual_seed(0)
    flows = {axis: waves(generator, 4) for axis in ("ind", "ood_a")}
    study = subject(bare(mode, site=site), **flows)
    with pytest.raises(NoSiteError, match=r"no block among the sites .* has a convolution"):
        measure_edits(study, ROME, np.random.default_rng(0), plain)
