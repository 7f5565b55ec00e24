"""The structure of the networks beside the study's two."""

import sys
from importlib import import_module
from types import ModuleType

import pytest
import torch
import yaml
from torch import nn

from chimera.interface.errors import InputError
from chimera.models import build_model
from chimera.models.networks.dilated_resnet import DILATIONS
from chimera.models.parity import count
from chimera.models.parity.gate import require_live, require_parity
from chimera.models.parity.liveness import liveness
from networks import without_its_dependencies
from workspaces import ROOT

SETTINGS = {
    "fno": {"width": 3, "modes": 3, "layers": 2, "hidden": 5},
    "convnext_unet": {"channels": [2, 3, 4], "blocks": 2, "neck_blocks": 1},
    "dilated_resnet": {"width": 3, "blocks": 1},
}


def built(name, **change):
    torch.manual_seed(0)
    section = {"type": name, "input_shape": [2, 16, 24], **SETTINGS[name], **change}
    return build_model(section).double().eval()


@pytest.mark.parametrize("name", SETTINGS)
def test_on_a_periodic_grid_they_commute_with_shifts(name):
    network, x = built(name, out_channels=1), torch.randn(2, 2, 16, 24, dtype=torch.double)
    shift = {"shifts": (4, -8), "dims": (2, 3)}  # multiples of the coarsest cells
    y = network(x)
    assert y.shape == (2, 1, 16, 24)
    torch.testing.assert_close(network(x.roll(**shift)), y.roll(**shift))
    other = built(name, out_channels=1, padding=["circular", "replicate"])
    other.load_state_dict(network.state_dict())
    assert not torch.allclose(other(x), y)


@pytest.mark.parametrize(
    ("name", "change", "expected"),
    [
        ("fno", {"modes": 9}, "modes is 9, expected at most half of 16"),
        ("convnext_unet", {"channels": [2] * 5}, "expected multiples of 16 of at least 48, or few"),
        ("dilated_resnet", {"input_shape": [1, 4, 16]}, "expected sides of 8 cells or more"),
    ],
)
def test_grids_that_are_too_small(name, change, expected):
    with pytest.raises(InputError, match=expected):
        built(name, **change)


def test_a_spectral_layer_passes_low_wavenumbers_alone():
    """Matrices of ones: the sum of both channels, without what lies at or above the modes."""
    layer = built("fno", width=2, modes=3).layers[0].spectral
    with torch.no_grad():
        layer.low.fill_(1), layer.high.fill_(1)
    i, j = torch.arange(16.0).double()[:, None], torch.arange(24.0).double()
    waves = {
        (kx, ky): torch.cos(2 * torch.pi * (kx * i / 16 + ky * j / 24) + 0.3)
        for kx, ky in [(0, 0), (2, 1), (-3, 2), (0, 2), (3, 0), (4, 1), (1, 3)]
    }
    for (kx, ky), wave in waves.items():
        y = layer(torch.stack([wave, 0 * wave])[None])[0]
        # Of k and -k, one half-plane is stored: along H -3 .. 2, along W 0 .. 2.
        expected = wave if -3 <= kx < 3 and ky < 3 else 0 * wave
        if (kx, ky) == (3, 0):  # its half at -3 is among the stored: half the wave passes
            expected = wave / 2
        for channel in y:
            torch.testing.assert_close(channel, expected, msg=str((kx, ky)))


def test_a_dilated_block_sees_as_far_as_its_dilations_add_up():
    settings = {"type": "dilated_resnet", "width": 4, "blocks": 1, "input_shape": [1, 64, 64]}
    network = build_model(settings).double()
    x = torch.zeros(1, 1, 64, 64, dtype=torch.double, requires_grad=True)
    for parameter in network.parameters():
        nn.init.constant_(parameter, 0.1)  # every unit is active
    network(x)[0, 0, 32, 32].backward()
    rows = x.grad[0, 0].abs().sum(1).nonzero().flatten()
    reach = sum(DILATIONS) + 2  # and the first and the last convolution
    assert (int(rows[0]), int(rows[-1])) == (32 - reach, 32 + reach)


class Base(nn.Module):
    """In place of The Well's, which is uploaded to a hub."""

    def __init__(self, *_):
        super().__init__()


def test_the_convnext_unet_is_the_well_s(monkeypatch):
    """With the same weights, the same output; The Well pads with zeros, here periodically."""
    without_its_dependencies(monkeypatch)
    common = ModuleType("the_well.benchmark.models.common")
    common.BaseModel = Base
    monkeypatch.setitem(sys.modules, common.__name__, common)
    reference = import_module("the_well.benchmark.models.unet_convnext")
    other = reference.UNetConvNext(
        2, 1, 2, (16, 24), stages=2, blocks_per_stage=2, blocks_at_neck=1, init_features=4
    ).double()
    for module in other.modules():
        if isinstance(module, nn.Conv2d) and any(module.padding):
            module.padding_mode = "circular"
            module._reversed_padding_repeated_twice = [p for p in module.padding for _ in (0, 1)]
    for name, parameter in other.named_parameters():
        nn.init.normal_(parameter, std=0.3) if "gamma" in name else None
    network = built("convnext_unet", channels=[4, 8, 16], out_channels=1)
    unused = {n for n, _ in other.named_parameters() if "resample.block.0.bias" in n}
    given = [p for n, p in other.named_parameters() if n not in unused]
    assert sum(p.numel() for p in given) == sum(p.numel() for p in network.parameters())
    names = {"in_proj": "stem", "out_proj": "head", "neck": "bottleneck"}
    parts = {"dwconv": "depthwise", "pwconv1": "widen", "pwconv2": "narrow"}
    state = {}
    for name, value in other.named_parameters():
        if name in unused:
            continue
        first, _, rest = name.partition(".")
        level = None
        if first in ("encoder", "decoder"):
            number, _, rest = rest.partition(".")
            level = int(number) if first == "encoder" else 2 - int(number)
        if rest.startswith("resample"):
            way = {"encoder": "down", "decoder": "up"}[first]
            target = f"{way}{level}.{rest.removeprefix('resample.block.')}"
        elif rest.startswith("skip_proj"):
            target = f"merge{level}.{rest.removeprefix('skip_proj.')}"
        else:
            for old, new in parts.items():
                rest = rest.replace(old, new)
            target = f"{names.get(first, first)}{'' if level is None else level}.{rest}"
        state[target] = value.detach().reshape(network.state_dict()[target].shape)
    network.load_state_dict(state)
    x = torch.randn(2, 2, 16, 24, dtype=torch.double)
    torch.testing.assert_close(network(x), other(x))


@pytest.mark.parametrize("name", ["unet_fractal_widths", "fno", "convnext_unet"])
def test_the_committed_settings_pass_the_gate(name):
    def committed(name):
        section = yaml.safe_load((ROOT / f"conf/model/{name}.yaml").read_text())
        return build_model(section | {"input_shape": [3, 64, 64], "out_channels": 1})

    networks = {other: committed(other) for other in ("unet", name)}
    sizes = {other: count(network, (3, 64, 64)) for other, network in networks.items()}
    require_parity(sizes, "unet", 0.05)
    require_live(name, liveness(networks[name], (3, 64, 64)))
