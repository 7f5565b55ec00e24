"""Keys of a convolution reproduce its output; an edited weight comes back to the last bit."""

import numpy as np
import pytest
import torch
from torch import nn

from chimera.interface.errors import InputError
from chimera.models import build_model
from chimera.models.networks.periodic import PeriodicConv2d
from chimera.probes.common.activations import site_names
from chimera.probes.rome.convolutions import (
    choose_layer,
    failing_keys,
    find_convolution,
    reference_keys,
    second_moment,
    unfold_keys,
    updated,
)
from chimera.probes.rome.failure import Pairs
from networks import FRACTAL

CIRCULAR = {"padding_mode": "circular"}


@pytest.mark.parametrize(
    "layer",
    [
        PeriodicConv2d(4, 6, 3),
        PeriodicConv2d(4, 6, 5),
        nn.Conv2d(4, 6, 3, padding=1, **CIRCULAR),
        nn.Conv2d(4, 6, (3, 5), padding=(1, 2), groups=2, **CIRCULAR),
        nn.Conv2d(4, 6, 3, padding=2, dilation=2, stride=2, **CIRCULAR),
        nn.Conv2d(4, 6, 1),
        nn.Conv2d(4, 6, 3),
    ],
)
def test_weight_times_keys_is_the_output(layer):
    layer = layer.double()
    x = torch.randn(2, 4, 8, 8, dtype=torch.float64)
    keys = unfold_keys(layer, x)
    G = layer.groups
    weight = layer.weight.detach().flatten(1).unflatten(0, (G, -1))
    values = weight @ keys  # (G, O / G, B H W)
    output = layer(x).detach()
    B, C, H, W = output.shape
    values = values.reshape(C, B, H, W).transpose(0, 1) + layer.bias.detach()[:, None, None]
    torch.testing.assert_close(values, output, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("padding", [1, "same"])
def test_other_padding_is_refused(padding):
    mode = "zeros" if padding == 1 else "circular"
    layer = nn.Conv2d(1, 1, 3, padding=padding, padding_mode=mode)
    with pytest.raises(InputError, match=f"with '{mode}', expected numbers of cells with 'circ"):
        unfold_keys(layer, torch.zeros(1, 1, 4, 4))


def test_second_moment_is_uncentred():
    generator = torch.Generator().manual_seed(0)
    keys = 3 + torch.randn(2, 4, 100, generator=generator)
    expected = torch.stack([sum(torch.outer(k, k) for k in g.T) / 100 for g in keys.double()])
    torch.testing.assert_close(second_moment(keys), expected, rtol=1e-12, atol=0)


def test_too_few_keys():
    with pytest.raises(InputError, match="39 keys for 4 patch dimensions, expected at least 10"):
        second_moment(torch.randn(1, 4, 39))


def test_failing_keys_are_the_patches_of_the_worst_cells():
    conv = nn.Conv2d(1, 1, 3, padding=1, **CIRCULAR)
    x = torch.arange(64.0).reshape(1, 1, 8, 8)
    error = torch.zeros(8, 8)
    error[0, 0], error[7, 7], error[0, 2], error[4, 4] = 4.0, 3.0, 2.0, 1.0  # (7, 7) adjoins (0, 0)
    with torch.no_grad():
        target = Pairs(x, conv(x) + error)
    keys = failing_keys(conv, conv, target, 3)
    assert keys.shape == (1, 9, 3)
    assert keys[0, 4].tolist() == [0.0, 2.0, 4 * 8 + 4]  # the patches' centres
    assert keys[0, :, 0].tolist() == [63, 56, 57, 7, 0, 1, 15, 8, 9]  # it wraps


def test_failing_keys_on_a_coarser_grid():
    conv = nn.Conv2d(1, 1, 1)
    model = nn.Sequential(nn.MaxPool2d(2), conv, nn.Upsample(scale_factor=2))
    x = torch.arange(16.0).reshape(1, 1, 4, 4)
    with torch.no_grad():
        y = model(x)
    y[0, 0, 2, 1] += 1  # lies in the pooled cell (1, 0), whose maximum is x[3, 1] = 13
    assert failing_keys(model, conv, Pairs(x, y), 1).flatten().tolist() == [13.0]


def test_no_room_for_the_keys():
    conv = nn.Conv2d(1, 1, 3, padding=1, **CIRCULAR)
    x = torch.randn(1, 1, 4, 4)
    with pytest.raises(InputError, match=r"num_keys is 9, expected at most [1-4]: .* 4 x 4 cells"):
        failing_keys(conv, conv, Pairs(x, x), 9)


def test_reference_keys_are_drawn_without_repetition():
    conv = nn.Conv2d(1, 1, 1)
    inputs = torch.arange(12 * 64.0).reshape(12, 1, 8, 8)
    keys = reference_keys(conv, conv, inputs, 60, np.random.default_rng(0)).flatten()
    assert len(keys) == 60
    assert len(keys.unique()) == 60
    assert len((keys // 64).unique()) > 9  # from all over the samples
    every = reference_keys(conv, conv, inputs, 10_000, np.random.default_rng(0)).flatten()
    assert torch.equal(every.sort().values, inputs.flatten())


def test_an_update_leaves_the_weight_as_it_is_to_the_last_bit():
    torch.manual_seed(0)
    conv, x = nn.Conv2d(2, 3, 3), torch.randn(4, 2, 8, 8)
    before = conv.weight.detach().clone()
    update = 1e6 * torch.randn_like(before)  # adding and subtracting it would lose digits
    found = updated(nn.Sequential(conv), "0", update)(x)
    assert torch.equal(found, nn.functional.conv2d(x, before + update, conv.bias))
    assert torch.equal(conv.weight.detach(), before)


def test_layer_of_the_largest_effect_below_one():
    model = build_model(FRACTAL)
    effects = dict.fromkeys(site_names(model), 0.1)
    effects |= {"encoder0": 1.0, "decoder0": 1.0 - 1e-9, "up0": 0.9, "decoder1.column1": 0.8}
    effects |= {"encoder1": 0.7, "decoder1": 0.7}
    layer = choose_layer(model, effects)
    assert layer == "decoder1.units2.1.conv"  # the end of the longest column
    assert isinstance(find_convolution(model, layer), nn.Conv2d)
    assert choose_layer(model, effects | {"bottleneck": 0.75}) == "bottleneck.units2.1.conv"


@pytest.mark.parametrize("effects", [{}, {"encoder0": 1.0}, {"skip0": 0.5}])
def test_no_layer_to_edit(effects):
    with pytest.raises(InputError, match="has a convolution and an effect below 1"):
        choose_layer(build_model(FRACTAL), effects)


def test_misspelt_layer_lists_the_valid_ones():
    with pytest.raises(InputError, match=r"'hed' is not a convolution, expected one of .*head"):
        find_convolution(build_model(FRACTAL), "hed")
