"""A failing forecast, and the samples that judge its repair.

Later frames of the same flow and other flows of the same regime show whether an edit only memorised
its target; unseen IND samples show whether it does harm. Frames of a flow are a decorrelation time
apart, so that none is nearly a copy of another.

n trajectories, T time, B batch, C channel, H, W space.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from chimera.interface.errors import InapplicableError
from chimera.probes.common.activations import evaluation_mode


@dataclass(frozen=True)
class Pairs:
    """Inputs (B, C, H, W) of a network and its target outputs, of the same shape."""

    inputs: Tensor
    targets: Tensor


@dataclass(frozen=True)
class Failure:
    """One failing forecast (`target`) and the samples that judge its repair.

    `later` are later frames of its trajectory and `others` other OOD trajectories; `reference` are
    the IND samples for C, `preserved` those of the preservation term, and `held_out` IND samples of
    other trajectories.
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
    """Return the worst forecast of an OOD set, with the samples that judge its repair.

    The worst forecast has the largest error relative to the next frame, among frames that at least
    `gap` others follow. Half of the IND trajectories are for C and the preservation term, the other
    half is held out.

    The model maps normalised frames (B, C, H, W) to their increment; both sets are trajectories of
    such frames (n, T, C, H, W), n >= 2. The gap is a decorrelation time in frames, from the failure
    to its later frames and between the frames of another trajectory.

    Raises:
        InputError: If there are too few trajectories or frames.
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
    """Return the norm (B,) of the error of each output."""
    chunks = zip(inputs.split(32), targets.split(32), strict=True)
    return torch.cat([_norms(model(x) - y) for x, y in chunks])


def _norms(fields: Tensor) -> Tensor:
    return fields.flatten(1).norm(dim=1)
