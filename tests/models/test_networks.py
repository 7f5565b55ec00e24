"""The structure of the UNet and of the fractal, found on the networks themselves."""

import re
from functools import partial
from itertools import pairwise

import pytest
import torch
from torch import nn

import networks
from chimera.interface.errors import InputError
from chimera.models import build_model
from chimera.models.networks.fractal_unet import (
    FractalBlock,
    GlobalDropPath,
    LocalDropPath,
    draw_drop_path,
    joining_columns,
)
from chimera.models.networks.layers import ConvUnit
from chimera.models.networks.periodic import PeriodicConv2d
from chimera.models.networks.site import Site
from chimera.probes.common.activations import site_names

UNET = networks.UNET | {"input_shape": [2, 16, 16]}
FRACTAL = networks.FRACTAL | {"input_shape": [2, 16, 16], "columns": 3}


def block(columns, norm="none", channels=2):
    unit = partial(ConvUnit, kernel_size=3, norm=norm, activation="gelu", padding=("circular",) * 2)
    return FractalBlock(channels, channels, columns, unit)


class Paths(nn.Module):
    """Stands in for a unit: z -> x z, on polynomials in x given by their coefficients."""

    def forward(self, z):
        return torch.roll(z, 1, 0)


def paths(columns):
    """Return how many paths through a block have 0, 1, 2, ... convolutions, by its own forward.

    A join divides by the number of columns that arrive; as each path carries the same factors
    on its way, the counts are recovered by replacing each mean by a sum.
    """
    module = block(columns)
    for name, child in module.named_children():
        if name.startswith("units"):
            for number in range(len(child)):
                child[number] = Paths()
    joined = {0: torch.zeros(40, dtype=torch.float64)}
    joined[0][0] = 1.0
    for row, arriving in enumerate(module.joins, start=1):
        mean_of = [module._arrive(column, row, joined) for column in arriving]
        joined[row] = sum(mean_of)
    return joined[len(module.joins)].long()


@pytest.mark.parametrize(("columns", "count"), [(1, 1), (2, 2), (3, 5), (4, 26)])
def test_fractal_has_the_paper_s_paths_and_convolutions(columns, count):
    by_length = paths(columns)
    assert int(by_length.sum()) == count
    assert int(by_length.nonzero().max()) == 2 ** (columns - 1)
    convolutions = [m for m in block(columns).modules() if isinstance(m, PeriodicConv2d)]
    assert len(convolutions) == 2**columns - 1


@pytest.mark.parametrize("columns", [1, 2, 3, 4])
def test_expansion_rule(columns):
    """f_{C+1}(z) = mean of conv(z) and what arrives at the end of f_C(f_C(z)), joins merged.

    With every unit z -> g z (a scalar), the block is a polynomial in g that the rule gives, too.
    """
    gain = 0.7

    class Gain(nn.Module):
        def forward(self, z):
            return gain * z

    module = block(columns)
    for name, child in module.named_children():
        if name.startswith("units"):
            for number in range(len(child)):
                child[number] = Gain()

    def arriving(c, z):
        """Return what the columns of f_c bring to its last join."""
        if c == 1:
            return [gain * z]
        inner = arriving(c - 1, z)
        return [*arriving(c - 1, sum(inner) / len(inner)), gain * z]

    z = torch.ones(1, 2, 8, 8)
    inputs = arriving(columns, 1.0)
    assert len(inputs) == columns
    torch.testing.assert_close(module(z), z * (sum(inputs) / len(inputs)))


def test_joins_merge_adjacent_ones():
    assert joining_columns(3) == ((3,), (2, 3), (3,), (1, 2, 3))
    assert [len(join) for join in joining_columns(4)] == [1, 2, 1, 3, 1, 2, 1, 4]


@pytest.mark.parametrize("column", [1, 2, 3])
def test_global_drop_path_is_one_column_and_the_others_get_no_gradient(column):
    module = block(3, "group")
    z = torch.randn(2, 2, 8, 8)
    output = module(z, GlobalDropPath(column))
    expected = z
    for unit in module.get_submodule(f"units{column}"):
        expected = unit(expected)
    torch.testing.assert_close(output, expected)
    output.square().sum().backward()
    for name, parameter in module.named_parameters():
        here = name.startswith(f"units{column}.")
        assert (parameter.grad is not None) == here, name


def test_local_drop_path_takes_the_mean_over_survivors():
    torch.manual_seed(0)
    drop, draws = LocalDropPath(0.5), 20000
    kept = [drop.survivors((1, 2, 3)) for _ in range(draws)]
    assert all(kept)
    # P(column 1 survives) = 1/2 from its own draw, plus 1/3 of the 1/8 in which none did.
    share = sum(1 in survivors for survivors in kept) / draws
    assert share == pytest.approx(0.5 + 1 / 24, abs=4 * (0.25 / draws) ** 0.5)

    class Chosen(LocalDropPath):
        def survivors(self, arriving):
            return (1, 3) if len(arriving) == 3 else arriving

    module = block(3)
    z = torch.randn(2, 2, 8, 8)
    first = module.units1[0](z)
    deep = module.units3[1](module.units3[0](z))
    middle = (module.units2[0](z) + deep) / 2
    third = module.units3[3](module.units3[2](middle))
    torch.testing.assert_close(module(z, Chosen(0.5)), (first + third) / 2)


