"""Named places of a network at which a probe reads or replaces an activation.

A block's output may feed several others, so replacing it changes every path that leaves it. A plain
`Site` is the identity on a single edge. A site's name is its path in `named_modules()`.
"""

from torch import nn


class Site(nn.Identity):
    """A module whose output a hook may read or replace; without hooks, the identity."""
