"""On PYTHONPATH: make MKL believe that the processor is of another vendor.

MKL, within torch, asks a function of its own whether the processor is Intel's, and has kernels for
either answer. Once torch is loaded, and before MKL is used, that function is overwritten
by one that gives the other answer. Python imports this file in every process that it starts.
"""

import ctypes
import importlib.util
import mmap
import sys
from pathlib import Path

QUESTIONS = ("mkl_serv_intel_cpu_true", "mkl_serv_intel_cpu")


def answer_otherwise(folder: Path) -> None:
    """Overwrite the functions by `mov eax, ANSWER; ret`."""
    library = ctypes.CDLL(str(folder / "libtorch_cpu.so"))
    answer = 1 - bool(library.mkl_serv_intel_cpu_true())
    for name in QUESTIONS:
        start = ctypes.cast(getattr(library, name), ctypes.c_void_p).value
        page = start - start % mmap.PAGESIZE
        everything = mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC
        pages = ctypes.c_size_t(2 * mmap.PAGESIZE)
        if ctypes.CDLL(None).mprotect(ctypes.c_void_p(page), pages, everything):
            raise OSError(f"{name} cannot be overwritten")
        ctypes.memmove(start, bytes([0xB8, answer, 0, 0, 0, 0xC3]), 6)


class AfterTorch:
    """A finder that changes how torch alone is loaded."""

    def find_spec(self, name, *_):
        """Return torch's own spec, whose loader overwrites the functions at its end."""
        if name != "torch":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec("torch")
        load = spec.loader.exec_module

        def load_and_overwrite(module):
            load(module)
            answer_otherwise(Path(module.__file__).parent / "lib")

        spec.loader.exec_module = load_and_overwrite
        return spec


sys.meta_path.insert(0, AfterTorch())
