"""Samples of activations that are far enough apart in time and space to count as independent.

    R(tau) = sum_t <a_t a_{t+tau}> / sqrt(sum_t <a_t^2> sum_t <a_{t+tau}^2>),   t, t + tau in 0..T-1
    R(delta) = <a(x) a(x + delta)> / <a^2>,                                     periodic in x

where <> is the mean over trajectories, space and channels, and of frames too in R(delta). The
anomaly a is about the mean *field*, over trajectories and frames at each cell: a forced flow keeps
its mean profile for ever, so that about one mean number it would never decorrelate, though its
fluctuations do; a profile that all samples share makes none of them depend on another. Both sums
of the norm go over the lag's own frames, so that a flow which only decays keeps R = 1.

The decorrelation time and length are the first lags where R falls below a threshold. A sample is
a patch: the square of one cell of the network's coarsest level, in whatever resolution a site has.
One side for all data, since the dimension of a patch grows with its size; only the spacing follows
the flow.

n samples, F frames, T time, C channel, N x N space, D = C side^2.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from chimera.interface.errors import InapplicableError, InputError
from chimera.probes.common.activations import capture, site_names

# With fewer samples a probe withholds what it would estimate from them.
MIN_SAMPLES = 200

_Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Decorrelation:
    """First lags at which a flow's autocorrelation lies below the threshold.

    Attributes:
        time: In frames; T where no lag within a trajectory is long enough.
        length: In cells, the longer of both directions; N where half the square is too short.
    """

    time: int
    length: int


def decorrelation(trajectories: Tensor, threshold: float = 0.2) -> Decorrelation:
    """Measure how far apart samples of a flow have to be.

    Args:
        trajectories: Frames (n, T, C, N, N) on a periodic square, n or T above 1.
        threshold: Of the autocorrelation, above 0 and below 1.

    Raises:
        InputError: If the shape is another, a frame is not finite, all frames are equal, or the
            threshold lies outside.

    Example:
        >>> decorrelation(torch.randn(4, 5, 1, 8, 8))  # white noise
        Decorrelation(time=1, length=1)
    """
    if not 0 < threshold < 1:
        raise InputError(f"the autocorrelation's threshold is {threshold}, expected 0 < ... < 1")
    time, rows, columns = autocorrelations(trajectories)
    length = max(_first_below(rows, threshold), _first_below(columns, threshold))
    T, N = trajectories.shape[1], trajectories.shape[-1]
    return Decorrelation(
        time=min(_first_below(time, threshold), T),
        length=length if length < len(rows) else N,
    )


def autocorrelations(trajectories: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return R(tau) (T,), and R(delta) along rows and along columns, (N // 2 + 1,) each, float64.

    Args:
        trajectories: Frames (n, T, C, N, N).

    Raises:
        InputError: As for `decorrelation`.

    Example:
        >>> wave = torch.cos(2 * torch.pi * torch.arange(8) / 8).expand(8, 8)
        >>> flips = torch.stack([wave, -wave])[None, :, None]
        >>> [R.numpy().round(6).tolist() for R in autocorrelations(flips)]
        [[1.0, -1.0], [1.0, 1.0, 1.0, 1.0, 1.0], [1.0, 0.707107, 0.0, -0.707107, -1.0]]
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


def _first_below(correlation: Tensor, threshold: float) -> int:
    """Return the first lag below the threshold, the number of lags where there is none."""
    below = (correlation < threshold).nonzero()
    return int(below[0]) if len(below) else len(correlation)


@dataclass(frozen=True)
class Samples:
    """Where samples lie: patches of frames of trajectories, in the order of these.

    Attributes:
        trajectory: (n,), which also labels the blocks of every shuffle and bootstrap.
        frame: (n,).
        row: First row of the patch, in cells of the field, (n,).
        column: First column, (n,). A patch may reach over the periodic edge.
        side: Of a patch, in cells of the field.
        num_points: N of the field.
        decorrelation: By which the samples are spaced.
    """

    trajectory: _Integers
    frame: _Integers
    row: _Integers
    column: _Integers
    side: int
    num_points: int
    decorrelation: Decorrelation

    def __len__(self) -> int:
        """Return n, the effective number of samples."""
        return len(self.trajectory)

    def frames(self) -> _Integers:
        """Return the trajectory and the frame of every frame that holds samples, (F, 2), sorted."""
        return np.unique(np.stack([self.trajectory, self.frame], axis=1), axis=0)

    def take(self, chosen: _Integers | NDArray[np.bool_]) -> "Samples":
        """Return some of the samples, by index or mask."""
        names = ("trajectory", "frame", "row", "column")
        return replace(self, **{name: getattr(self, name)[chosen] for name in names})


def draw_samples(
    trajectories: Tensor,
    side: int,
    rng: np.random.Generator,
    threshold: float = 0.2,
    following: int = 1,
) -> Samples:
    """Place as many samples as the decorrelation of the flow leaves room for.

    Frames of a trajectory are the decorrelation time apart, from an offset drawn for each; patches
    of a frame form a square lattice, the decorrelation length apart or the next multiple of `side`
    above it, shifted by a multiple of `side` drawn for each frame. A flow that does not decorrelate
    within a trajectory gives one frame of each (`decorrelation.time` is T then).

    Args:
        trajectories: Frames (n, T, C, N, N).
        side: Of a patch in cells; the coarsest cell of the network, `coarsest_cell`.
        rng: Draws offsets and shifts.
        threshold: Of the autocorrelation.
        following: Frames of the trajectory that have to follow each sample, such as its target.

    Raises:
        InputError: As for `decorrelation`, or if a patch does not fit into the square or a frame
            with its followers into the trajectory.

    Example:
        >>> noise = torch.randn(2, 5, 1, 16, 16)
        >>> samples = draw_samples(noise, side=8, rng=np.random.default_rng(0))
        >>> len(samples), samples.decorrelation  # 2 trajectories, 4 frames, 2 x 2 patches
        (32, Decorrelation(time=1, length=1))
    """
    found = decorrelation(trajectories, threshold)
    n, T, N = len(trajectories), trajectories.shape[1] - following, trajectories.shape[-1]
    if T < 1 or not 1 <= side <= N or N % side:
        raise InapplicableError(
            f"samples have patches of {side} cells and {following} following frames in "
            f"trajectories of {T + following} frames of {N} x {N} cells, expected a divisor of "
            f"{N} and fewer following frames than there are"
        )
    per_trajectory = 1 + (T - 1) // found.time
    offset = rng.integers(T - (per_trajectory - 1) * found.time, size=(n, 1))
    frame = offset + found.time * np.arange(per_trajectory)  # (n, frames)
    spacing = side * -(-found.length // side)
    lattice = spacing * np.arange(max(1, N // spacing))
    shift = side * rng.integers(N // side, size=(2, *frame.shape, 1))
    row, column = (lattice + shift) % N  # (n, frames, patches along one axis)
    shape = (*frame.shape, len(lattice), len(lattice))
    return Samples(
        trajectory=np.broadcast_to(np.arange(n)[:, None, None, None], shape).ravel(),
        frame=np.broadcast_to(frame[:, :, None, None], shape).ravel(),
        row=np.broadcast_to(row[:, :, :, None], shape).ravel(),
        column=np.broadcast_to(column[:, :, None, :], shape).ravel(),
        side=side,
        num_points=N,
        decorrelation=found,
    )


def thin(samples: Samples, largest: int, rng: np.random.Generator) -> Samples:
    """Keep at most `largest` samples, drawn evenly, in their order.

    Example:
        >>> noise, rng = torch.randn(2, 5, 1, 16, 16), np.random.default_rng(0)
        >>> len(thin(draw_samples(noise, 8, rng), 10, rng))
        10
    """
    if len(samples) <= largest:
        return samples
    return samples.take(np.sort(rng.permutation(len(samples))[:largest]))


def gather_patches(activation: Tensor, samples: Samples) -> Tensor:
    """Cut the samples out of an activation, each the patch over its square of the field.

    Args:
        activation: (F, C, H, H) of the frames `samples.frames()`, in that order. A patch of `side`
            cells of the field's N has side * H / N here, and one at least.
        samples: Which patches.

    Returns:
        (n, D) with D = C * (cells of a side)^2, in the order of the samples.

    Raises:
        InputError: If the activation is not square or of another number of frames.

    Example:
        >>> noise = torch.randn(2, 5, 1, 16, 16)
        >>> samples = draw_samples(noise, 8, np.random.default_rng(0))
        >>> gather_patches(torch.randn(len(samples.frames()), 6, 4, 4), samples).shape
        torch.Size([32, 24])
    """
    frames, index = np.unique(
        np.stack([samples.trajectory, samples.frame], axis=1), axis=0, return_inverse=True
    )
    if activation.dim() != 4 or activation.shape[2] != activation.shape[3]:
        raise InapplicableError(
            f"an activation has shape {tuple(activation.shape)}, expected (F, C, H, H)"
        )
    if len(activation) != len(frames):
        raise InputError(
            f"an activation holds {len(activation)} frames, expected the {len(frames)} frames that "
            "hold samples"
        )
    H, N = activation.shape[-1], samples.num_points
    within = np.arange(max(1, samples.side * H // N))
    row, column = ((at[:, None] * H // N + within) % H for at in (samples.row, samples.column))
    of, rows, columns = (
        torch.from_numpy(i).to(activation.device)
        for i in (index.reshape(-1, 1, 1), row[:, :, None], column[:, None, :])
    )
    return activation[of, :, rows, columns].movedim(-1, 1).flatten(1)  # (n, C, s, s) to (n, D)


def gather_frames(trajectories: Tensor, samples: Samples, later: int = 0) -> Tensor:
    """Return the frames that hold samples, or those `later` after them, (F, C, N, N).

    Example:
        >>> noise = torch.randn(2, 5, 1, 16, 16)
        >>> samples = draw_samples(noise, 8, np.random.default_rng(0))
        >>> gather_frames(noise, samples, later=1).shape
        torch.Size([8, 1, 16, 16])
    """
    trajectory, frame = torch.from_numpy(samples.frames()).to(trajectories.device).T
    return trajectories[trajectory, frame + later]


def site_patches(
    network: nn.Module,
    sites: Iterable[str],
    trajectories: Tensor,
    samples: Samples,
    batch_size: int = 32,
) -> dict[str, Tensor]:
    """Run the network on the frames that hold samples and cut these out of its sites.

    Args:
        network: From (B, C, N, N).
        sites: Names of its sites.
        trajectories: Frames (n, T, C, N, N), in the network's units.
        samples: Which patches.
        batch_size: Frames at once.

    Returns:
        For each site (n, D) with a D of its own, in the order of the samples.

    Raises:
        InputError: If a site does not exist or an activation is not finite.

    Example:
        >>> network = nn.Sequential(nn.Conv2d(1, 3, 1), nn.Identity())
        >>> noise = torch.randn(2, 5, 1, 16, 16)
        >>> samples = draw_samples(noise, 8, np.random.default_rng(0))
        >>> site_patches(network, ["1"], noise, samples)["1"].shape
        torch.Size([32, 192])
    """
    names = list(sites)
    parts: dict[str, list[Tensor]] = {name: [] for name in names}
    order = []
    for index, batch in _batches(samples, batch_size):
        activations = capture(network, names, gather_frames(trajectories, batch))
        for name in names:
            parts[name].append(gather_patches(activations[name], batch))
        order.append(index)
    back = torch.from_numpy(np.argsort(np.concatenate(order)))
    return {name: torch.cat(patches)[back.to(patches[0].device)] for name, patches in parts.items()}


def _batches(samples: Samples, batch_size: int) -> Iterator[tuple[_Integers, Samples]]:
    """Split samples by their frames, with the indices of those in each part."""
    pairs = np.stack([samples.trajectory, samples.frame], axis=1)
    index = np.unique(pairs, axis=0, return_inverse=True)[1].ravel()
    for first in range(0, int(index.max()) + 1, batch_size):
        chosen = np.flatnonzero((first <= index) & (index < first + batch_size))
        yield chosen, samples.take(chosen)


def coarsest_cell(network: nn.Module, frame: Tensor) -> int:
    """Return how many cells of the field one cell of the network's coarsest site spans.

    Args:
        network: From (B, C, N, N), with sites.
        frame: One frame (C, N, N).

    Raises:
        InputError: If an activation is not finite.

    Example:
        >>> coarsest_cell(nn.Sequential(nn.MaxPool2d(4), nn.Identity()), torch.zeros(1, 16, 16))
        4
    """
    activations = capture(network, site_names(network), frame[None])
    return max(frame.shape[-1] // activation.shape[-1] for activation in activations.values())
