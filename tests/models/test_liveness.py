"""Real numbers and operations, counted by hand, and what of them takes part in the output."""

import math

import pytest
import torch
from torch import nn

import networks
from chimera.interface.errors import InputError
from chimera.models import build_model
from chimera.models.parity import count, live
from chimera.models.parity.counting import zero_sample
from chimera.models.parity.gate import dead_parts, require_live
from chimera.models.parity.liveness import liveness

FNO = {
    "type": "fno",
    "input_shape": [1, 64, 64],
    "width": 16,
    "modes": 8,
    "layers": 4,
    "hidden": 64,
}


def test_a_fourier_neural_operator_by_hand():
    """Li et al. 2021 with 16 channels and 8 modes: 264,417 real numbers."""
    w, m, layers, hidden, N = 16, 8, 4, 64, 64 * 64
    spectral = 2 * (2 * m * m) * w * w  # two real numbers of each of two blocks of matrices
    local = w * w + w
    params = (w + w) + layers * (spectral + local) + (w * hidden + hidden) + (hidden + 1)
    assert params == 264417
    transform = 5 / 2 * N * math.log2(N)  # real operations, forwards; the same backwards
    products = 4 * (2 * m * m) * w * w  # real multiplications of the matrices
    macs = N * (w + w * hidden + hidden) + layers * (N * w * w + products + w * transform)
    assert 4 * w * transform == pytest.approx(7.9e6, rel=0.01)  # two directions, half of the ops
    assert count(build_model(FNO), (1, 64, 64)) == (params, macs)


COMPLEX = torch.complex(torch.ones(4, 4), torch.ones(4, 4))