def test_drop_path_is_drawn_in_training_alone():
    torch.manual_seed(1)
    drawn = [draw_drop_path(3, 0.2) for _ in range(2000)]
    global_share = sum(isinstance(d, GlobalDropPath) for d in drawn) / 2000
    assert global_share == pytest.approx(0.5, abs=4 * (0.25 / 2000) ** 0.5)
    assert {d.column for d in drawn if isinstance(d, GlobalDropPath)} == {1, 2, 3}
    network = build_model(FRACTAL | {"drop_path": 0.5})
    x = torch.randn(1, 2, 16, 16)
    state = torch.get_rng_state()
    training = torch.stack([network.train()(x) for _ in range(8)])
    assert not torch.equal(state, torch.get_rng_state())
    assert training.detach().std(dim=0).max() > 0
    state = torch.get_rng_state()
    assert torch.equal(network.eval()(x), network(x))
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize("fields", [UNET, FRACTAL, UNET | {"use_skip": False}])
def test_shape_and_equivariance_to_shifts(fields):
    network = build_model(fields).double().eval()
    x = torch.randn(2, 2, 16, 16, dtype=torch.float64)
    y = network(x)
    assert y.shape == x.shape
    for shift in ((4, 0), (-8, 4)):
        moved = network(torch.roll(x, shift, (-2, -1)))
        torch.testing.assert_close(moved, torch.roll(y, shift, (-2, -1)))


CHANGES = {
    "input_shape": [1, 16, 16],
    "channels": [4, 6, 10],
    "kernel_size": 5,
    "use_skip": False,
    "norm": "none",
    "activation": "relu",
    "columns": 2,
}


@pytest.mark.parametrize("name", CHANGES)
def test_every_field_shows_in_the_network(name):
    changed = build_model(FRACTAL | {name: CHANGES[name]})
    assert str(changed) != str(build_model(FRACTAL))


def test_dropout_zeroes_whole_channels_in_training():
    network = build_model(UNET | {"dropout": 0.5})
    x = torch.randn(1, 2, 16, 16)
    assert not torch.equal(network.train()(x), network(x))
    assert torch.equal(network.eval()(x), network(x))


@pytest.mark.parametrize("norm", ["group", "batch", "instance", "none"])
@pytest.mark.parametrize("activation", ["gelu", "silu", "relu"])
def test_every_choice_trains(norm, activation):
    network = build_model(UNET | {"norm": norm, "activation": activation})
    network(torch.randn(2, 2, 16, 16)).square().mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


def test_sites_lie_on_every_edge():
    blocks = ["encoder0", "encoder1", "bottleneck", "decoder0", "decoder1"]
    edges = {f"{edge}{level}" for edge in ("skip", "down", "up") for level in (0, 1)}
    columns = {f"{block}.column{c}" for block in blocks for c in (1, 2, 3)}
    assert set(site_names(build_model(UNET))) == edges | set(blocks)
    assert set(site_names(build_model(FRACTAL))) == edges | set(blocks) | columns
    without = set(site_names(build_model(UNET | {"use_skip": False})))
    assert without == (edges | set(blocks)) - {"skip0", "skip1"}
    modules = dict(build_model(FRACTAL).named_modules())
    assert all(isinstance(modules[name], Site) for name in site_names(build_model(FRACTAL)))


def test_double_conv_is_two_units_and_a_block_of_the_fractal_takes_its_place():
    unet, fractal = build_model(UNET), build_model(FRACTAL)
    blocks = [name for name in site_names(unet) if re.fullmatch(r"(en|de)coder\d|bottleneck", name)]
    assert len(blocks) == 5
    for name in blocks:
        count = [
            sum(isinstance(m, ConvUnit) for m in network.get_submodule(name).modules())
            for network in (unet, fractal)
        ]
        assert count == [2, 2**3 - 1]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            {"type": "resnet"},
            r"^model\.type is 'resnet', expected one of unet, fractal_unet, .* import path",
        ),
        ({"widths": [1]}, r"^model\.widths is not a known key; expected input_shape"),
        (
            {"norm": "layer"},
            r"^model\.norm is 'layer', expected one of group, batch, instance, none$",
        ),
        (
            {"activation": "tanh"},
            r"^model\.activation is 'tanh', expected one of gelu, silu, relu$",
        ),
        ({"kernel_size": 4}, r"^model\.kernel_size is 4, expected an odd"),
        (
            {"channels": [4, -8]},
            r"^model\.channels\[1\] is -8, expected a whole number of at least 1$",
        ),
        ({"channels": [4]}, r"^model\.channels is \[4\], expected a list of at least 2$"),
        (
            {"input_shape": [1, 2, 16]},
            r"^model\.input_shape .* side of 2, expected more than 2 or fewer levels",
        ),
        ({"use_skip": 1}, r"^model\.use_skip is 1, expected true or false$"),
        ({"dropout": 1.0}, r"^model\.dropout is 1\.0, expected a number below 1$"),
        ({"columns": 0}, r"^model\.columns is 0, expected a whole number of at least 1$"),
    ],
)
def test_a_wrong_field_names_itself_and_the_choices(change, words):
    with pytest.raises(InputError, match=words):
        build_model(FRACTAL | change)


def test_missing_and_foreign_fields_are_refused():
    with pytest.raises(InputError, match=r"^model\.norm is missing, expected a value$"):
        build_model({name: value for name, value in UNET.items() if name != "norm"})
    with pytest.raises(InputError, match=r"^model\.columns is not a known key"):
        build_model(UNET | {"columns": 2})


def test_channel_counts_follow_the_list():
    network = build_model(UNET)
    for level, (above, width) in enumerate(pairwise((2, 4, 6))):
        first = network.get_submodule(f"encoder{level}.first.conv")
        assert (first.in_channels, first.out_channels) == (above, width)
        merged = network.get_submodule(f"decoder{level}.first.conv")
        assert (merged.in_channels, merged.out_channels) == (2 * width, width)
