"""Where a network runs, and how to make it run there the same way twice."""

from typing import Literal

import torch

from chimera.errors import InputError


def prepare_device(choice: Literal["auto", "cpu", "cuda"], threads: int) -> torch.device:
    """Return the device, with deterministic algorithms and a fixed number of threads.

    The number of threads is fixed because it decides how sums are split, and so their last bits.

    Args:
        choice: `auto` takes a GPU where there is one.
        threads: Threads of one process on a CPU.

    Raises:
        InputError: If `cuda` is asked for and there is none.
    """
    available = torch.cuda.is_available()
    if choice == "cuda" and not available:
        raise InputError("device is 'cuda', expected 'auto' or 'cpu' where torch finds no GPU")
    torch.set_num_threads(threads)
    if choice == "cpu" or not available:
        # Every operation in use is deterministic here; to ask for it takes torch a second.
        return torch.device("cpu")
    torch.use_deterministic_algorithms(True)
    return torch.device("cuda")
