"""Devices: choice, reproducibility and description."""

import os
import platform
import shutil
from importlib.metadata import version
from typing import Literal

import torch

from chimera.interface.errors import InputError

PACKAGES = ("torch", "numpy", "h5py", "safetensors")
_SHARE_OF_DATA = 0.5  # of a GPU's free memory; the rest is for weights, moments and activations


def device_type(choice: Literal["auto", "cpu", "cuda"], count: int = 1) -> Literal["cpu", "cuda"]:
    """Return the kind of device for `count` processes; `auto` prefers GPUs."""
    available = torch.cuda.is_available()
    if choice == "cuda" and not available:
        raise InputError("device is 'cuda', expected 'auto' or 'cpu' where torch finds no GPU")
    if choice == "cpu" or not available:
        return "cpu"
    if count > torch.cuda.device_count():
        raise InputError(
            f"train.devices is {count}, expected at most {torch.cuda.device_count()} (GPUs)"
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
    """Return the device, by default with deterministic algorithms and full float32 precision.

    The number of CPU `threads` decides the last bits of sums; `number` is the index of the GPU.
    With `tf32` a GPU may round the factors of float32 products to 10 bits; unless `deterministic`,
    it uses the algorithms that are fastest in a trial, and its bits vary.
    """
    torch.set_num_threads(threads)
    if device_type(choice) == "cpu":
        # All operations in use are deterministic here, and the switch takes torch a second.
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
    """Raise InputError if torch.compile would find no C++ compiler."""
    known = (os.environ.get("CXX", "g++"), "clang++")
    if not any(shutil.which(name) for name in known):
        raise InputError(f"train.compile is true, expected false without {' or '.join(known)}")


def describe(device: torch.device) -> dict[str, str]:
    """Return what decides the bytes of a computation: class of machine and package versions.

    Machines of one class, such as `x86-64 avx2`, give the same bytes; each GPU model is a class. So
    do builds of one version for a CPU and for CUDA (2.13.0+cpu, 2.13.0+cu130) on a CPU.
    """
    family = platform.machine().replace("x86_64", "x86-64")
    kind = f"{family} {torch.backends.cpu.get_cpu_capability().lower()}"
    if device.type == "cuda":
        kind = torch.cuda.get_device_name(device)
    return {"bytes": kind, **{name: version(name).partition("+")[0] for name in PACKAGES}}
