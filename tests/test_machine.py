"""A machine's record names what is there, and is the same every time."""

import os
import platform

import numpy as np
import torch

from chimera.machine import describe


def test_record_names_this_machine_the_same_way_twice():
    here = describe(torch.device("cpu"))
    assert here == describe(torch.device("cpu"))
    assert here["torch"] == torch.__version__
    assert here["numpy"] == np.__version__
    assert here["python"] == platform.python_version()
    assert here["cores"] == os.cpu_count()
    assert here["accelerator"] == "none"
    assert here["processor"]
