"""Trajectories of one regime, each from its own seed, simulated on every core.

Trajectory i of a split has the generator SeedSequence(entropy, spawn_key=(i,)), from which its
initial field is drawn and then, in the order of `Drawn`, every parameter that the regime gives as
a distribution. It runs through the warm-up before its first frame. Its bytes depend neither on the
other trajectories nor on the number of processes.
"""

import math
import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from chimera.data.settings import Choice, Dataset, Distribution, Forcing, GeneratedData
from chimera.data.sources.threads import TRANSFORM, on_threads
from chimera.fields.fourier import resample
from chimera.interface.errors import InputError
from chimera.interface.progress import Progress
from chimera.solver import MAX_CFL, KolmogorovForcing, random_vorticity, simulate

# Trajectories simulated at once by one process: few, so that no process is idle at the end.
AT_ONCE = 2
# Points x steps below which a second process takes more time to start than it saves.
_MIN_PARALLEL_WORK = 1e8


@dataclass(frozen=True)
class Regime:
    """A statistical state of the flow, and how it is sampled; see chimera.data.settings."""

    viscosity: float | Distribution[float]
    drag: float | Distribution[float]
    forcing: Forcing | None
    initial_peak: int
    warm_up: float
    max_speed: float
    domain_extent: float
    simulated_points: int
    warm_up_points: int
    num_points: int
    num_frames: int
    frame_interval: float

    @property
    def steps_per_frame(self) -> int:
        """Fewest steps between two frames whose CFL number is stable at max_speed."""
        return self._steps_per_interval(self.simulated_points)

    @property
    def warm_up_parts(self) -> list["WarmUpPart"]:
        """The warm-up: on warm_up_points^2, its last frame interval on simulated_points^2."""
        is_coarse = self.warm_up_points < self.simulated_points
        coarse = max(self.warm_up - self.frame_interval, 0.0) if is_coarse else 0.0
        parts, fine = [], self.warm_up - coarse
        for points, time in ((self.warm_up_points, coarse), (self.simulated_points, fine)):
            steps = self._steps_per_interval(points)
            number = math.ceil(time / self.frame_interval * steps)
            parts.append(WarmUpPart(points, number, self.frame_interval / steps))
        return [part for part in parts if part.num_steps]

    @property
    def num_steps(self) -> int:
        """Steps of a trajectory, warm-up included."""
        warm_up = sum(part.num_steps for part in self.warm_up_parts)
        return warm_up + (self.num_frames - 1) * self.steps_per_frame

    def _steps_per_interval(self, num_points: int) -> int:
        largest = MAX_CFL * self.domain_extent / (num_points * self.max_speed)
        return math.ceil(self.frame_interval / largest)


class WarmUpPart(NamedTuple):
    """A part of the warm-up, on one grid."""

    num_points: int
    num_steps: int
    time_step: float


def regime_of(dataset: Dataset, data: GeneratedData) -> Regime:
    """Return the regime of one dataset of the data config."""
    names = Regime.__dataclass_fields__
    return Regime(**{n: getattr(dataset if hasattr(dataset, n) else data, n) for n in names})


class Drawn(NamedTuple):
    """Parameters of one trajectory; `warm_up_forcing` acts before the first frame."""

    viscosity: float
    drag: float
    warm_up_forcing: KolmogorovForcing | None
    forcing: KolmogorovForcing | None


def draw_trajectory(regime: Regime, entropy: Sequence[int], number: int) -> tuple[Tensor, Drawn]:
    """Return the initial vorticity, on warm_up_points^2, and the parameters of one trajectory."""
    seed = np.random.SeedSequence(tuple(entropy), spawn_key=(number,))
    generator = np.random.default_rng(seed)
    start = random_vorticity(
        generator, regime.warm_up_points, regime.domain_extent, regime.initial_peak
    )
    viscosity, drag = _draw(regime.viscosity, generator), _draw(regime.drag, generator)
    if regime.forcing is None:
        return start, Drawn(viscosity, drag, None, None)
    forcing = KolmogorovForcing(
        _draw(regime.forcing.amplitude, generator),
        int(_draw(regime.forcing.wavenumber, generator)),
        _draw(regime.forcing.angle, generator),
    )
    stored = None if regime.forcing.warm_up_only else forcing
    return start, Drawn(viscosity, drag, forcing, stored)


