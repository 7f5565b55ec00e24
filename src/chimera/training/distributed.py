"""Data-parallel training in N processes on one machine.

The loss of a batch of B windows is L = 1/B sum_b l_b. Rank r takes windows r B/N .. (r + 1) B/N - 1
and computes L_r = N/B sum_b l_b over them, so that

    grad L = 1/N sum_r grad L_r,

which DistributedDataParallel sums during the backward pass (Li et al. 2020, arXiv:2006.15704).
Weights, moments, schedule and random generator are the same in every process and equal those of a
single process up to the order of floating-point sums. Only rank 0 writes files.
"""

import json
import logging
import os
import signal
import socket
import sys
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, distributed, nn
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from chimera.interface.errors import InputError

_LOOPBACK = "127.0.0.1"
_POLL_SECONDS = 0.1  # between the launcher's checks of its processes
_PARENT = os.getppid()


@dataclass(frozen=True)
class Group:
    """This process among the N = `size` processes of one run."""

    rank: int = 0
    size: int = 1

    def parallelize(self, network: nn.Module, *, some_unused: bool) -> nn.Module:
        """Return the network whose backward pass averages gradients over the processes.

        All have equal weights; with `some_unused` a pass may leave out parameters, the same in all.
        """
        if self.size == 1:
            return network
        # The strides differ only along axes of length 1, where they have no effect.
        warnings.filterwarnings("ignore", "Grad strides do not match bucket view strides")
        return nn.parallel.DistributedDataParallel(
            network, find_unused_parameters=some_unused, gradient_as_bucket_view=True
        )

    def mean(self, values: Tensor) -> Tensor:
        """Return the mean over all values of all processes, each counted once."""
        if self.size == 1:
            return values.mean()
        total = torch.stack([values.sum(), values.new_tensor(values.numel())])
        distributed.all_reduce(total)
        return total[0] / total[1]

    def wait(self) -> None:
        """Wait until every process has made this call."""
        if self.size > 1:
            distributed.barrier()

    def require_launcher(self) -> None:
        """End this process if its launcher was killed."""
        if self.size > 1 and os.getppid() != _PARENT:
            os._exit(1)


@contextmanager
def process_group(device: Literal["cpu", "cuda"], size: int) -> Iterator[Group]:
    """Join the processes that the launcher started; without a launcher, yield a group of one.

    An InputError ends the process with status 2 and is passed to the launcher, which reports it.
    """
    if not distributed.is_torchelastic_launched():
        yield Group()
        return
    try:
        rank, started = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
        if started != size:
            raise InputError(f"train.devices is {size}, expected {started}, as many as torchrun's")
        loopback = next(name for _, name in socket.if_nameindex() if name.startswith("lo"))
        for library in ("GLOO", "NCCL"):
            os.environ.setdefault(f"{library}_SOCKET_IFNAME", loopback)
        backend = "nccl" if device == "cuda" else "gloo"
        distributed.init_process_group(backend, timeout=timedelta(minutes=30))
        yield Group(rank, size)
        distributed.destroy_process_group()
    except RuntimeError:
        # If the cause is another process that died, the launcher ends this one during the wait.
        time.sleep(50 * _POLL_SECONDS)
        raise
    except InputError as error:
        if report := os.environ.get("TORCHELASTIC_ERROR_FILE"):
            content = {"message": f"error: {error}", "timestamp": int(time.time())}
            Path(report).write_text(json.dumps(content))
        sys.exit(2)


def launch(module: str, arguments: Sequence[str], size: int) -> None:
    """Run `python -m module arguments` in `size` processes; InputError if one fails or dies."""
    # The error sentence replaces the launcher's own log.
    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=size,
        run_id=f"{module}-{os.getpid()}",
        rdzv_backend="c10d",
        rdzv_endpoint=f"{_LOOPBACK}:0",
        local_addr=_LOOPBACK,
        max_restarts=0,
        monitor_interval=_POLL_SECONDS,
    )
    try:
        elastic_launch(config, sys.executable)("-m", module, *arguments)
    except ChildFailedError as error:
        rank, failure = error.get_first_failure()
        message = str(failure.message)
        if message.startswith("error: "):
            raise InputError(message.removeprefix("error: ")) from None
        end = f"ended with status {failure.exitcode}"
        if failure.exitcode < 0:
            end = f"was killed by {signal.Signals(-failure.exitcode).name}"
        raise InputError(
            f"process {rank} of {size} {end}, expected it to finish; `dvc repro` continues "
            "from the last saved state"
        ) from None
