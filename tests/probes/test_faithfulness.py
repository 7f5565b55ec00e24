"""Scores of interventions against hand counts, and the control for dormant pathways."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from chimera.models.networks.site import Site
from chimera.probes.common.effects import Exchange, share_along
from chimera.probes.patching.faithfulness import beside_leading, score


def wave(k, count=1):
    x = 2 * math.pi * torch.arange(16, dtype=torch.float64) / 16
    return torch.cos(k * x)[None, None, :, None].expand(count, 1, 16, 16).clone()


def found(moved, wanted):
    return score(moved, wanted, np.random.default_rng(0))


def test_nothing_half_and_all_of_what_is_wanted():
    wanted = torch.cat([wave(1), 2 * wave(3), wave(5)])
    for part, faithful in ((0.0, 0.0), (0.5, 0.75), (1.0, 1.0), (2.0, 0.0), (-1.0, 0.0)):
        result = found(part * wanted, wanted)
        assert result.transfer[0] == pytest.approx(part)
        assert result.faithfulness[0] == pytest.approx(faithful, abs=1e-12)


def test_what_is_moved_beside_the_wanted_change_counts_against_it():
    """d = w + e with e orthogonal to w: all of w arrives, and 1 - ||e||^2 / ||w||^2 is left."""
    wanted = wave(1, count=4)
    result = found(wanted + 0.5 * wave(6, count=4), wanted)
    assert result.transfer[0] == pytest.approx(1.0)
    assert result.faithfulness[0] == pytest.approx(0.75)
    # Wavenumber 1 is in the low band (|m| < 2), and 6 in the high one, where nothing is wanted.
    assert result.faithfulness[1:] == pytest.approx([1.0, 0.0, 0.0])


def test_the_null_knows_what_all_pairs_have_in_common():
    """Three orthogonal changes: of 6 orders one has the sum 3 ||w||^2, three have one fixed point,
    two none. These two are the null, in which nothing that is moved is wanted."""
    own = torch.cat([wave(1), wave(3), wave(5)])
    result = found(own, own)
    assert result.p == pytest.approx(1 / 6, abs=0.04)
    assert result.null == 0.0
    common = found(wave(1, count=3), wave(1, count=3))
    assert common.faithfulness[0] == common.null == common.p == 1.0
    assert found(0 * own, own).p == 1.0


class TwoChannels(nn.Module):
    """A site of two channels, in the ratio of 10 to 1, of which the head reads one."""

    def __init__(self, read):
        super().__init__()
        self.site, self.read = Site(), read

    def forward(self, x):
        large, small = x, 0.1 * x.flip(-1)
        return self.site(torch.cat([large, small], dim=1))[:, self.read : self.read + 1]


@pytest.mark.parametrize(("read", "complement"), [(0, 0.0), (1, 1.0)])
def test_a_dormant_pathway_acts_beside_its_leading_direction(read, complement):
    """The larger channel holds 100 / 101 of the squared difference, and so is the leading one."""
    donor, recipient = torch.randn(2, 4, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    exchange = Exchange(TwoChannels(read), donor, recipient, ["site"])
    rest = share_along(exchange.moved(["site"], beside_leading), exchange.difference)
    # The two channels are nearly orthogonal over cells: the direction is tilted by about 1/1000.
    torch.testing.assert_close(rest, torch.full((4,), complement).double(), rtol=0, atol=0.05)
    both = exchange.moved(["site"])
    torch.testing.assert_close(share_along(both, exchange.difference), torch.ones(4).double())
