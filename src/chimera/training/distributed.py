"""One run in N processes of one machine, each with a part of every batch.

The loss of a batch of B windows is L = 1/B sum_b l_b. Rank r takes windows r B/N .. (r + 1) B/N - 1
and computes L_r = N/B sum_b l_b over them, so that

    grad L = 1/N sum_r grad L_r,

which DistributedDataParallel adds up during the backward pass (Li et al. 2020, arXiv:2006.15704).
Weights, moments, schedule and random generator are the same in every process, and the same as in a
run of one process except for the order of floating-point sums.

torch's elastic launcher starts the processes, which connect through this machine's loopback address
at a free port. Only rank 0 writes files.
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
_POLL_SECONDS = 0.1  # between two looks of the launcher at its processes


@dataclass(frozen=True)
class Group:
    """The processes of one run; by default a single one."""

    rank: int = 0  # of this process
    size: int = 1  # number of processes N

    def divided(self, network: nn.Module, *, some_unused: bool) -> nn.Module:
        """Return the network whose backward pass averages gradients over the processes.

        A pass may leave parameters out if `some_unused`, the same ones in every process.
        """
        if self.size == 1:
            return network
        # The strides differ only along axes of length one.
        warnings.filterwarnings("ignore", "Grad strides do not match bucket view strides")
        return nn.parallel.DistributedDataParallel(
            network, find_unused_parameters=some_unused, gradient_as_bucket_view=True
        )

    def average(self, value: Tensor) -> Tensor:
        """Return the mean of a number over the processes."""
        if self.size == 1:
            return value
        total = value.clone()
        distributed.all_reduce(total)
        return total / self.size

    def mean(self, values: Tensor) -> Tensor:
        """Return the mean over all values (n,) of all processes."""
        if self.size == 1:
            return values.mean()
        total = torch.stack([values.sum(), values.new_tensor(len(values))])
        distributed.all_reduce(total)
        return total[0] / total[1]

    def wait(self) -> None:
        """Wait for every process."""
        if self.size > 1:
            distributed.barrier()

    def require_launcher(self) -> None:
        """End this process if its launcher was killed."""
        if self.size > 1 and os.getppid() != _PARENT:
            os._exit(1)


_PARENT = os.getppid()


def is_launched() -> bool:
    """Return whether the elastic launcher started this process."""
    return distributed.is_torchelastic_launched()


@contextmanager
def process_group(device: Literal["cpu", "cuda"], size: int) -> Iterator[Group]:
    """Join the processes of the launcher; without it a process is a group of one.

    NCCL connects GPUs, gloo CPUs. An InputError ends a launched process with status 2, and the
    launcher reports it once; so does a number of processes other than `size`.
    """
    if not is_launched():
        yield Group()
        return
    try:
        rank, started = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
        if started != size:
            raise InputError(f"train.devices is {size}, expected {started}, as many as torchrun's")
        loopback = next(name for _, name in socket.if_nameindex() if name.startswith("lo"))
        for library in ("GLOO", "NCCL"):
            os.environ.setdefault(f"{library}_SOCKET_IFNAME", loopback)
        distributed.init_process_group(
            "nccl" if device == "cuda" else "gloo", timeout=timedelta(minutes=30)
        )
        yield Group(rank, size)
        distributed.destroy_process_group()
    except RuntimeError:
        # If another process died and the connection is lost, the launcher ends this one here.
        time.sleep(50 * _POLL_SECONDS)
        raise
    except InputError as error:
        if report := os.environ.get("TORCHELASTIC_ERROR_FILE"):
            content = {"message": f"error: {error}", "timestamp": int(time.time())}
            Path(report).write_text(json.dumps(content))
        sys.exit(2)


def launch(module: str, arguments: Sequence[str], size: int) -> None:
    """Run `python -m module arguments` in `size` processes and wait for them.

    Raises:
        InputError: If one of them raised it or was killed, which ends the others.
    """
    # The error's sentence replaces the launcher's own log.
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
            f"process {rank} of {size} {end}, expected it to finish; `dvc repro` goes on from the "
            "last saved state"
        ) from None
