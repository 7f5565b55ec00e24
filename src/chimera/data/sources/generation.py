"""Trajectories of one regime, each from its own seed, simulated on every core.

Trajectory i of a split starts from a random field drawn from SeedSequence(entropy, spawn_key=(i,))
and runs through the warm-up before its first frame. Its bytes depend neither on the other
trajectories nor on the number of processes.
"""

import math
import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from chimera.data.settings import Dataset, GeneratedData
from chimera.fields.fourier import resample
from chimera.interface.errors import InputError
from chimera.interface.progress import Progress
from chimera.interface.settings import as_plain
from chimera.solver import MAX_CFL, KolmogorovForcing, random_vorticity, simulate

# Part of every recipe (chimera.data.sources.fingerprint), to be raised whenever the same settings
# and seeds give another flow.
GENERATOR = "chimera.solver 1"

# Trajectories simulated at once by one process: few, so that no process is idle at the end.
AT_ONCE = 2
# Points x steps below which a second process takes more time to start than it saves.
_MIN_PARALLEL_WORK = 1e8


@dataclass(frozen=True)
class Regime:
    """A statistical state of the flow, and how it is sampled; see chimera.data.settings."""

    viscosity: float
    drag: float
    forcing: KolmogorovForcing | None
    initial_peak: int
    warm_up: float
    max_speed: float
    domain_extent: float
    simulated_points: int
    num_points: int
    num_frames: int
    frame_interval: float

    @property
    def steps_per_frame(self) -> int:
        """Fewest steps between two frames whose CFL number is stable at max_speed."""
        largest = MAX_CFL * self.domain_extent / (self.simulated_points * self.max_speed)
        return math.ceil(self.frame_interval / largest)

    @property
    def warm_up_steps(self) -> int:
        """Steps before the first frame."""
        return math.ceil(self.warm_up / self.frame_interval * self.steps_per_frame)

    @property
    def num_steps(self) -> int:
        """Steps of a trajectory, warm-up included."""
        return self.warm_up_steps + (self.num_frames - 1) * self.steps_per_frame


def regime_of(dataset: Dataset, data: GeneratedData) -> Regime:
    """Return the regime of one dataset of the data config."""
    given: dict[str, Any] = {
        name: getattr(dataset if hasattr(dataset, name) else data, name)
        for name in Regime.__dataclass_fields__
    }
    forcing = KolmogorovForcing(**as_plain(dataset.forcing)) if dataset.forcing else None
    return Regime(**given | {"forcing": forcing})


def simulate_trajectories(
    regime: Regime,
    entropy: Sequence[int],
    numbers: Sequence[int],
    progress: Callable[[int], object] = lambda _: None,
) -> NDArray[np.float32]:
    """Return the vorticity (len(numbers), T, N, N), simulated in this process on one thread.

    The entropy, such as (seed, dataset, split), seeds the random initial fields. `progress` is
    called with the number of steps since its last call.
    """
    initial = [
        random_vorticity(
            np.random.default_rng(np.random.SeedSequence(tuple(entropy), spawn_key=(number,))),
            regime.simulated_points,
            regime.domain_extent,
            regime.initial_peak,
        )
        for number in numbers
    ]
    physics: dict[str, Any] = {
        "viscosity": regime.viscosity,
        "drag": regime.drag,
        "forcing": regime.forcing,
        "domain_extent": regime.domain_extent,
        "time_step": regime.frame_interval / regime.steps_per_frame,
        "progress": progress,
        "names": [f"trajectory {number}" for number in numbers],
    }
    warm_up, start = regime.warm_up_steps, torch.stack(initial)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        if warm_up:
            start = simulate(start, num_steps=warm_up, save_every=warm_up, **physics)[:, -1]
        frames = simulate(
            start,
            num_steps=(regime.num_frames - 1) * regime.steps_per_frame,
            save_every=regime.steps_per_frame,
            start_time=warm_up * regime.frame_interval / regime.steps_per_frame,
            **physics,
        )
    finally:
        torch.set_num_threads(threads)
    return resample(frames, regime.num_points).numpy().astype(np.float32)


def generate(
    regime: Regime, splits: Sequence[tuple[Sequence[int], int]], processes: int, label: str = ""
) -> list[NDArray[np.float32]]:
    """Return the vorticity (count, T, N, N) of each split, simulated in parallel processes.

    Args:
        regime: The flow.
        splits: Entropy and number of trajectories of each.
        processes: Largest number of processes, of one thread each.
        label: Name of the work in progress reports.
    """
    jobs = [
        (entropy, range(first, min(first + AT_ONCE, count)))
        for entropy, count in splits
        for first in range(0, count, AT_ONCE)
    ]
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
    context = multiprocessing.get_context("spawn")
    taken = context.Value("q", 0)
    pool = ProcessPoolExecutor(processes, context, initializer=_share, initargs=(taken,))
    futures = [pool.submit(_job, regime, entropy, numbers) for entropy, numbers in jobs]
    try:
        waiting: set[Future[NDArray[np.float32]]] = set(futures)
        while waiting:
            done, waiting = wait(waiting, timeout=0.5)
            progress.show(taken.value)
            for future in done:
                future.result()
    except BrokenProcessPool:
        raise InputError("a process of the solver was killed, expected it to finish") from None
    finally:
        pool.shutdown(cancel_futures=True)
    return [future.result() for future in futures]


_taken: Any = None  # in a worker process: the counter that its parent reads


def _share(taken: Any) -> None:
    global _taken
    _taken = taken


def _job(regime: Regime, entropy: Sequence[int], numbers: range) -> NDArray[np.float32]:
    def progress(steps: int) -> None:
        with _taken.get_lock():
            _taken.value += steps

    return simulate_trajectories(regime, entropy, numbers, progress)
