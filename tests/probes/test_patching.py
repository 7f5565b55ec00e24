"""Identities of the recovered effect, exact to the last bit, and effects that are known."""

import numpy as np
import pytest
import torch
from torch import nn

import networks
from chimera.interface.errors import InputError
from chimera.models import build_model
from chimera.models.networks.site import Site
from chimera.probes.common.activations import capture, patched, site_names
from chimera.probes.common.effects import (
    Exchange,
    draw_pairs,
    recovered_effect,
)
from chimera.probes.patching.faithfulness import score

UNET = networks.UNET | {"dropout": 0.1}
FRACTAL = networks.FRACTAL | {"dropout": 0.1, "columns": 3, "drop_path": 0.2}


@pytest.fixture(params=["unet", "fractal_unet"])
def model(request):
    torch.manual_seed(0)
    return build_model(UNET if request.param == "unet" else FRACTAL).train()


def inputs(num_pairs=4):
    generator = torch.Generator().manual_seed(1)
    donor, recipient = torch.randn(2, num_pairs, 1, 16, 16, generator=generator)
    return donor, recipient


class Branches(nn.Module):
    """y = w a(x) + (1 - w) b(x): each branch's effect is its weight, for every pair."""

    def __init__(self, weight):
        super().__init__()
        self.a, self.b = Site(), Site()
        self.weight = weight

    def forward(self, x):
        return self.weight * self.a(x) + (1 - self.weight) * self.b(x)


def test_known_effects():
    donor, recipient = inputs()
    for weight in (0.2, 1.5):
        exchange = Exchange(Branches(weight), donor, recipient, ["a", "b"])
        for site, expected in (("a", weight), ("b", 1 - weight)):
            moved, wanted = exchange.moved([site]), exchange.difference
            found = score(moved, wanted, np.random.default_rng(0))
            assert found.transfer == pytest.approx([expected] * 4, abs=1e-5)
            # d = a w: 1 - ||d - w||^2 / ||w||^2 = 1 - (1 - a)^2, cut at 0.
            assert found.faithfulness == pytest.approx(
                [max(1 - (1 - expected) ** 2, 0)] * 4, abs=1e-5
            )


def test_a_low_pass_site_carries_the_low_band_alone():
    class LowPass(nn.Module):
        def __init__(self):
            super().__init__()
            self.low, self.rest = Site(), Site()

        def forward(self, x):
            x_hat = torch.fft.fft2(x)
            m = torch.fft.fftfreq(16, 1 / 16)
            keep = (m[:, None] ** 2 + m[None, :] ** 2).sqrt() < 2  # |m| < 1/4 of 16 / 2
            smooth = torch.fft.ifft2(x_hat * keep).real
            return self.low(smooth) + self.rest(x - smooth)

    exchange = Exchange(LowPass(), *inputs(), ["low", "rest"])
    for site, bands in (("low", [1.0, 0.0, 0.0]), ("rest", [0.0, 1.0, 1.0])):
        found = score(exchange.moved([site]), exchange.difference, np.random.default_rng(0))
        assert found.transfer[1:] == pytest.approx(bands, abs=1e-5)
        assert found.faithfulness[1:] == pytest.approx(bands, abs=1e-5)


def test_self_patch_is_zero(model):
    donor, _ = inputs()
    for site in site_names(model):
        assert torch.equal(recovered_effect(model, donor, donor, site), torch.zeros(4).double())


def test_own_activations_put_back_change_nothing(model):
    """The numerator itself is zero if a run is patched with its own activations."""
    _, recipient = inputs()
    activations = capture(model, site_names(model), recipient)
    model.eval()
    with torch.no_grad():
        unpatched = model(recipient)
        for site in site_names(model):
            with patched(model, {site: activations[site]}):
                assert torch.equal(model(recipient), unpatched)


def test_nothing_patched_is_zero(model):
    donor, recipient = inputs()
    assert torch.equal(recovered_effect(model, donor, recipient, []), torch.zeros(4).double())


@pytest.mark.parametrize(
    "sites", [["up1", "skip1", "skip0"], ["bottleneck", "skip1", "skip0"], ["decoder0"]]
)
def test_every_edge_into_the_decoder_is_one(model, sites):
    donor, recipient = inputs()
    ones = torch.ones(4, dtype=torch.float64)
    assert torch.equal(recovered_effect(model, donor, recipient, sites), ones)
    assert torch.equal(recovered_effect(model, recipient, donor, sites), ones)


