"""The worst forecast, and samples that judge its repair and share no frame with it."""

import pytest
import torch
from torch import nn

from chimera.interface.errors import InputError
from chimera.probes.rome.failure import choose_failure, error_norms


class NoChange(nn.Module):
    """Persistence: forecasts an increment of zero."""

    def forward(self, x):
        return torch.zeros_like(x)


def frames(count, length, first):
    """Constant fields that grow by 1 a frame, and hold their trajectory in the thousands."""
    value = torch.arange(length)[None, :] + 1000.0 * (first + torch.arange(count))[:, None]
    return value[:, :, None, None, None].expand(count, length, 1, 4, 4).clone()


def numbers(fields):
    return fields[:, 0, 0, 0].tolist()


def test_failure_and_its_judges():
    ind, ood = frames(4, 10, first=1), frames(3, 10, first=11)
    ood[1, 4] -= 12000  # forecasting frame 4 from frame 3 of trajectory 12 fails
    ood[1, 8] -= 12003  # so does frame 8, even worse, but too few frames follow
    elsewhere = [frames(2, 5, first=21)]
    failure = choose_failure(NoChange(), ind, ood, 3, num_preserved=2, elsewhere=elsewhere)
    assert numbers(failure.target.inputs) == [12003]
    assert numbers(failure.target.targets) == [4 - 12003]
    assert numbers(failure.later.inputs) == [12006, 12007, 5]
    assert numbers(failure.others.inputs) == [11000, 11003, 11006, 13000, 13003, 13006]
    assert numbers(failure.others.targets) == [1.0] * 6
    assert numbers(failure.reference.inputs) == [1000.0 + t for t in range(9)] + [
        2000.0 + t for t in range(9)
    ]
    assert numbers(failure.preserved.inputs) == [1000, 2008]
    assert [numbers(pairs.inputs) for pairs in failure.elsewhere] == [[21003, 22003]]
    assert numbers(failure.held_out.inputs) == [3000, 3003, 3006, 4000, 4003, 4006]


@pytest.mark.parametrize(("count", "gap"), [(1, 3), (3, 0), (3, 9)])
def test_too_little_to_judge_by(count, gap):
    with pytest.raises(InputError, match=rf"{count} trajectories of 10 frames with a gap of {gap}"):
        choose_failure(NoChange(), frames(4, 10, 0), frames(count, 10, 0), gap)


def test_error_norms_are_per_sample():
    x = torch.ones(70, 1, 2, 2)  # more than one chunk
    y = torch.arange(70.0)[:, None, None, None].expand_as(x)
    expected = 2 * torch.arange(70.0)  # sqrt(4 cells) times the value
    torch.testing.assert_close(error_norms(NoChange(), x, y), expected)