def _draw(
    value: float | Distribution[float] | Choice[float] | Choice[int], generator: np.random.Generator
) -> float:
    """Return a number as it is, and one draw of a distribution."""
    if not isinstance(value, Distribution | Choice):
        return value
    if value.choice is not None:
        return value.choice[int(generator.integers(len(value.choice)))]
    share = generator.random()
    if value.uniform is not None:
        a, b = value.uniform
        return min(max((1 - share) * a + share * b, a), b)
    a, b = value.log_uniform or (math.nan, math.nan)  # one is given (chimera.data.settings)
    return min(max(math.exp((1 - share) * math.log(a) + share * math.log(b)), a), b)


@on_threads(1)
def simulate_trajectories(
    regime: Regime,
    entropy: Sequence[int],
    numbers: Sequence[int],
    progress: Callable[[int], object] = lambda _: None,
) -> NDArray[np.float32]:
    """Return the vorticity (len(numbers), T, N, N), simulated in this process.

    `entropy`, as (seed, dataset, split), seeds it; `progress` takes the steps since its last call.
    """
    starts, physics = zip(*(draw_trajectory(regime, entropy, n) for n in numbers), strict=True)
    shared: dict[str, Any] = {
        "viscosity": torch.tensor([one.viscosity for one in physics], dtype=torch.float64),
        "drag": torch.tensor([one.drag for one in physics], dtype=torch.float64),
        "domain_extent": regime.domain_extent,
        "progress": progress,
        "names": [f"trajectory {number}" for number in numbers],
    }
    state, time, steps = torch.stack(starts), 0.0, regime.steps_per_frame
    for part in regime.warm_up_parts:
        state = simulate(
            resample(state, part.num_points),
            time_step=part.time_step,
            num_steps=part.num_steps,
            save_every=part.num_steps,
            start_time=time,
            forcing=[one.warm_up_forcing for one in physics],
            **shared,
        )[:, -1]
        time += part.num_steps * part.time_step
    frames = simulate(
        resample(state, regime.simulated_points),
        time_step=regime.frame_interval / steps,
        num_steps=(regime.num_frames - 1) * steps,
        save_every=steps,
        start_time=time,
        forcing=[one.forcing for one in physics],
        **shared,
    )
    with on_threads(TRANSFORM):
        return resample(frames, regime.num_points).numpy().astype(np.float32)


def generate(
    regime: Regime, splits: Sequence[tuple[Sequence[int], int]], processes: int, label: str = ""
) -> list[NDArray[np.float32]]:
    """Return the vorticity (count, T, N, N) of each split, simulated in parallel processes.

    A split is (entropy, number of trajectories); at most so many `processes` run, one thread each.
    """
    jobs = [(e, range(i, min(i + AT_ONCE, n))) for e, n in splits for i in range(0, n, AT_ONCE)]
    work = sum(count for _, count in splits) * regime.num_steps * regime.simulated_points**2
    with Progress(label, len(jobs) * regime.num_steps) as progress:
        if processes == 1 or len(jobs) == 1 or work < _MIN_PARALLEL_WORK:
            parts = [simulate_trajectories(regime, e, numbers, progress.add) for e, numbers in jobs]
        else:
            parts = _in_processes(regime, jobs, min(processes, len(jobs)), progress)
    rest = iter(parts)
    return [np.concatenate([next(rest) for _ in range(0, count, AT_ONCE)]) for _, count in splits]


def _in_processes(
    regime: Regime, jobs: list[tuple[Sequence[int], range]], processes: int, progress: Progress
) -> list[NDArray[np.float32]]:
    with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn")) as pool:
        futures = [pool.submit(simulate_trajectories, regime, *job) for job in jobs]
        try:
            for future in as_completed(futures):
                future.result()
                progress.add(regime.num_steps)
        except BrokenProcessPool:
            raise InputError("a process of the solver was killed, expected it to finish") from None
        finally:
            pool.shutdown(cancel_futures=True)
    return [future.result() for future in futures]
