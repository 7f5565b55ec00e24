"""The Well's benchmark networks as networks of a study: `pip install 'the-well[benchmark]'`.

They read the P past frames oldest first and what is constant in time behind them, and return the
next frame (the_well.data.data_formatter). A network of a study is given the newest frame first and
returns its increment, so that here f(x) = network(x) - x_newest, and the forecast x_newest + f(x)
is what their network says.

B batch, P past frames, C fields, K conditioning channels, H, W space.
"""

import torch
from torch import nn

try:
    from the_well.benchmark import models
except ImportError as error:
    raise ImportError(
        f"{error}; The Well's networks need `pip install 'the-well[benchmark]'`"
    ) from None


class Benchmark(nn.Module):
    """From states (B, P C + K, H, W) to increments (B, C, H, W).

    `input_shape` (P C + K, H, W) and `out_channels` C are given by the data.
    """

    def __init__(self, kind, input_shape, out_channels, past_frames, **arguments):
        super().__init__()
        self.fields, self.past_frames = out_channels, past_frames
        channels, *grid = input_shape
        self.network = kind(
            dim_in=channels,
            dim_out=out_channels,
            n_spatial_dims=2,
            spatial_resolution=tuple(grid),
            **arguments,
        )

    def forward(self, state):
        """Turn the order of the frames, and take the newest off what the network says."""
        P, C = self.past_frames, self.fields
        frames, known = state[:, : P * C], state[:, P * C :]
        frames = frames.unflatten(1, (P, C)).flip(1).flatten(1, 2)  # (B, P C, H, W)
        return self.network(torch.cat([frames, known], dim=1)) - state[:, :C]


class UNetClassic(Benchmark):
    """Their U-Net; sides must be multiples of 16."""

    def __init__(self, input_shape, out_channels, past_frames, init_features):
        shape = input_shape, out_channels, past_frames
        super().__init__(models.UNetClassic, *shape, init_features=init_features)


class FNO(Benchmark):
    """Their Fourier neural operator, that of neuraloperator."""

    def __init__(self, input_shape, out_channels, past_frames, modes1, modes2, hidden_channels):
        shape = input_shape, out_channels, past_frames
        sizes = {"modes1": modes1, "modes2": modes2, "hidden_channels": hidden_channels}
        super().__init__(models.FNO, *shape, **sizes)


class UNetConvNext(Benchmark):
    """Their U-Net of ConvNeXt blocks; sides must be multiples of 16."""

    def __init__(self, input_shape, out_channels, past_frames, init_features, blocks_per_stage):
        shape = input_shape, out_channels, past_frames
        sizes = {"init_features": init_features, "blocks_per_stage": blocks_per_stage}
        super().__init__(models.UNetConvNext, *shape, **sizes)
