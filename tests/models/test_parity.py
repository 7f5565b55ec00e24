"""Counts by hand, and the gate that they decide."""

import itertools
import math
import subprocess
import sys
from functools import partial

import pytest
import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import gelu
from torch.utils.flop_counter import FlopCounterMode

import networks
from chimera.interface.errors import InputError
from chimera.models import build_model
from chimera.models.forecasting.building import check_model
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


def attention():
    """Return a network with torch's attention over the cells of an image."""

    class Attention(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.MultiheadAttention(8, 2, batch_first=True)
            self.up, self.down = nn.Conv2d(1, 8, 1), nn.ConvTranspose2d(8, 1, 3, padding=1)

        def forward(self, x):
            tokens = self.up(x).flatten(2).mT
            mixed, _ = self.inner(tokens, tokens, tokens, need_weights=False)
            return self.down(mixed.mT.unflatten(2, x.shape[2:]))

    return Attention()


@pytest.mark.parametrize(
    "make",
    [
        partial(build_model, UNET),
        partial(build_model, FRACTAL),
        attention,
        lambda: nn.Linear(64, 3),
    ],
)
def test_counts_of_real_products_are_torch_s(make, monkeypatch):
    model = make().eval()
    # Else attention is one operation, of which torch counts nothing.
    monkeypatch.setattr(torch.backends.mha, "_is_fastpath_enabled", False)
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        model(torch.zeros(1, 1, 64, 64))
    assert count(model, (1, 64, 64))[1] == counter.get_total_flops() / 2 > 0


def test_the_gate_does_not_load_the_compiler():
    script = """
import sys, torch
from chimera.models.parity.counting import count
from chimera.models.parity.liveness import liveness
model = torch.nn.Conv2d(1, 1, 3, padding=1)
assert count(model, (1, 8, 8)) == (10, 9 * 64)
assert liveness(model, (1, 8, 8)).params == 10
print("torch._dynamo" in sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"


def test_the_default_pair_is_the_study_s():
    sizes = {"unet": count(build_model(UNET), (1, 64, 64))}
    sizes["fractal"] = count(build_model(FRACTAL), (1, 64, 64))
    assert sizes["unet"] == (121385, 36110336)
    params_gap, macs_gap = gaps(sizes, "unet")["fractal"]
    assert params_gap == pytest.approx(-0.010, abs=5e-4)
    assert macs_gap == pytest.approx(0.019, abs=5e-4)
    require_parity(sizes, "unet", 0.05)


def test_torchinfo_charges_transposed_convolutions_four_times():
    """It multiplies parameters, biases included, by the cells of the output; norms by one."""
    model = build_model(UNET)
    cells = {}
    for module in model.modules():
        module.register_forward_hook(lambda m, _, y: cells.update({m: y.shape[-2] * y.shape[-1]}))
    model(torch.zeros(1, 1, 64, 64))
    expected = 0
    for module in model.modules():
        own = sum(parameter.numel() for parameter in module.parameters(recurse=False))
        is_norm = isinstance(module, nn.GroupNorm)
        expected += own * (1 if is_norm or not own else cells[module])
    assert count_torchinfo(build_model(UNET), (1, 64, 64)) == expected
    transposed = nn.ConvTranspose2d(3, 5, kernel_size=2, stride=2, bias=False)
    macs = 4 * 3 * 5 * 8 * 8  # each input cell meets the 2 x 2 kernel once
    assert count(transposed, (3, 8, 8)) == (4 * 3 * 5, macs)
    assert count_torchinfo(transposed, (3, 8, 8)) == 4 * macs


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
    for tolerance in (-0.05, math.nan, "0.05", True):
        with pytest.raises(InputError, match=r"'parity\.tolerance' is .*, expected a number"):
            require_parity(sizes, "unet", tolerance)


def convolutions(count=2):
    return [nn.Conv2d(2, 2, 3, padding=1) for _ in range(count)]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (lambda x: x.sin() + x.cos(), lambda x: x.cos() + x.sin(), True),
        (lambda x: x.sin() * x.cos(), lambda x: x.cos() * x.sin(), True),
        (lambda x: x.sin() - x.cos(), lambda x: x.cos() - x.sin(), False),
        (lambda x: x.sin(), lambda x: x.cos(), False),
        (lambda x: 2 * x, lambda x: 3 * x, False),
        (lambda x: torch.cat([x, x.sin()]), lambda x: torch.cat([x.sin(), x]), False),
        (lambda x: x.sum((1, 2)), lambda x: x.sum((1, 3)), False),
        (lambda x: x.reshape(len(x), -1), lambda x: x.reshape(len(x), 2, -1), False),
        (lambda x: gelu(x), lambda x: gelu(x, approximate="tanh"), False),
        # What is written in place is read by what follows.
        (lambda x: x.sin().cos_().exp(), lambda x: x.sin().cos().exp(), True),
    ],
)
def test_graphs_of_expressions(one, other, same):
    assert is_same_graph(networks.Expression(one), networks.Expression(other), (2, 4, 4)) == same
    assert is_same_graph(networks.Expression(one), networks.Expression(one), (2, 4, 4))


def test_graphs_of_equal_shapes_differ_by_what_they_compute():
    """Two convolutions one after the other, side by side, and one of them used twice."""
    expressions = (
        lambda x, a, b: b(a(x)),
        lambda x, a, b: a(x) + b(x),
        lambda x, a, b: a(a(x)) + 0 * b(x),
    )
    for first, one in enumerate(expressions):
        for second, other in enumerate(expressions):
            pair = (networks.Expression(e, *convolutions()) for e in (one, other))
            assert is_same_graph(*pair, (2, 4, 4)) == (first == second)


def test_parameters_that_nothing_uses_are_another_network():
    one, other = (networks.Expression(lambda x, a, *_: a(x), *convolutions(n)) for n in (1, 2))
    assert not is_same_graph(one, other, (2, 4, 4))


def test_graphs_are_those_of_evaluation_and_leave_the_network_as_it_was():
    network = nn.Sequential(nn.Conv2d(2, 2, 1), nn.Dropout(0.5)).double()
    assert is_same_graph(network, network.eval(), (2, 4, 4))
    network.train()
    assert is_same_graph(network, nn.Sequential(*network), (2, 4, 4))
    assert network.training
    assert network[1].training


def test_pairs_of_models_are_all_compared():
    models = {name: networks.Expression(e) for name, e in (("a", torch.sin), ("b", torch.cos))}
    require_distinct(models, (2, 4, 4))
    with pytest.raises(InputError, match="'b' and 'c' are the same graph"):
        require_distinct(models | {"c": networks.Expression(torch.cos)}, (2, 4, 4))


def test_counting_is_of_evaluation_and_leaves_each_module_in_its_mode():
    network = nn.Sequential(nn.Conv2d(2, 3, 1), nn.BatchNorm2d(3), nn.Dropout(0.5)).double()
    network[1].eval()
    before = network[1].running_mean.clone()
    # 2 x 3 weights and 3 shifts; scale and shift of the norm. MACs: 2 x 3 a cell.
    assert count(network, (2, 5, 4)) == (2 * 3 + 3 + 2 * 3, 2 * 3 * 5 * 4)
    assert count_torchinfo(network, (2, 5, 4)) > 0
    assert [m.training for m in network.modules()] == [True, True, False, True]
    assert torch.equal(network[1].running_mean, before)
    assert all(p.grad_fn is None and p.grad is None for p in network.parameters())


def test_identical_graphs_are_found_under_any_name_and_weights():
    one, same = build_model(UNET), build_model(UNET)
    with pytest.raises(InputError, match="'a' and 'b' are the same graph"):
        require_distinct({"a": one, "b": nn.Sequential(same)}, (1, 64, 64))


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


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"norm": "none"},
        {"use_skip": False},
        {"kernel_size": 5},
        {"input_shape": [3, 32, 64]},
        {"channels": [4, 6, 10, 14]},
        {"type": "fractal_unet", "columns": 1, "drop_path": 0.0},
        {"type": "fractal_unet", "columns": 2, "drop_path": 0.0},
        {"type": "fractal_unet", "columns": 3, "drop_path": 0.0, "norm": "none"},
    ],
)
def test_the_closed_form_is_the_count(change):
    fields = networks.UNET | change
    settings = check_model(fields, "model")
    counted = count(build_model(fields), settings.input_shape)
    assert networks.closed_form(settings) == counted


def test_solutions_are_all_on_the_lattice_and_the_nearest_in_profile():
    """Every list of multiples of 2 from 1/4 to 3/2 of [4, 6, 8] is counted by hand.

    2 is the largest of 8, 4, 2 and 1 up to half of the narrowest level, 4.
    """
    wanted = by_hand([4, 6, 8], double, size=16)
    expected = []
    for channels in itertools.product((2, 4, 6), (2, 4, 6, 8), (2, 4, 6, 8, 10, 12)):
        params, macs = by_hand(channels, fractal(2), size=16)
        gaps = params / wanted[0] - 1, macs / wanted[1] - 1
        growth = [math.log2(deep / b) for b, deep in itertools.pairwise(channels)]
        change = [g - h for g, h in zip(growth, (math.log2(6 / 4), math.log2(8 / 6)), strict=True)]
        profile = math.sqrt((change[0] ** 2 + change[1] ** 2) / 2)
        if max(map(abs, gaps)) <= 0.3:
            expected.append((profile, channels, params, macs, *gaps))
    found = solve_widths(networks.FRACTAL, networks.UNET, 0.3)
    assert len(expected) > len(found) == 10
    for solution, (profile, channels, params, macs, *gaps) in zip(
        found, sorted(expected), strict=False
    ):
        assert (tuple(solution.settings["channels"]), solution.params, solution.macs) == (
            channels,
            params,
            macs,
        )
        assert (solution.params_gap, solution.macs_gap) == pytest.approx(gaps)
        assert solution.profile_change == pytest.approx(profile)
