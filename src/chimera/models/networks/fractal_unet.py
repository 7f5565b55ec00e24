"""The UNet whose every block is a fractal, with drop-path (Larsson et al. 2017, arXiv:1605.07648).

    f_1(z) = conv(z),    f_{C+1}(z) = mean((f_C o f_C)(z), conv(z))                    (eq. 1, 2)

where conv is convolution - norm - activation, and adjacent joins are merged into one mean of equal
weights. Unrolled, a block is C columns over 2^(C-1) rows: column c has 2^(c-1) convolutions in
sequence, each 2^(C-c) rows long, and after row r one join of all columns whose convolution ends
there. A join feeds the next convolution of each of these columns.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated

import torch
from msgspec import Meta
from torch import Tensor, nn

from chimera.interface.settings import Probability
from chimera.models.networks.site import Site
from chimera.models.networks.unet import UNet, UNetSettings, Unit


class FractalUNetSettings(UNetSettings, frozen=True, kw_only=True):
    """The settings of a UNet and of its blocks."""

    columns: Annotated[int, Meta(ge=1, le=8)]  # C
    drop_path: Probability  # p of local drop-path in training; 0 switches drop-path off


def joining_columns(columns: int) -> tuple[tuple[int, ...], ...]:
    """List the columns, counted from 1, that join after each of the 2^(C-1) rows."""
    rows, all_columns = range(1, 2 ** (columns - 1) + 1), range(1, columns + 1)
    return tuple(tuple(c for c in all_columns if row % 2 ** (columns - c) == 0) for row in rows)


@dataclass(frozen=True)
class GlobalDropPath:
    """One column of the whole network survives."""

    column: int

    def survivors(self, arriving: tuple[int, ...]) -> tuple[int, ...]:
        """Return the column if it arrives at a join."""
        return tuple(column for column in arriving if column == self.column)


@dataclass(frozen=True)
class LocalDropPath:
    """Each input of each join is dropped with probability p, but never all of them."""

    probability: float

    def survivors(self, arriving: tuple[int, ...]) -> tuple[int, ...]:
        """Draw the columns that a join keeps; a random one if all were dropped."""
        kept = torch.rand(len(arriving)) >= self.probability
        if not kept.any():
            kept[torch.randint(len(arriving), ())] = True
        return tuple(column for column, keep in zip(arriving, kept.tolist(), strict=True) if keep)


DropPath = GlobalDropPath | LocalDropPath


def draw_drop_path(columns: int, probability: float) -> DropPath:
    """Draw the drop-path of all blocks in one training pass: global or local with equal chances.

    See Larsson et al. 2017, section 4. It draws from torch's default generator, as dropout does.
    """
    if torch.rand(()) < 0.5:
        return GlobalDropPath(int(torch.randint(columns, ())) + 1)
    return LocalDropPath(probability)


class FractalBlock(Site):
    """f_C from (B, C_in, H, W) to (B, C_out, H, W); `unit` makes one of its convolutions.

    `column1` to `columnC` are the sites on the edges into the last join.
    """

    def __init__(self, in_channels: int, out_channels: int, columns: int, unit: Unit) -> None:
        super().__init__()
        self.joins = joining_columns(columns)
        self.column_count = columns
        for column in range(1, columns + 1):
            widths = [in_channels] + [out_channels] * 2 ** (column - 1)
            units = (unit(a, b) for a, b in pairwise(widths))
            self.add_module(f"units{column}", nn.ModuleList(units))
            self.add_module(f"column{column}", Site())

    def forward(self, z: Tensor, drop_path: DropPath | None = None) -> Tensor:
        """Evaluate the block, except for what only leads to dropped inputs."""
        last = len(self.joins)
        kept = [drop_path.survivors(join) if drop_path else join for join in self.joins]
        # The joins that the last one needs, backwards over the inputs that were kept.
        needed = {last}
        for row in range(last, 0, -1):
            if row in needed:
                needed |= {row - self._length(column) for column in kept[row - 1]}
        joined = {0: z}
        for row in sorted(needed - {0}):
            arriving = [self._arrive(column, row, joined) for column in kept[row - 1]]
            joined[row] = sum(arriving[1:], arriving[0]) / len(arriving)
        return joined[last]

    def _arrive(self, column: int, row: int, joined: dict[int, Tensor]) -> Tensor:
        """Apply the unit of a column that ends at a row; the last passes the column's site."""
        length = self._length(column)
        units = self.get_submodule(f"units{column}")
        output = units.get_submodule(str(row // length - 1))(joined[row - length])
        return self.get_submodule(f"column{column}")(output) if row == len(self.joins) else output

    def _length(self, column: int) -> int:
        return 2 ** (self.column_count - column)


class FractalUNet(UNet):
    """A UNet whose blocks are fractal; the edges `<block>.column{c}` are sites too."""

    Settings = FractalUNetSettings
    settings: FractalUNetSettings

    @property
    def leaves_out_parameters(self) -> bool:
        """Whether a training pass may use only some of the parameters."""
        return self.settings.drop_path > 0

    def make_block(self, in_channels: int, out_channels: int, unit: Unit) -> nn.Module:
        """Return f_C from (B, C_in, H, W) to (B, C_out, H, W)."""
        return FractalBlock(in_channels, out_channels, self.settings.columns, unit)

    def pass_arguments(self) -> tuple[DropPath | None]:
        """Draw the drop-path of one training pass, the same for all blocks."""
        if not (self.training and self.settings.drop_path):
            return (None,)
        return (draw_drop_path(self.settings.columns, self.settings.drop_path),)
