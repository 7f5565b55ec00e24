"""Chimera: a preregistered comparison of FractalUNet and UNet on two-dimensional flow."""
