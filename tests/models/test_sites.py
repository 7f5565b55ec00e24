"""Sites in the order in which a forward pass makes their activations."""

import pytest
import torch
from torch import nn

import networks
from chimera.interface.errors import InputError
from chimera.models import build_model
from chimera.models.forecasting.sites import name_sites, site_names, trace_sites
from chimera.models.networks.site import Site


@pytest.mark.parametrize("change", [{}, {"columns": 3}, {"use_skip": False}])
def test_a_block_is_made_after_its_columns_and_a_skip_after_its_encoder(change):
    """A skip passes on its encoder's output, and stands behind it though it is called later."""
    for fields in (networks.UNET, networks.FRACTAL):
        known = {name: value for name, value in change.items() if name in fields}
        network = build_model(fields | known).eval()
        traced, registered = trace_sites(network, torch.zeros(1, 1, 16, 16)), site_names(network)
        blocks = [name for name in registered if "." not in name]
        columns = {b: [name for name in registered if name.startswith(f"{b}.")] for b in blocks}
        assert list(traced) == [name for block in blocks for name in (*columns[block], block)]


class Backwards(nn.Module):
    """Calls its layers in the order opposite to that in which they are registered."""

    def __init__(self):
        super().__init__()
        self.last, self.site, self.first = nn.Conv2d(1, 1, 1), Site(), nn.Conv2d(1, 1, 1)

    def forward(self, x):
        return self.last(self.site(self.first(x) + 1))


def test_named_modules_and_sites_are_in_the_order_of_the_pass():
    network = Backwards().eval()
    name_sites(network, ["last", "first"])
    assert site_names(network) == ("last", "site", "first")
    assert trace_sites(network, torch.zeros(1, 1, 4, 4)) == ("first", "site", "last")
    assert not any(module._forward_hooks for module in network.modules())


class Flat(nn.Module):
    def __init__(self):
        super().__init__()
        self.site = Site()

    def forward(self, x):
        return self.site(x.flatten(1)).view_as(x)


@pytest.mark.parametrize(
    ("network", "expected"),
    [
        (Flat(), r"site 'site' gives float32 of shape \(1, 16\), expected real numbers \(B, C, H"),
        (nn.Sequential(site := Site(), site), "site '0' is called 2 times in a forward pass"),
        (nn.ModuleDict({"unused": Site()}), "site 'unused' is called 0 times"),
    ],
)
def test_sites_that_cannot_be_read(network, expected, monkeypatch):
    if isinstance(network, nn.ModuleDict):
        monkeypatch.setattr(type(network), "forward", lambda _self, x: x, raising=False)
    with pytest.raises(InputError, match=expected):
        trace_sites(network, torch.zeros(1, 1, 4, 4))
