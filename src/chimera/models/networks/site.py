"""Named places of a network at which a probe reads or replaces an activation.

A block's output may feed several others, so replacing it changes every path that leaves it. A plain
`Site` is the identity on one edge alone: what replaces its output leaves the edge's siblings as
they are. A site's name is its path in `named_modules()`.
"""

from torch import nn


class Site(nn.Identity):
    """A module whose output may be read or replaced by a hook; by itself, the identity."""
