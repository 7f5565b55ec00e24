"""Counts by hand, and the gate that they decide."""

import pytest
from torch import nn

import networks
from chimera.interface.errors import InputError
from chimera.models import build_model
from chimera.models.parity.counting import count, count_torchinfo
from chimera.models.parity.gate import gaps, require_distinct, require_parity
from chimera.models.parity.graph import is_same_graph
from chimera.models.parity.width_search import solve_widths

UNET = networks.UNET | {"input_shape": [1, 64, 64], "channels": [8, 16, 32, 64]}
FRACTAL = networks.FRACTAL | {"input_shape": [1, 64, 64], "channels": [8, 12, 20, 72]}


def by_hand(channels, convolutions, size=64, k=3, field=1):
    """Return (parameters, MACs) layer by layer.

    Args:
        channels: Widths by level.
        convolutions: Of a block from a to b channels: the list of (in, out) of each.
    """
    params = macs = 0

    def block(a, b, n):
        nonlocal params, macs
        for i, o in convolutions(a, b):
            params += k * k * i * o + o + 2 * o  # kernel, bias, scale and shift of the norm
            macs += k * k * i * o * n * n

    levels = len(channels)
    for level, width in enumerate(channels):
        block(channels[level - 1] if level else field, width, size >> level)
    for level in reversed(range(levels - 1)):
        deep, width, n = channels[level + 1], channels[level], size >> (level + 1)
        params += 4 * deep * width + width
        macs += 4 * deep * width * n * n  # each input cell meets the 2 x 2 kernel once
        block(2 * width, width, size >> level)
    params += channels[0] * field + field
    macs += channels[0] * field * size * size
    return params, macs


def double(a, b):
    return [(a, b), (b, b)]


def fractal(columns):
    """Of f_C, one convolution in each column sees the input; the other 2^C - 1 - C do not."""
    return lambda a, b: [(a, b)] * columns + [(b, b)] * (2**columns - 1 - columns)


@pytest.mark.parametrize(
    ("channels", "columns"),
    [([8, 16, 32, 64], 0), ([8, 12, 20, 72], 2), ([4, 8, 20, 32], 3), ([4, 8], 4)],
)
def test_counts_are_those_made_by_hand(channels, columns):
    fields = FRACTAL | {"channels": channels, "columns": columns} if columns else UNET
    expected = by_hand(channels, fractal(columns) if columns else double)
    assert count(build_model(fields), (1, 64, 64)) == expected


def test_the_default_pair_is_the_study_s():
    sizes = {"unet": count(build_model(UNET), (1, 64, 64))}
    sizes["fractal"] = count(build_model(FRACTAL), (1, 64, 64))
    assert sizes["unet"] == (121385, 36110336)
    params_gap, macs_gap = gaps(sizes, "unet")["fractal"]
    assert params_gap == pytest.approx(-0.010, abs=5e-4)
    assert macs_gap == pytest.approx(0.019, abs=5e-4)
    require_parity(sizes, "unet", 0.05)


def test_torchinfo_charges_transposed_convolutions_four_times():
    macs = count(build_model(UNET), (1, 64, 64))[1]
    transposed = sum(
        4 * deep * width * (64 >> (level + 1)) ** 2
        for level, (width, deep) in enumerate([(8, 16), (16, 32), (32, 64)])
    )
    shown = count_torchinfo(build_model(UNET), (1, 64, 64))
    # torchinfo multiplies parameters, bias included, by output cells: take both differences away.
    assert shown > macs + 2.9 * transposed


def test_shared_parameters_count_once():
    layer = nn.Conv2d(3, 3, 1)
    assert count(nn.Sequential(layer, layer), (3, 4, 4)) == (12, 2 * 9 * 16)


def test_gate_names_model_gaps_and_remedy():
    sizes = {"unet": (1000, 500), "wide": (1051, 500), "slow": (1000, 474), "good": (1050, 475)}
    with pytest.raises(InputError, match=r"'wide' is \+5\.1% in parameters and \+0\.0% in MACs"):
        require_parity(sizes, "unet", 0.05)
    del sizes["wide"]
    with pytest.raises(InputError, match=r"'slow' .* -5\.2% in MACs .* `make solve_widths`"):
        require_parity(sizes, "unet", 0.05)
    del sizes["slow"]
    require_parity(sizes, "unet", 0.05 + 1e-12)
    with pytest.raises(InputError, match="'baseline' is 'vit', expected one of unet, good"):
        gaps(sizes, "vit")


def test_identical_graphs_are_found_under_any_name_and_weights():
    one, same = build_model(UNET), build_model(UNET)
    assert is_same_graph(one, same, (1, 64, 64))
    with pytest.raises(InputError, match="'a' and 'b' are the same graph"):
        require_distinct({"a": one, "b": same}, (1, 64, 64))
    assert is_same_graph(one, nn.Sequential(same), (1, 64, 64))


@pytest.mark.parametrize(
    "change",
    [{"use_skip": False}, {"activation": "relu"}, {"norm": "none"}, {"channels": [8, 16, 32, 72]}],
)
def test_different_graphs_are_told_apart(change):
    assert not is_same_graph(build_model(UNET), build_model(UNET | change), (1, 64, 64))


def test_fractal_of_equal_shapes_is_not_the_unet():
    """Reordered or rejoined convolutions of the same shapes are another network."""
    two = FRACTAL | {"columns": 2}
    assert not is_same_graph(build_model(two), build_model(UNET), (1, 64, 64))


@pytest.mark.parametrize("columns", [2, 3])
def test_solved_widths_are_within_tolerance_by_a_real_count(columns):
    fields = FRACTAL | {"columns": columns}
    solutions = solve_widths(fields, UNET, 0.05)
    assert solutions
    baseline = count(build_model(UNET), (1, 64, 64))
    for solution in solutions:
        built = count(build_model(fields | {"channels": list(solution.channels)}), (1, 64, 64))
        assert built == (solution.params, solution.macs)
        assert solution.params_gap == pytest.approx(built[0] / baseline[0] - 1)
        assert abs(solution.params_gap) <= 0.05
        assert abs(solution.macs_gap) <= 0.05


def test_an_impossible_tolerance_is_one_sentence():
    with pytest.raises(InputError, match=r"'tolerance' = 1e-09 is met by no channel list"):
        solve_widths(FRACTAL, UNET, 1e-9)
