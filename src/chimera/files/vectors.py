"""One set of vector instructions, so that x86-64 processors compute the same bytes.

torch, oneDNN, MKL, numpy and OpenBLAS each choose kernels by processor when they load, and wider
vectors sum in another order. With AVX2 and FMA they are held to AVX2; MKL, which has kernels of its
own for each vendor's AVX2, to those for all. Other processors are left as they are.
"""

import os
import re
from collections.abc import MutableMapping, Sequence
from pathlib import Path

# OpenBLAS: numpy's and scipy's. Its Haswell kernels are those of AMD's processors with AVX2, too;
# it takes other blocks for other numbers of threads, on one core for one.
# numpy: what it knows above AVX2; on a processor without them nothing is disabled.
SWITCHES = {
    "ATEN_CPU_CAPABILITY": "avx2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "MKL_CBWR": "COMPATIBLE",
    "MKL_ENABLE_INSTRUCTIONS": "AVX2",
    "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR",
    "OPENBLAS_CORETYPE": "Haswell",
    "OPENBLAS_NUM_THREADS": "1",
}
# What would have a say beside them. (numpy refuses to be told both what to enable and to disable.)
FOREIGN = ("NPY_ENABLE_CPU_FEATURES", "NUMBA_CPU_NAME", "NUMBA_CPU_FEATURES")
_NEEDED = {"avx2", "fma"}
_FAST_TRAINING = re.compile(r"^train:\n(?:[ \t].*\n)*?  deterministic: *false$", re.MULTILINE)


def hold_to_avx2(
    command: Sequence[str],
    environment: MutableMapping[str, str] = os.environ,
    processor: Path = Path("/proc/cpuinfo"),
) -> None:
    """Set the switches, whatever their values, before any of those libraries is loaded.

    Not for `python -m chimera.stages.train` where params.yaml has `train.deterministic: false`.
    """
    if not _flags(processor) >= _NEEDED:
        return
    if "chimera.stages.train" in command and _trains_fast(Path("params.yaml")):
        return
    for name in FOREIGN:
        environment.pop(name, None)
    environment.update(SWITCHES)


def _flags(processor: Path) -> set[str]:
    """Return the instruction sets of an x86 processor, none of another or if they are unknown."""
    try:
        with processor.open() as file:
            line = next(line for line in file if line.startswith("flags"))
    except (OSError, StopIteration):
        return set()
    return set(line.partition(":")[2].split())


def _trains_fast(params: Path) -> bool:
    try:
        return _FAST_TRAINING.search(params.read_text()) is not None
    except (OSError, UnicodeDecodeError):
        return False  # the stage says what is wrong with the file
