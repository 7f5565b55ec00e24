"""Where a network runs, how to make it run there the same way twice, and what it ran on."""

import os
import platform
import shutil
from importlib.metadata import version
from typing import Literal

import torch

from chimera.interface.errors import InputError

PACKAGES = ("torch", "numpy", "h5py", "safetensors")
# Of a GPU's free memory: the rest is for weights, moments and activations.
_SHARE_OF_DATA = 0.5


def device_type(choice: Literal["auto", "cpu", "cuda"], count: int = 1) -> Literal["cpu", "cuda"]:
    """Return the kind of device that is meant; `auto` takes GPUs where there are any.

    Args:
        choice: What was asked for.
        count: Devices needed at once.

    Raises:
        InputError: If `cuda` is asked for and there is none, or there are too few GPUs.
    """
    available = torch.cuda.is_available()
    if choice == "cuda" and not available:
        raise InputError("device is 'cuda', expected 'auto' or 'cpu' where torch finds no GPU")
    if choice == "cpu" or not available:
        return "cpu"
    if count > torch.cuda.device_count():
        raise InputError(
            f"train.devices is {count}, expected at most {torch.cuda.device_count()}, "
            "the number of GPUs, or device 'cpu'"
        )
    return "cuda"


def prepare_device(
    choice: Literal["auto", "cpu", "cuda"],
    threads: int,
    *,
    number: int = 0,
    tf32: bool = False,
    deterministic: bool = True,
) -> torch.device:
    """Return the device, by default with deterministic algorithms in float32 proper.

    The number of threads is fixed because it decides how sums are split, and so their last bits.

    Args:
        choice: See `device_type`.
        threads: Threads of one process on a CPU.
        number: Which of several GPUs.
        tf32: Whether a GPU may round the factors of float32 products to 10 bits.
        deterministic: Whether a GPU computes the same bits every time; if not, it tries which
            algorithms are fastest.

    Raises:
        InputError: If `cuda` is asked for and there is none.
    """
    torch.set_num_threads(threads)
    if device_type(choice) == "cpu":
        # Every operation in use is deterministic here; to ask for it takes torch a second.
        return torch.device("cpu")
    # Read when cuBLAS starts; without it torch refuses deterministic products of matrices.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(deterministic)
    torch.backends.cudnn.benchmark = not deterministic
    torch.backends.cudnn.allow_tf32 = tf32
    torch.backends.cuda.matmul.allow_tf32 = tf32
    torch.cuda.set_device(number)
    return torch.device("cuda", number)


def has_room(num_bytes: int, device: torch.device) -> bool:
    """Return whether data of that size may stay on the device while a network trains there."""
    if device.type == "cpu":
        return True
    free, _ = torch.cuda.mem_get_info(device)
    return num_bytes <= _SHARE_OF_DATA * free


def require_compiler() -> None:
    """Raise InputError if torch.compile would find no C++ compiler to build its kernels with."""
    known = (os.environ.get("CXX", "g++"), "clang++")
    if not any(shutil.which(name) for name in known):
        raise InputError(
            f"train.compile is true, expected false where none of {', '.join(known)} is installed"
        )


def describe(device: torch.device) -> dict[str, str]:
    """Return what decides the bytes of a computation: its class and the versions of the packages.

    Machines of one class, such as `x86_64 avx2`, give the same bytes; a GPU is a class of its own.

    Args:
        device: Where the network runs.
    """
    kind = f"{platform.machine()} {torch.backends.cpu.get_cpu_capability().lower()}"
    if device.type == "cuda":
        kind = torch.cuda.get_device_name(device)
    return {"bytes": kind, **{package: version(package) for package in PACKAGES}}
