"""Two-dimensional incompressible Navier-Stokes equations in vorticity form, pseudo-spectral.

    d omega / dt = -u . grad omega + nu laplacian omega - mu omega + curl F

on a periodic square of side L, omega = dv/dx - du/dy, with viscosity nu and linear drag mu.

B trajectories, N points a side, M x C kept modes.
"""

import math
from collections.abc import Callable, Sequence
from numbers import Integral

import torch
from torch import Tensor

from chimera.interface.errors import InputError
from chimera.solver.advection import Advection, Engine
from chimera.solver.forcing import KolmogorovForcing
from chimera.solver.integrator import AffineRungeKutta4
from chimera.solver.spectral_grid import SpectralGrid, join_planes, split_planes
from chimera.solver.stability import check_stability

_CHECK_EVERY = 10


def simulate(
    vorticity: Tensor,
    *,
    viscosity: float | Tensor,
    domain_extent: float,
    time_step: float,
    num_steps: int,
    save_every: int = 1,
    drag: float | Tensor = 0.0,
    forcing: KolmogorovForcing | Sequence[KolmogorovForcing | None] | None = None,
    start_time: float = 0.0,
    names: Sequence[str] | None = None,
    progress: Callable[[int], object] = lambda _: None,
) -> Tensor:
    """Integrate vorticity fields in time, to frames (B, 1 + num_steps // save_every, N, N).

    The first frame is the initial fields (B, N, N), x before y, float32 or float64, without the
    modes beyond the 2/3 cut; the computation has the same precision and device. Viscosity nu, drag
    mu and the body force are each one for all trajectories, or one for each, (B,). The side L is
    `domain_extent`. `progress` is called with the number of steps since its last call.

    A time step that is too large for the flow or a solution that is no longer finite is an
    InputError; it names the trajectory, by number without `names`, and the time.
    """
    _check(vorticity, domain_extent, time_step, num_steps, save_every)
    B, N, _ = vorticity.shape
    nu = _per_trajectory("viscosity", viscosity, vorticity)
    mu = _per_trajectory("drag", drag, vorticity)
    if torch.is_grad_enabled() and any(of.requires_grad for of in (vorticity, nu, mu)):
        raise InputError("vorticity, viscosity or drag requires a gradient, expected none")
    grid = SpectralGrid(N)
    state = split_planes(grid.to_modes(vorticity))  # (B, 2, M, C)
    k_x, k_y = grid.wavenumbers(domain_extent)
    square = (k_x.square() + k_y.square()).to(vorticity.device)
    growth = -nu[:, None, None, None] * square - mu[:, None, None, None]  # (1 or B, 1, M, C)
    source = _sources(forcing, grid, domain_extent, B)  # (1 or B, 2, M, C)
    scheme = AffineRungeKutta4(growth.to(vorticity.dtype), source.to(vorticity), time_step, state)
    advection = _engine(grid, domain_extent, state)
    frames = vorticity.new_empty((B, 1 + num_steps // save_every, N, N))

    def save(number: int) -> None:
        frames[:, number] = grid.to_grid(join_planes(state))

    def check(number: int) -> None:
        cfl = advection.largest_speed(state) * time_step * N / domain_extent
        check_stability(cfl, names, start_time + number * time_step, time_step)

    save(0)
    check(0)
    for number in range(1, num_steps + 1):
        scheme.step_(state, advection)
        if number % _CHECK_EVERY == 0 or number == num_steps:
            check(number)
            progress(number % _CHECK_EVERY or _CHECK_EVERY)
        if number % save_every == 0:
            save(number // save_every)
    return frames


def _engine(grid: SpectralGrid, domain_extent: float, state: Tensor) -> Engine:
    """Return the fastest engine for such a state."""
    if state.device.type == "cpu":
        # Imported here: loading the compiler would delay programs that only read settings.
        from chimera.solver.compiled import advection as compiled_advection

        if compiled_advection.covers(grid, state):
            return compiled_advection.CompiledAdvection(grid, domain_extent, state)
    return Advection(grid, domain_extent, state)


def _sources(
    forcing: KolmogorovForcing | Sequence[KolmogorovForcing | None] | None,
    grid: SpectralGrid,
    domain_extent: float,
    count: int,
) -> Tensor:
    """Return the real and imaginary parts of the modes of curl F, (1 or B, 2, M, C), float64."""
    if not isinstance(forcing, Sequence):
        forcing = [forcing]
    elif len(forcing) != count:
        raise InputError(f"forcing has {len(forcing)} entries, expected {count}, one a trajectory")
    return torch.cat([_source(one, grid, domain_extent) for one in forcing])


def _source(forcing: KolmogorovForcing | None, grid: SpectralGrid, domain_extent: float) -> Tensor:
    if forcing is None:
        return torch.zeros((1, 2, *grid.shape), dtype=torch.float64)
    if abs(forcing.wavenumber) > grid.highest:
        raise InputError(
            f"forcing.wavenumber is {forcing.wavenumber}, expected at most {grid.highest}, the "
            f"highest that dealiasing keeps on {grid.num_points} points"
        )
    curl = forcing.vorticity_source(grid.num_points, domain_extent)
    return split_planes(grid.to_modes(curl[None]))


def _check(
    vorticity: Tensor, domain_extent: float, time_step: float, num_steps: int, save_every: int
) -> None:
    kind = vorticity.dtype if isinstance(vorticity, Tensor) else type(vorticity).__name__
    if kind not in (torch.float32, torch.float64):
        raise InputError(f"vorticity is {kind}, expected torch.float32 or torch.float64")
    if vorticity.dim() != 3 or vorticity.shape[1] != vorticity.shape[2] or not len(vorticity):
        raise InputError(f"vorticity has shape {tuple(vorticity.shape)}, expected (B, N, N)")
    for name, value in (("domain_extent", domain_extent), ("time_step", time_step)):
        if not 0 < value < math.inf:
            raise InputError(f"{name} is {value}, expected a number greater than 0")
    for name, count, least in (("num_steps", num_steps, 0), ("save_every", save_every, 1)):
        if not isinstance(count, Integral) or count < least:
            raise InputError(f"{name} is {count}, expected a whole number of at least {least}")
    if not bool(vorticity.isfinite().all()):
        number = int((~vorticity.isfinite()).flatten(1).any(dim=1).nonzero()[0])
        raise InputError(f"vorticity of trajectory {number} is not finite at time 0")


def _per_trajectory(name: str, value: float | Tensor, vorticity: Tensor) -> Tensor:
    given = torch.as_tensor(value, dtype=torch.complex128, device=vorticity.device)
    tensor = given.real
    if tensor.dim() > 1 or (tensor.dim() == 1 and len(tensor) != len(vorticity)):
        fits = f"a number or one for each of the {len(vorticity)} trajectories"
        raise InputError(f"{name} has shape {tuple(tensor.shape)}, expected {fits}")
    if not bool((tensor >= 0).all() and tensor.isfinite().all()) or bool(given.imag.any()):
        raise InputError(f"{name} is {value}, expected 0 or more")
    return tensor.reshape(-1)
