"""A pseudo-spectral solver of two-dimensional incompressible flow on a periodic square."""

from chimera.solver.forcing import KolmogorovForcing
from chimera.solver.initial import random_vorticity
from chimera.solver.navier_stokes import simulate
from chimera.solver.stability import MAX_CFL

__all__ = ["MAX_CFL", "KolmogorovForcing", "random_vorticity", "simulate"]