def test_an_edge_alone_is_neither(model):
    donor, recipient = inputs()
    effect = recovered_effect(model, donor, recipient, "skip0")
    assert ((effect - 0).abs() > 1e-3).all()
    assert ((effect - 1).abs() > 1e-3).all()


def test_all_columns_are_their_block():
    torch.manual_seed(0)
    model = build_model(FRACTAL)
    donor, recipient = inputs()
    for block in ("encoder0", "bottleneck", "decoder1"):
        columns = [f"{block}.column{c}" for c in (1, 2, 3)]
        jointly = recovered_effect(model, donor, recipient, columns)
        assert torch.equal(jointly, recovered_effect(model, donor, recipient, block))
        alone = [recovered_effect(model, donor, recipient, column) for column in columns]
        assert all((effect != jointly).all() for effect in alone)


def test_the_definition(model):
    donor, recipient = inputs()
    exchange = Exchange(model, donor, recipient, site_names(model))
    activations = capture(model, ["skip1"], donor)
    model.eval()
    with torch.no_grad():
        y_donor, y_recipient = model(donor).double(), model(recipient).double()
        with patched(model, activations):
            gained = model(recipient).double() - y_recipient
    wanted = y_donor - y_recipient
    expected = (gained * wanted).sum((1, 2, 3)) / wanted.square().sum((1, 2, 3))
    found = recovered_effect(model, donor, recipient, "skip1")
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)
    assert torch.equal(exchange.effect(["skip1"]), found)


def test_the_network_is_left_as_it_was(model):
    donor, recipient = inputs()
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    recovered_effect(model, donor, recipient, ["skip0", "bottleneck"])
    assert all(module.training for module in model.modules())
    assert not any(module._forward_hooks for module in model.modules())
    for name, value in model.state_dict().items():
        assert torch.equal(value, weights[name])


def test_bad_input(model):
    donor, recipient = inputs()
    with pytest.raises(InputError, match=r"'skip7' is not a site, expected one of .*skip0"):
        recovered_effect(model, donor, recipient, "skip7")
    with pytest.raises(InputError, match=r"shape \(4, 1, 16, 16\) and recipient \(3, 1, 16, 16\)"):
        recovered_effect(model, donor, recipient[:3], "skip0")
    model.head.bias.data.fill_(float("inf"))
    with pytest.raises(InputError, match="output holds NaN or infinite values"):
        recovered_effect(model, donor, recipient, "skip0")


def test_activations_that_are_not_finite_name_the_site(model):
    donor, recipient = inputs()
    donor[2, 0, 0, 0] = float("nan")
    with pytest.raises(InputError, match=r"site 'skip0' hold \d+ values that are NaN"):
        recovered_effect(model, donor, recipient, "skip0")


def trajectories(first, count, frames=5):
    """Frames that hold the number of their trajectory and their own."""
    number = torch.arange(first, first + count)[:, None].expand(count, frames)
    frame = torch.arange(frames).expand(count, frames)
    return torch.stack([number, frame], dim=-1)


def test_pairs_of_one_set_are_of_different_trajectories():
    frames = trajectories(0, 4)
    donor, recipient = draw_pairs(frames, None, 101, np.random.default_rng(0))
    assert (donor[:, 0] != recipient[:, 0]).all()
    counts = torch.bincount(donor[:, 0], minlength=4)
    assert counts.max() - counts.min() <= 1
    assert len(donor[:, 1].unique()) > 2  # frames vary
    again, _ = draw_pairs(frames, None, 101, np.random.default_rng(0))
    assert torch.equal(donor, again)


def test_pairs_of_two_sets():
    donors, recipients = trajectories(0, 4), trajectories(10, 3, frames=2)
    donor, recipient = draw_pairs(donors, recipients, 12, np.random.default_rng(0))
    assert torch.equal(torch.bincount(donor[:, 0]), torch.full((4,), 3))
    assert torch.equal(torch.bincount(recipient[:, 0] - 10), torch.full((3,), 4))
    assert recipient[:, 1].max() == 1


def test_pairs_that_cannot_be_drawn():
    rng = np.random.default_rng(0)
    with pytest.raises(InputError, match="3 pairs from 1 donor trajectories to pair up"):
        draw_pairs(trajectories(0, 1), None, 3, rng)
    with pytest.raises(InputError, match="0 pairs from 4 donor trajectories and 2 recipients"):
        draw_pairs(trajectories(0, 4), trajectories(0, 2), 0, rng)
