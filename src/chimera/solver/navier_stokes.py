"""Two-dimensional incompressible Navier-Stokes equations in vorticity form, pseudo-spectral.

    d omega / dt = -u . grad omega + nu laplacian omega - mu omega + curl F

on a periodic square of side L, omega = dv/dx - du/dy, with viscosity nu and linear drag mu.
Advection: chimera.solver.advection. Time stepping: chimera.solver.integrator. Dealiasing:
chimera.solver.spectral_grid. Largest step: chimera.solver.stability.

B trajectories, P pairs of them, N points a side, M kept modes a side.
"""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from chimera.errors import InputError
from chimera.solver.advection import Advection
from chimera.solver.forcing import KolmogorovForcing
from chimera.solver.integrator import AffineRungeKutta4
from chimera.solver.spectral_grid import SpectralGrid
from chimera.solver.stability import check_stability

_CHECK_EVERY = 10


class _Pairing:
    """Which trajectories share a complex field: 2 i and 2 i + 1, or none with another."""

    def __init__(self, count: int, members: int) -> None:
        self.count, self.members, self.pairs = count, members, -(-count // members)

    def pack(self, fields: Tensor) -> Tensor:
        """Return (P, N, N, 2), zero where a partner is missing, of real fields (B, N, N)."""
        packed = fields.new_zeros((self.pairs, *fields.shape[1:], 2))
        for member in range(self.members):
            part = fields[member :: self.members]
            packed[: len(part), ..., member] = part
        return packed

    def unpack(self, packed: Tensor) -> Tensor:
        """Return (B, ...) of (P, ..., 2)."""
        return packed[..., : self.members].movedim(-1, 1).flatten(0, 1)[: self.count]


def simulate(
    vorticity: Tensor,
    *,
    viscosity: float | Tensor,
    domain_extent: float,
    time_step: float,
    num_steps: int,
    save_every: int = 1,
    drag: float | Tensor = 0.0,
    forcing: KolmogorovForcing | None = None,
    start_time: float = 0.0,
    names: Sequence[str] | None = None,
    progress: Callable[[int], object] = lambda _: None,
) -> Tensor:
    """Integrate vorticity fields in time.

    Args:
        vorticity: Initial fields (B, N, N), x before y, float32 or float64; the computation has the
            same precision and device. Modes beyond the 2/3 cut are dropped at once.
        viscosity: nu, one number or one for each trajectory (B,).
        domain_extent: Side L of the periodic square.
        time_step: h.
        num_steps: Steps to take.
        save_every: Steps between two saved frames.
        drag: mu, one number or one for each trajectory (B,).
        forcing: Body force, the same for all.
        start_time: Time of the initial fields, for what errors say.
        names: What errors call the trajectories; "trajectory 0" and so on by default.
        progress: Told the number of steps taken since its last call.

    Returns:
        Frames (B, 1 + num_steps // save_every, N, N), the first at start_time.

    Raises:
        InputError: If an argument cannot be used, the time step is too large for the flow, or the
            solution ceases to be finite; it names the trajectory and the time.
    """
    _check(vorticity, domain_extent, time_step, num_steps, save_every)
    B, N, _ = vorticity.shape
    nu = _per_trajectory("viscosity", viscosity, vorticity)
    mu = _per_trajectory("drag", drag, vorticity)
    # Partners share their multipliers; trajectories that differ in them get zeros as partner.
    alike = bool((nu == nu[0]).all() and (mu == mu[0]).all())
    pairing = _Pairing(B, members=2 if alike else 1)
    grid = SpectralGrid(N, pairing.pairs, vorticity.dtype.to_complex(), vorticity.device)
    M = grid.num_modes
    state = vorticity.new_empty((pairing.pairs, M, M, 2))
    one = vorticity.new_ones((M, M, 2))
    grid.to_modes(torch.view_as_complex(pairing.pack(vorticity)), one, state)

    m_x, m_y = grid.integer_wavenumbers()
    square = (m_x.square() + m_y.square()) * (2 * math.pi / domain_extent) ** 2
    rates = slice(0, 1) if alike else slice(None)
    growth = -nu[rates, None, None] * square - mu[rates, None, None]  # (1 or P, M, M)
    source = _source(forcing, grid, domain_extent, pairing.members, vorticity.device)
    scheme = AffineRungeKutta4(
        growth.to(vorticity.dtype)[..., None].repeat(1, 1, 1, 2),
        source.to(vorticity.dtype),
        time_step,
        state,
    )
    advection = Advection(N, domain_extent, state)
    frames = vorticity.new_empty((B, 1 + num_steps // save_every, N, N))

    def save(number: int) -> None:
        fields = grid.to_grid(one[..., 0], torch.view_as_complex(state))
        frames[:, number] = pairing.unpack(torch.view_as_real(fields))

    def check(number: int) -> None:
        speed = pairing.unpack(advection.largest_speed(state))
        cfl = speed * time_step * N / domain_extent
        check_stability(cfl, names, start_time + number * time_step, time_step)

    save(0)
    check(0)
    reported = 0
    for number in range(1, num_steps + 1):
        scheme.step_(state, advection)
        if number % _CHECK_EVERY == 0 or number == num_steps:
            check(number)
            progress(number - reported)
            reported = number
        if number % save_every == 0:
            save(number // save_every)
    return frames


def _source(
    forcing: KolmogorovForcing | None,
    grid: SpectralGrid,
    domain_extent: float,
    members: int,
    device: torch.device,
) -> Tensor:
    """Return the modes (M, M, 2) of curl F for every member of a pair, float64."""
    N, M = grid.num_points, grid.num_modes
    curl = torch.zeros((1, N, N, 2), dtype=torch.float64, device=device)
    if forcing is not None:
        if forcing.wavenumber > grid.highest:
            raise InputError(
                f"forcing.wavenumber is {forcing.wavenumber}, expected at most {grid.highest}, the "
                f"highest that dealiasing keeps on {N} points"
            )
        curl[..., :members] = forcing.vorticity_source(N, domain_extent).to(device)[..., None]
    source = curl.new_empty((1, M, M, 2))
    single = SpectralGrid(N, 1, torch.complex128, device)
    single.to_modes(torch.view_as_complex(curl), curl.new_ones((M, M, 2)), source)
    return source[0]


def _check(
    vorticity: Tensor, domain_extent: float, time_step: float, num_steps: int, save_every: int
) -> None:
    if vorticity.dim() != 3 or vorticity.shape[1] != vorticity.shape[2] or not len(vorticity):
        raise InputError(
            f"vorticity has shape {tuple(vorticity.shape)}, expected (trajectories, N, N)"
        )
    if vorticity.dtype not in (torch.float32, torch.float64):
        raise InputError(f"vorticity is {vorticity.dtype}, expected torch.float32 or torch.float64")
    for name, value in (("domain_extent", domain_extent), ("time_step", time_step)):
        if not 0 < value < math.inf:
            raise InputError(f"{name} is {value}, expected a number greater than 0")
    if num_steps < 0 or save_every < 1:
        raise InputError(
            f"num_steps is {num_steps} and save_every {save_every}, expected at least 0 and 1"
        )
    if not bool(vorticity.isfinite().all()):
        number = int((~vorticity.isfinite()).flatten(1).any(dim=1).nonzero()[0])
        raise InputError(f"vorticity of trajectory {number} is not finite at time 0")


def _per_trajectory(name: str, value: float | Tensor, vorticity: Tensor) -> Tensor:
    tensor = torch.as_tensor(value, dtype=torch.float64, device=vorticity.device)
    if tensor.dim() > 1 or (tensor.dim() == 1 and len(tensor) != len(vorticity)):
        raise InputError(
            f"{name} has shape {tuple(tensor.shape)}, expected a number or one for each of the "
            f"{len(vorticity)} trajectories"
        )
    if not bool((tensor >= 0).all() and tensor.isfinite().all()):
        raise InputError(f"{name} is {value}, expected 0 or more")
    return tensor.expand(len(vorticity))
