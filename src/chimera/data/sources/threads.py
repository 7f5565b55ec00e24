"""The number of threads on which a dataset is computed, whatever the machine has.

It decides last bits: the order of a sum, and the algorithm of torch's inverse real transform, which
has one for one thread and another for more, the same for any more (on one core, too).
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

# Of the stored fields' transforms. Not 1, or the bytes of the frozen data would be others.
TRANSFORM = 2


@contextmanager
def on_threads(count: int) -> Iterator[None]:
    """Compute on so many threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
