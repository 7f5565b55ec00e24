"""Samples of activations that are far enough apart in time and space to count as independent.

    R(tau) = sum_t <a_t a_{t+tau}> / sqrt(sum_t <a_t^2> sum_t <a_{t+tau}^2>),   t, t + tau in 0..T-1
    R(delta) = <a(x) a(x + delta)> / <a^2>,                                     periodic in x

where <> is the mean over trajectories, space and channels, in R(delta) over frames too. The anomaly
a is relative to the mean *field* over trajectories and frames at each cell: a forced flow keeps its
mean profile, so that relative to one mean number it would never decorrelate. Where trajectories
have forces of their own, so are their profiles: the mean field given the force, which is linear in
it, takes the place of the mean field. Both sums of the norm run over the lag's own frames, so that
a flow that only decays keeps R = 1.

A sample is a patch: the square of one cell of the network's coarsest level, at the resolution of
each site. Its side is the same for all data, since the dimension of a patch grows with its size;
only the spacing follows the flow.

n samples, F frames, T time, C channel, N x N space, D = C side^2.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from chimera.interface.errors import InapplicableError, InputError, NoSiteError
from chimera.probes.common.activations import capture
from chimera.probes.common.subject import Subject
from chimera.statistics.resampling.samples import Integers

MIN_SAMPLES = 200  # a probe withholds an estimate from fewer


class Decorrelation(NamedTuple):
    """First lags at which a flow's autocorrelation is below the threshold.

    The time is in frames, T if no lag within a trajectory is long enough; the length in cells, the
    longer of both directions, N if half the square is too short.
    """

    time: int
    length: int


def conditional_anomaly(flow: Tensor, conditioning: Tensor) -> Tensor:
    """Return frames (n, T, C, N, N) without what is linear in their conditioning (n, K, N, N).

    Mean fields of trajectories, relative to the mean of all, are fitted by least squares with one
    number for each field and channel of the conditioning, whose own mean is subtracted.
    """
    own, given = (x.double() - x.double().mean(dim=0) for x in (flow.mean(dim=1), conditioning))
    products = torch.einsum("nkij,nlij->kl", given, given)
    response = torch.linalg.pinv(products) @ torch.einsum("nkij,ncij->kc", given, own)
    profile = torch.einsum("kc,nkij->ncij", response, given)
    return flow - profile[:, None].to(flow.dtype)


def decorrelation(trajectories: Tensor, threshold: float = 0.2) -> Decorrelation:
    """Return the lags at which frames (n, T, C, N, N) on a periodic square decorrelate.

    Another shape, a frame that is not finite, or frames that are all equal are an InputError.
    """
    lags = autocorrelations(trajectories)
    below = [(correlation < threshold).nonzero() for correlation in lags]
    time, *lengths = (int(b[0]) if len(b) else len(c) for b, c in zip(below, lags, strict=True))
    length = max(lengths)
    return Decorrelation(time, length if length < len(lags[1]) else trajectories.shape[-1])


def autocorrelations(trajectories: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return R(tau) (T,), and R(delta) along rows and along columns, (N // 2 + 1,) each, float64.

    Frames (n, T, C, N, N) and errors as for `decorrelation`.
    """
    if trajectories.dim() != 5 or trajectories.shape[-1] != trajectories.shape[-2]:
        raise InapplicableError(
            f"trajectories have shape {tuple(trajectories.shape)}, expected (n, T, C, N, N)"
        )
    if not torch.isfinite(trajectories).all():
        raise InputError("trajectories hold NaN or infinite values, expected finite ones")
    T, N = trajectories.shape[1], trajectories.shape[-1]
    mean = trajectories.mean(dim=(0, 1), dtype=torch.float64)
    frames = torch.zeros(T, T, dtype=torch.float64, device=mean.device)
    power = [torch.zeros(N // 2 + 1, dtype=torch.float64, device=mean.device) for _ in range(2)]
    for trajectory in trajectories:  # one at a time, in float64
        anomaly = trajectory - mean
        flat = anomaly.flatten(1)
        frames += flat @ flat.T
        for axis, sums in zip((-2, -1), power, strict=True):
            anomaly_hat = torch.fft.rfft(anomaly, dim=axis).movedim(axis, -1)
            sums += anomaly_hat.abs().square().flatten(0, -2).sum(dim=0)
    if not frames.any():
        raise InputError("all frames of the trajectories are equal, expected a flow that varies")
    energy = frames.diagonal()
    norms = [(energy[: T - lag].sum() * energy[lag:].sum()).sqrt() for lag in range(T)]
    time = torch.stack([frames.diagonal(lag).sum() / norms[lag] for lag in range(T)])
    rows, columns = (torch.fft.irfft(sums, n=N)[: N // 2 + 1] for sums in power)
    return time, rows / rows[0], columns / columns[0]


@dataclass(frozen=True)
class Samples:
    """Positions of samples, which are patches of `side` x `side` cells of frames of trajectories.

    Trajectory, frame and the patch's first row and column are (n,) each; a patch may extend across
    the periodic edge of the field of `num_points` squared cells.
    """

    trajectory: Integers
    frame: Integers
    row: Integers
    column: Integers
    side: int
    num_points: int
    decorrelation: Decorrelation

    def __len__(self) -> int:
        """Return n, the effective number of samples."""
        return len(self.trajectory)

    def frames(self) -> tuple[Integers, Integers]:
        """Return trajectory and frame of every frame with samples, (F, 2), and each sample's, (n,).

        The frames are sorted; a sample's is an index into them.
        """
        places = np.stack([self.trajectory, self.frame], axis=1)
        frames, index = np.unique(places, axis=0, return_inverse=True)
        return frames, index.ravel()

    def take(self, chosen: Integers) -> "Samples":
        """Return some of the samples, by index."""
        names = ("trajectory", "frame", "row", "column")
        return replace(self, **{name: getattr(self, name)[chosen] for name in names})


def draw_samples(
    trajectories: Tensor, side: int, rng: np.random.Generator, threshold: float = 0.2
) -> Samples:
    """Place as many samples as the decorrelation of the flow allows.

    Frames of a trajectory are the decorrelation time apart, from an offset drawn for each; patches
    of a frame form a square lattice, the decorrelation length apart or the next multiple of `side`
    above it, shifted by a multiple of `side` drawn for each frame. A flow that does not decorrelate
    within a trajectory gives one frame of each.

    Trajectories are frames (n, T, C, N, N), of which the last only follows a sample, as its target;
    the side of a patch, in cells, is from `coarsest_cell`. Errors are those of `decorrelation`, and
    one if a patch does not fit into the square or a frame with its follower into the trajectory.
    """
    found = decorrelation(trajectories, threshold)
    n, T, N = len(trajectories), trajectories.shape[1] - 1, trajectories.shape[-1]
    if T < 1 or not 1 <= side <= N or N % side:
        raise InapplicableError(
            f"samples have patches of {side} cells in trajectories of {T + 1} frames of {N} x {N} "
            f"cells, expected a divisor of {N} and two frames or more"
        )
    per_trajectory = 1 + (T - 1) // found.time
    offset = rng.integers(T - (per_trajectory - 1) * found.time, size=(n, 1))
    frame = offset + found.time * np.arange(per_trajectory)  # (n, frames)
    spacing = side * -(-found.length // side)
    lattice = spacing * np.arange(max(1, N // spacing))
    shift = side * rng.integers(N // side, size=(2, *frame.shape, 1))
    row, column = (lattice + shift) % N  # (n, frames, patches along one axis)
    axes = np.arange(n)[:, None, None, None], frame[..., None, None], row[..., None]
    places = np.broadcast_arrays(*axes, column[:, :, None, :])
    trajectory, frame, row, column = (place.ravel() for place in places)
    return Samples(trajectory, frame, row, column, side, N, found)


def thin(samples: Samples, largest: int, rng: np.random.Generator) -> Samples:
    """Keep at most `largest` samples, drawn at random, in their order."""
    if len(samples) <= largest:
        return samples
    return samples.take(np.sort(rng.permutation(len(samples))[:largest]))


def gather_patches(activation: Tensor, samples: Samples) -> Tensor:
    """Return the patch of an activation over each sample's square of the field, (n, D).

    The activation is (F, C, H, H) of the frames `samples.frames()`, in that order; another shape is
    an InapplicableError. A patch has side * H / N cells along each axis, at least one.
    """
    frames, index = samples.frames()
    shape, F = tuple(activation.shape), len(frames)
    if len(shape) != 4 or shape[2] != shape[3] or shape[0] != F:
        raise InapplicableError(f"activations have shape {shape}, expected ({F}, C, H, H)")
    H, N = activation.shape[-1], samples.num_points
    within = np.arange(max(1, samples.side * H // N))
    row, column = ((at[:, None] * H // N + within) % H for at in (samples.row, samples.column))
    places = index[:, None, None], row[:, :, None], column[:, None, :]
    frame, rows, columns = (torch.from_numpy(at).to(activation.device) for at in places)
    return activation[frame, :, rows, columns].movedim(-1, 1).flatten(1)  # (n, C, s, s) to (n, D)


def gather_frames(trajectories: Tensor, samples: Samples, later: int = 0) -> Tensor:
    """Return the frames that hold samples, or those `later` after them, (F, C, N, N)."""
    trajectory, frame = torch.from_numpy(samples.frames()[0]).to(trajectories.device).T
    return trajectories[trajectory, frame + later]


def draw_subject(
    subject: Subject, axis: str, rng: np.random.Generator, threshold: float
) -> Samples:
    """Return the samples of an axis, see `draw_samples`; NoSiteError as for `coarsest_cell`."""
    frame = subject.trajectories["ind"][0, 0]
    side = coarsest_cell(subject.network, subject.require_sites(), frame)
    anomaly = conditional_anomaly(subject.flow(axis), subject.conditioning(axis))
    return draw_samples(anomaly, side, rng, threshold)


def all_patches(
    subject: Subject, axis: str, sites: Iterable[str], samples: Samples, batch_size: int = 32
) -> dict[str, Tensor]:
    """Return the patches (n, D) of the `input`, of every site, and of the increment, `target`.

    The input and the increment are those of the newest fields.
    """
    flow, frames = subject.flow(axis), subject.trajectories[axis]
    parts: dict[str, list[Tensor]] = {name: [] for name in ("input", *sites, "target")}
    batch = samples.frames()[1] // batch_size
    for chosen in np.split(np.arange(len(samples)), np.flatnonzero(np.diff(batch)) + 1):
        part = samples.take(chosen)
        now, later = gather_frames(flow, part), gather_frames(flow, part, later=1)
        activations = capture(subject.network, sites, gather_frames(frames, part))
        for name, field in {"input": now, **activations, "target": later - now}.items():
            parts[name].append(gather_patches(field, part))
    return {name: torch.cat(patches) for name, patches in parts.items()}


def coarsest_cell(network: nn.Module, sites: Iterable[str], frame: Tensor) -> int:
    """Return the number of the field's cells along one cell of the coarsest of the sites.

    The network is run on one frame (C, N, N). It is a NoSiteError if the cells of a site are no
    squares of the field's.
    """
    cells, N = [], frame.shape[-1]
    for name, activation in capture(network, sites, frame[None]).items():
        shape = tuple(activation.shape)
        if len(shape) != 4 or shape[2] != shape[3] or N % shape[3]:
            expected = f"(1, C, H, H) with a divisor H of {N}"
            raise NoSiteError(f"site {name!r} has activations {shape}, expected {expected}")
        cells.append(N // shape[3])
    return max(cells)
