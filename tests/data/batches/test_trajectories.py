"""Batches are functions of their number, and every window comes once an epoch."""

import pytest
import torch

from chimera.data.batches.trajectories import Form, Windows
from chimera.interface.errors import InputError


def numbered(n=4, T=7):
    """Return frames (n, T, 1, 2, 2) whose value names trajectory and frame: 10 n + t."""
    value = 10 * torch.arange(n)[:, None] + torch.arange(T)
    return value[:, :, None, None, None].expand(n, T, 1, 2, 2).float()


@pytest.mark.parametrize("length", [2, 4])
def test_every_window_comes_once_an_epoch(length):
    windows, count = Windows(numbered(), Form(length, 3, (1, 2))), 4 * (7 - length + 1)
    starts = torch.cat([windows.batch(k)[:, 0, 0, 0, 0] for k in range(2 * count)])
    for epoch in starts[: 6 * count].split(count):
        assert len(epoch.unique()) == count


def test_windows_are_consecutive_frames_of_one_trajectory():
    windows = Windows(numbered(), Form(3, 5, (0,)))
    for k in range(8):
        value = windows.batch(k)[..., 0, 0, 0]
        assert torch.equal(value, value[:, :1] + torch.arange(3))
        assert torch.equal(value // 10, (value[:, :1] // 10).expand(-1, 3))


def test_batches_depend_on_entropy_and_number_alone():
    one, other = Windows(numbered(), Form(2, 5, (3, 1))), Windows(numbered(), Form(2, 5, (3, 1)))
    backwards = [other.batch(k) for k in reversed(range(12))][::-1]
    assert all(torch.equal(one.batch(k), backwards[k]) for k in range(12))
    elsewhere = Windows(numbered(), Form(2, 5, (3, 2)))
    assert not all(torch.equal(one.batch(k), elsewhere.batch(k)) for k in range(3))
    epochs = [torch.cat([one.batch(k) for k in range(s, s + 4)]) for s in (0, 4)]
    assert not torch.equal(*epochs)


def test_a_batch_larger_than_an_epoch_goes_on_into_the_next():
    windows = Windows(numbered(n=1, T=4), Form(2, 8, (0,)))  # three windows an epoch
    starts = torch.cat([windows.batch(k)[:, 0, 0, 0, 0] for k in range(3)])
    for epoch in starts.split(3):
        assert sorted(epoch.tolist()) == [0.0, 1.0, 2.0]


def test_trajectories_shorter_than_a_window_are_refused():
    with pytest.raises(InputError, match="have 7 frames, expected at least 8"):
        Windows(numbered(), Form(8, 1, (0,)))
