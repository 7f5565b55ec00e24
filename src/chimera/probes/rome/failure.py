"""A failing forecast, and the samples that judge its repair.

Later frames of the same flow and other flows of the same regime show whether an edit only memorised
its target; unseen IND samples show whether it does harm. Frames of a flow are a decorrelation time
apart, so that none is nearly a copy of another.

n trajectories, T time, B batch, C fields, K conditioning channels, H, W space.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from chimera.interface.errors import InapplicableError
from chimera.models.forecasting.stepping import evaluation_mode


@dataclass(frozen=True)
class Pairs:
    """Inputs (B, C + K, H, W) of a network and its target outputs (B, C, H, W)."""

    inputs: Tensor
    targets: Tensor


@dataclass(frozen=True)
class Failure:
    """One failing forecast (`target`) and the samples that judge its repair.

    `later` are later frames of its trajectory and `others` other OOD trajectories; `reference` are
    the IND samples for C, `preserved` those of the preservation term, and `held_out` IND samples of
    other trajectories. `elsewhere` has samples of each other OOD axis.
    """

    target: Pairs
    later: Pairs
    others: Pairs
    reference: Pairs
    preserved: Pairs
    held_out: Pairs
    elsewhere: tuple[Pairs, ...] = ()


def choose_failure(
    model: nn.Module,
    ind: Tensor,
    ood: Tensor,
    gap: int,
    num_preserved: int = 8,
    num_fields: int | None = None,
    elsewhere: Sequence[Tensor] = (),
) -> Failure:
    """Return the worst forecast of an OOD set, with the samples that judge its repair.

    The worst forecast has the largest error relative to the next frame, among frames that more
    than `gap` others follow. Half of the IND trajectories are for C and the preservation term, the
    others held out. Of `elsewhere`, the other OOD axes, each trajectory's last two frames count.

    The model maps normalised frames (B, C + K, H, W) to the increment (B, C, H, W) of their fields,
    by default all channels; both sets are trajectories of such frames (n, T, C + K, H, W), n >= 2.
    The gap is a decorrelation time in frames, from the failure to its later frames and between the
    frames of another trajectory. Too few trajectories or frames are an InputError.
    """
    fewest, shortest = min(len(ind), len(ood)), min(ind.shape[1], ood.shape[1])
    if fewest < 2 or not 1 <= gap <= shortest - 2:
        raise InapplicableError(
            f"an edit has {fewest} trajectories of {shortest} frames with a gap of {gap}, expected "
            "two trajectories or more, and a gap of 1 up to the frames less 2"
        )
    last = ood.shape[1] - 1 - gap
    pairs = partial(_increments, num_fields=num_fields)
    early = pairs(ood[:, : last + 1])
    with evaluation_mode(model):
        error = error_norms(model, early.inputs, early.targets)
    relative = error / _norms(early.inputs[:, :num_fields] + early.targets)
    trajectory, frame = divmod(int(relative.argmax()), last)
    own, rest = ood[trajectory : trajectory + 1], torch.arange(len(ood)) != trajectory
    half = len(ind) // 2
    reference = pairs(ind[:half])
    chosen = torch.linspace(0, len(reference.inputs) - 1, num_preserved).long()
    return Failure(
        target=pairs(own[:, frame : frame + 2]),
        later=pairs(own[:, frame + gap :]),
        others=pairs(ood[rest], gap),
        reference=reference,
        preserved=Pairs(reference.inputs[chosen], reference.targets[chosen]),
        held_out=pairs(ind[half:], gap),
        elsewhere=tuple(pairs(axis[:, -2:]) for axis in elsewhere),
    )


def _increments(trajectories: Tensor, every: int = 1, *, num_fields: int | None) -> Pairs:
    inputs, following = trajectories[:, :-1:every], trajectories[:, 1::every]
    targets = (following - inputs)[:, :, :num_fields]
    return Pairs(inputs.flatten(0, 1), targets.flatten(0, 1))


@torch.no_grad()
def error_norms(model: Callable[[Tensor], Tensor], inputs: Tensor, targets: Tensor) -> Tensor:
    """Return the norm (B,) of the error of each output."""
    chunks = zip(inputs.split(32), targets.split(32), strict=True)
    return torch.cat([_norms(model(x) - y) for x, y in chunks])


def _norms(fields: Tensor) -> Tensor:
    return fields.flatten(1).norm(dim=1)
