"""What a result was measured on: hardware and software, the same text every time on one machine."""

import os
import platform
from importlib.metadata import version
from pathlib import Path

import torch

# What decides the last bits and the speed of a training.
PACKAGES = ("torch", "numpy", "h5py", "safetensors")


def describe(device: torch.device) -> dict[str, str | int]:
    """Return the machine by name: system, processor, cores, accelerator and versions.

    Args:
        device: Where the network runs.
    """
    accelerator = torch.cuda.get_device_name(device) if device.type == "cuda" else "none"
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cores": os.cpu_count() or 0,
        "accelerator": accelerator,
        "python": platform.python_version(),
        **{package: version(package) for package in PACKAGES},
    }


def _processor() -> str:
    """Return the processor's name: Linux keeps it in a file, other systems say it."""
    listing = Path("/proc/cpuinfo")
    lines = listing.read_text().splitlines() if listing.exists() else []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or "unknown")
