"""A forecast that fails, and the samples by which its repair is judged.

An edit that only memorised its target is found out by later frames of the same flow and by other
flows of the same regime; one that harms what worked, by IND samples that it never saw. Frames of a
flow are taken a decorrelation time apart, so that none is nearly a copy of another.

n trajectories, T time, B batch, C channel, H, W space.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from chimera.interface.errors import InapplicableError
from chimera.probes.common.activations import evaluation_mode


@dataclass(frozen=True)
class Pairs:
    """Inputs (B, C, H, W) of a network and the outputs it should give, of the same shape."""

    inputs: Tensor
    targets: Tensor


@dataclass(frozen=True)
class Failure:
    """One failing forecast, and what an edit that repairs it is judged by.

    `reference` are IND samples of which C is made, `preserved` those of the preservation term,
    `held_out` IND samples of other trajectories, for specificity.
    """

    target: Pairs
    later: Pairs
    others: Pairs
    reference: Pairs
    preserved: Pairs
    held_out: Pairs


def choose_failure(
    model: nn.Module, ind: Tensor, ood: Tensor, gap: int, num_preserved: int = 8
) -> Failure:
    """Take the worst forecast from the first frames of an OOD set, with all that judges a repair.

    The network forecasts the increment of a frame (chimera.models.forecasting.stepping). The worst
    is that of the largest error relative to the next frame, among frames that `gap` others follow.
    Half of the IND trajectories serve C and the preservation term, the other half the specificity.

    Args:
        model: From (B, C, H, W) to the increment, in normalised units.
        ind: Normalised frames (n, T, C, H, W) of n >= 2 trajectories.
        ood: Normalised frames (m, T, C, H, W) of m >= 2 trajectories.
        gap: Decorrelation time in frames: between the failure and its later frames, and between
            the frames taken of a trajectory.
        num_preserved: Samples in the preservation term.

    Raises:
        InputError: If there are too few trajectories or frames.

    Example:
        >>> flows = torch.randn(2, 4, 8, 1, 8, 8)
        >>> failure = choose_failure(nn.Conv2d(1, 1, 1), flows[0], flows[1], gap=3)
        >>> failure.target.inputs.shape, len(failure.others.inputs)
        (torch.Size([1, 1, 8, 8]), 9)
    """
    fewest, shortest = min(len(ind), len(ood)), min(ind.shape[1], ood.shape[1])
    if fewest < 2 or not 1 <= gap <= shortest - 2:
        raise InapplicableError(
            f"an edit has {fewest} trajectories of {shortest} frames with a gap of {gap}, expected "
            "two trajectories or more, and a gap of 1 up to the frames less 2"
        )
    last = ood.shape[1] - 1 - gap
    early = _increments(ood[:, : last + 1])
    with evaluation_mode(model):
        error = error_norms(model, early.inputs, early.targets)
    relative = error / _norms(early.inputs + early.targets)
    trajectory, frame = divmod(int(relative.argmax()), last)
    own, rest = ood[trajectory : trajectory + 1], torch.arange(len(ood)) != trajectory
    half = len(ind) // 2
    reference = _increments(ind[:half])
    chosen = torch.linspace(0, len(reference.inputs) - 1, num_preserved).long()
    return Failure(
        target=_increments(own[:, frame : frame + 2]),
        later=_increments(own[:, frame + gap :]),
        others=_increments(ood[rest], gap),
        reference=reference,
        preserved=Pairs(reference.inputs[chosen], reference.targets[chosen]),
        held_out=_increments(ind[half:], gap),
    )


def _increments(trajectories: Tensor, every: int = 1) -> Pairs:
    inputs, following = trajectories[:, :-1:every], trajectories[:, 1::every]
    return Pairs(inputs.flatten(0, 1), (following - inputs).flatten(0, 1))


@torch.no_grad()
def error_norms(model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
    """Return the norm (B,) of the error of each of the network's outputs.

    >>> error_norms(nn.Identity(), torch.zeros(1, 1, 2, 2), torch.ones(1, 1, 2, 2))
    tensor([2.])
    """
    chunks = zip(inputs.split(32), targets.split(32), strict=True)
    return torch.cat([_norms(model(x) - y) for x, y in chunks])


def _norms(fields: Tensor) -> Tensor:
    return fields.flatten(1).norm(dim=1)
