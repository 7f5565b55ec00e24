"""The Fourier neural operator (Li et al. 2021, arXiv:2010.08895, section 4) on a regular grid.

    z_0 = P x,    z_{l+1} = gelu(W_l z_l + F^-1(R_l F z_l)),    y = Q_2 gelu(Q_1 z_L)

with 1 x 1 convolutions P, W and Q, and a complex matrix R(k) for each wavenumber |k_x|, |k_y| below
`modes`; other wavenumbers pass through W alone. The last layer has no gelu. The coordinates of the
cells, which the paper's code appends to x, are left out, so that on a periodic grid the network
commutes with shifts. Other grids are enlarged by a quarter before the first layer, and the output
cropped. The imaginary part of R(0) has no effect, because the mean of a field is real.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from chimera.interface.errors import InputError
from chimera.interface.settings import Count, Settings
from chimera.models.networks.padding import Padding, enlarge
from chimera.models.networks.site import Site


class FNOSettings(Settings, frozen=True):
    """The settings of a Fourier neural operator."""

    input_shape: tuple[Count, Count, Count]  # (C, H, W) of a sample
    width: Count  # channels of every layer
    modes: Count  # wavenumbers 0 .. modes - 1 along W, and -modes .. modes - 1 along H
    layers: Count
    hidden: Count  # channels between the two layers of the projection Q
    padding: tuple[Padding, Padding] = ("circular", "circular")  # along H and W
    out_channels: Count | None = None  # of the output; by default those of the input

    def __post_init__(self) -> None:
        """Check that the grid has these wavenumbers."""
        H, W = self.input_shape[1:]
        if 2 * self.modes > min(H, W):
            raise InputError(f"modes is {self.modes}, expected at most half of {min(H, W)}")


class SpectralConv(nn.Module):
    """z -> F^-1(R F z) for (B, C, H, W), C unchanged.

    `low` are the matrices of k_x = 0 .. modes - 1, `high` those of k_x = -modes .. -1, with
    k_y = 0 .. modes - 1; they begin as uniform numbers up to 1 / C^2, real and imaginary.
    """

    def __init__(self, width: int, modes: int) -> None:
        super().__init__()
        self.modes = modes
        for name in ("low", "high"):
            weight = torch.rand(width, width, modes, modes, dtype=torch.cfloat) / width**2
            self.register_parameter(name, nn.Parameter(weight))

    def forward(self, z: Tensor) -> Tensor:
        """Multiply the low wavenumbers, in at least single precision; the others become 0."""
        m = self.modes
        z_hat = torch.fft.rfft2(z.to(torch.promote_types(z.dtype, torch.float32)))
        product_hat = torch.zeros_like(z_hat)
        for rows, weight in ((slice(m), self.low), (slice(-m, None), self.high)):
            kept, weights = z_hat[:, :, rows, :m], weight.to(z_hat.dtype)
            product_hat[:, :, rows, :m] = torch.einsum("bixy,ioxy->boxy", kept, weights)
        return torch.fft.irfft2(product_hat, z.shape[-2:]).to(z.dtype)


class FourierLayer(Site):
    """W z + F^-1(R F z), and a gelu unless it is the last."""

    def __init__(self, width: int, modes: int, *, is_last: bool) -> None:
        super().__init__()
        self.spectral, self.local = SpectralConv(width, modes), nn.Conv2d(width, width, 1)
        self.is_last = is_last

    def forward(self, z: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, C, H, W)."""
        total = self.spectral(z) + self.local(z)
        return total if self.is_last else functional.gelu(total)


class FNO(nn.Module):
    """From (B, C_in, H, W) to (B, C_out, H, W); its sites are the layers `layers.{l}`."""

    Settings = FNOSettings

    def __init__(self, settings: FNOSettings) -> None:
        super().__init__()
        self.settings = settings
        fields, width, last = settings.input_shape[0], settings.width, settings.layers - 1
        self.lift = nn.Conv2d(fields, width, 1)
        self.layers = nn.Sequential(
            *(FourierLayer(width, settings.modes, is_last=n == last) for n in range(last + 1))
        )
        self.projection = nn.Sequential(
            nn.Conv2d(width, settings.hidden, 1),
            nn.GELU(),
            nn.Conv2d(settings.hidden, settings.out_channels or fields, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C_in, H, W) to (B, C_out, H, W)."""
        kinds = self.settings.padding
        grid = [
            size if kind == "circular" else size + size // 4
            for size, kind in zip(x.shape[2:], kinds, strict=True)
        ]
        larger, rows, columns = enlarge(x, grid, kinds)
        return self.projection(self.layers(self.lift(larger))[:, :, rows, columns])