@pytest.mark.parametrize(
    ("f", "macs"),
    [
        (lambda x: (COMPLEX @ COMPLEX).real + x, 4 * 4**3),
        (lambda x: torch.bmm(COMPLEX[None], COMPLEX[None]).real + x, 4 * 4**3),
        (lambda x: (COMPLEX * COMPLEX).real + x, 4 * 16),
        (lambda x: (COMPLEX * x[0, 0]).real + x, 2 * 16),
        (lambda x: x * x, 0),
        (lambda x: x @ x, 4**3),
        (lambda x: x + (x[0, 0] @ x[0, 0, 0])[:, None], 16),
        (lambda x: x + (COMPLEX @ COMPLEX[0]).real, 4 * 16),
        (lambda x: x + torch.dot(x.flatten(), x.flatten()), 16),
        # 4 transforms of 4 points: 5/2 x 4 x 2 operations each; and of complex numbers, 5 x 4 x 2.
        (lambda x: torch.fft.rfft(x).abs(), 4 * 20 // 2),
        (lambda x: torch.fft.irfft(COMPLEX[:, :3], 4) + x, 4 * 20 // 2),
        (lambda x: torch.fft.fft(COMPLEX).real + x, 4 * 40 // 2),
        (lambda x: torch.fft.rfft2(x).abs(), 5 * 16 * 4 // 4),
        (lambda x: nn.functional.scaled_dot_product_attention(x, x, x), 2 * 4**3),
    ],
)
def test_operations_by_hand(f, macs):
    assert count(networks.Expression(f), (1, 4, 4)) == (0, macs)


def test_a_complex_parameter_is_two_real_ones_and_a_shared_one_counts_once():
    layer = nn.Conv2d(1, 1, 1, bias=False)
    layer.phase = nn.Parameter(torch.zeros(3, dtype=torch.cfloat))
    assert count(nn.Sequential(layer, layer), (1, 4, 4)) == (1 + 2 * 3, 2 * 16)
    alone = networks.Expression(lambda x: (x * alone.phase).real)  # a sample of its own, real, type
    alone.phase = nn.Parameter(torch.zeros(4, dtype=torch.cdouble))
    assert zero_sample(alone, (1, 4, 4)).dtype == torch.double
    assert count(alone, (1, 4, 4)) == (2 * 4, 2 * 16)


def thrown_away():
    fractal = build_model(networks.FRACTAL)
    return networks.Expression(
        lambda x, net, conv: (net(x), conv(x))[1], fractal, nn.Conv2d(1, 1, 1)
    )


def test_a_network_that_throws_its_blocks_away_is_refused_by_their_names():
    network = thrown_away()
    assert live(network, (1, 16, 16)) == 2
    assert count(network, (1, 16, 16))[0] > 1000
    with pytest.raises(InputError, match=r"model 'empty' .* in layers.0.bottleneck.units1.0.conv,"):
        require_live("empty", liveness(network, (1, 16, 16)))


@pytest.mark.parametrize(
    ("f", "dead"),
    [
        (lambda x, conv: x + 0 * conv(x), True),
        (lambda x, conv: x + conv(x).detach() * 0, True),
        (lambda x, conv: conv(x) + 0 * torch.fft.irfft2(torch.fft.rfft2(x)), True),
        (lambda x, conv: conv(x) + 0 * (x @ x), True),
        (lambda x, conv: x + 1e-6 * conv(x), False),
        (lambda x, conv: conv(conv(x)), False),
    ],
)
def test_what_has_no_effect_is_dead(f, dead):
    found = liveness(networks.Expression(f, nn.Conv2d(1, 1, 3, padding=1)), (1, 8, 8))
    assert bool(found.dead_operations) == dead


@pytest.mark.parametrize(
    ("layer", "macs"),
    [
        # Of each gate, a matrix of the input and one of the state, 4 gates: the state of a step is
        # sigmoid and tanh of W x + U h + b (Hochreiter & Schmidhuber 1997). 2 x 16 steps.
        (nn.LSTM(16, 16), 4 * (16 * 16 + 16 * 16) * 32),
        (nn.LSTM(16, 8, bidirectional=True), 2 * 4 * (8 * 16 + 8 * 8) * 32),
        (nn.LSTM(16, 16, num_layers=2, bias=False), 2 * 4 * (16 * 16 + 16 * 16) * 32),
        # Gates of other networks: 3 of a GRU, 1 of a plain one.
        (nn.GRU(16, 16), 3 * (16 * 16 + 16 * 16) * 32),
        (nn.RNN(16, 16), (16 * 16 + 16 * 16) * 32),
        # y_k = sum_ij A_kij x_i x_j: a weight meets each product by element, which does not count.
        (nn.Bilinear(16, 16, 16), 16 * 16 * 16 * 32),
        (nn.Bilinear(16, 16, 12), 16 * 16 * 12 * 32),
    ],
)
def test_recurrent_and_bilinear_layers_by_hand(layer, macs):
    """Rows of an image, 32 of them, are the steps or the samples."""

    def f(x, layer):
        rows = x.flatten(1, 2)
        if isinstance(layer, nn.Bilinear):
            return layer(rows, rows)
        return layer(rows.transpose(0, 1))[0].transpose(0, 1)

    network = networks.Expression(f, layer)
    assert count(network, (2, 16, 16))[1] == macs
    if not isinstance(layer, nn.GRU | nn.RNN):
        found = liveness(network, (2, 16, 16))
        assert not found.dead_operations
        unused = networks.Expression(
            lambda x, layer: x.flatten(1, 2) + 0 * f(x, layer).mean(), layer
        )
        assert liveness(unused, (2, 16, 16)).dead_operations == ("layers.0",)


def test_attention_by_hand():
    """Of N cells with C channels: four matrices C x C, two products of N x N, a layer of 2 x 32."""
    C, N, hidden = 16, 32, 32
    attention, layer = 4 * C * C * N + 2 * C * N * N, 2 * C * hidden * N
    own = nn.MultiheadAttention(C, 2, batch_first=True)
    alone = networks.Expression(lambda x, a: a(*[x.flatten(1, 2)] * 3, need_weights=False)[0], own)
    assert count(alone, (2, 16, 16))[1] == attention
    whole = nn.TransformerEncoderLayer(C, 2, hidden, batch_first=True)
    network = networks.Expression(lambda x, layer: layer(x.flatten(1, 2)), whole)
    assert torch.backends.mha.get_fastpath_enabled()
    assert count(network, (2, 16, 16))[1] == attention + layer
    assert torch.backends.mha.get_fastpath_enabled()


def test_a_branch_that_begins_closed_and_the_study_s_networks_are_alive():
    closed = nn.Conv2d(1, 1, 1)
    nn.init.zeros_(closed.weight)
    network = networks.Expression(
        lambda x, conv, gate: x + gate(conv(x)), nn.Conv2d(1, 1, 3), closed
    )
    network.expression = lambda x, conv, gate: x[:, :, 1:-1, 1:-1] + gate(conv(x))
    before = [p.detach().clone() for p in network.parameters()]
    assert live(network, (1, 8, 8)) == count(network, (1, 8, 8))[0]
    assert all(torch.equal(p, b) for p, b in zip(network.parameters(), before, strict=True))
    for norm in ("batch", "group", "none"):
        for settings in (networks.UNET, networks.FRACTAL):
            network = build_model(settings | {"norm": norm})
            found = liveness(network, (1, 16, 16))
            assert found.params == count(network, (1, 16, 16))[0]
            assert not dead_parts(found)
            require_live("it", found)


def test_few_dead_parameters_are_named():
    """The mean of a field is real: the imaginary part of each layer's R(0) has no effect."""
    settings = FNO | {"input_shape": [1, 16, 16], "width": 4, "modes": 6, "hidden": 8}
    network = build_model(settings)
    found = liveness(network, (1, 16, 16))
    assert found.dead_params == {f"layers.{layer}.spectral.low": 4 * 4 for layer in range(4)}
    require_live("fno", found)
    assert dead_parts(found).startswith("64 (0.68%) of its parameters, in layers.0.spectral,")
