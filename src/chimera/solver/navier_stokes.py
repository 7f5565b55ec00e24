"""Two-dimensional incompressible Navier-Stokes equations in vorticity form, pseudo-spectral.

    d omega / dt = -u . grad omega + nu laplacian omega - mu omega + curl F,    omega = dv/dx -
    du/dy

on a periodic square of side L, with viscosity nu and linear drag mu. The advection is written as
in Basdevant 1983 (J. Comput. Phys. 50, 209, eq. 7), which needs four transforms instead of five:

    -u . grad omega = -(dxx - dyy)(u v) - dxy (v^2 - u^2).

Time stepping: chimera.solver.integrator. Dealiasing: chimera.solver.spectral_grid.

B trajectories, P pairs of them, N points a side, M kept modes a side.
"""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from chimera.errors import InputError
from chimera.solver.forcing import KolmogorovForcing
from chimera.solver.integrator import AffineRungeKutta4
from chimera.solver.spectral_grid import SpectralGrid

# Runge-Kutta's stability interval on the imaginary axis is 2.83 (Hairer & Wanner, IV.2), and the
# highest kept wavenumber is (2 pi / L) N / 3: h (|u| + |v|) N / L must stay below 2.83 * 3 / (2
# pi).
LARGEST_CFL = 2 * math.sqrt(2) * 3 / (2 * math.pi)
_CHECK_EVERY = 10


class _Advection:
    """The tendency -u . grad omega of P complex fields, each two real vorticities."""

    def __init__(self, grid: SpectralGrid, pairs: int, state: Tensor, domain_extent: float) -> None:
        m_x, m_y = grid.integer_wavenumbers()
        unit = 2 * math.pi / domain_extent
        square = m_x.square() + m_y.square()
        square[0, 0] = 1.0
        rotation = torch.stack([1j * m_y / square, -1j * m_x / square]) / unit  # omega to (u, v)
        M, N = grid.num_modes, grid.num_points
        complex_dtype = torch.complex128 if state.dtype == torch.float64 else torch.complex64
        self._grid = grid
        self._rotation = rotation.to(complex_dtype)[:, None].contiguous()  # (2, 1, M, M)
        doubled = torch.stack([m_x.square() - m_y.square(), m_x * m_y]) * unit**2
        doubled = doubled.to(state.dtype)[..., None].expand(2, M, M, 2).contiguous()
        self._uv_factor, self._square_factor = doubled[0], doubled[1]
        self._modes = torch.empty((2, pairs, M, M), dtype=complex_dtype, device=state.device)
        self._products = torch.empty((2, pairs, N, N, 2), dtype=state.dtype, device=state.device)
        self._difference = torch.empty((pairs, N, N, 2), dtype=state.dtype, device=state.device)

    def velocity(self, state: Tensor) -> Tensor:
        """Return u and v (2, P, N, N, 2) on the grid of the modes `state` (P, M, M, 2)."""
        torch.mul(self._rotation, torch.view_as_complex(state), out=self._modes)
        # Both components are one batch of transforms: (2, P) is flattened to 2 P.
        grid = self._grid.to_grid(self._modes.flatten(0, 1))
        return torch.view_as_real(grid).unflatten(0, self._modes.shape[:2])

    def __call__(self, state: Tensor, out: Tensor) -> None:
        """Write the tendency of the modes `state` (P, M, M, 2) into `out`."""
        u, v = self.velocity(state)
        torch.mul(u, v, out=self._products[0])
        torch.sub(v, u, out=self._difference)
        torch.add(v, u, out=self._products[1])
        self._products[1].mul_(self._difference)
        products = torch.view_as_complex(self._products).flatten(0, 1)
        modes = self._grid.to_modes(products, out=self._modes.flatten(0, 1))
        uv, squares = torch.view_as_real(modes).unflatten(0, self._modes.shape[:2])
        torch.mul(self._uv_factor, uv, out=out)
        out.addcmul_(self._square_factor, squares)


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
    paired = bool((nu == nu[0]).all() and (mu == mu[0]).all())
    order = range(0, B, 2) if paired else range(B)
    pairs = len(order)
    fields = torch.zeros((pairs, N, N, 2), dtype=vorticity.dtype, device=vorticity.device)
    fields[..., 0] = vorticity[:: 2 if paired else 1].transpose(-1, -2)
    if paired:
        fields[: B // 2, ..., 1] = vorticity[1::2].transpose(-1, -2)

    complex_dtype = torch.complex128 if vorticity.dtype == torch.float64 else torch.complex64
    grid = SpectralGrid(N, 2 * pairs, complex_dtype, vorticity.device)
    single = SpectralGrid(N, pairs, complex_dtype, vorticity.device)
    M = grid.num_modes
    state = torch.zeros((pairs, M, M, 2), dtype=vorticity.dtype, device=vorticity.device)
    single.to_modes(torch.view_as_complex(fields), out=torch.view_as_complex(state))

    m_x, m_y = grid.integer_wavenumbers()
    square = (m_x.square() + m_y.square()) * (2 * math.pi / domain_extent) ** 2
    shared = slice(0, 1) if paired else slice(None)
    growth = -nu[shared, None, None] * square - mu[shared, None, None]  # (1 or P, M, M)
    source = torch.zeros((M, M), dtype=torch.complex128, device=vorticity.device)
    if forcing is not None:
        if forcing.wavenumber > grid.highest:
            raise InputError(
                f"forcing.wavenumber is {forcing.wavenumber}, expected at most {grid.highest}, the "
                f"highest that dealiasing keeps on {N} points"
            )
        curl = forcing.vorticity_source(N, domain_extent).to(vorticity.device)
        one = SpectralGrid(N, 1, torch.complex128, vorticity.device)
        pattern = torch.complex(curl, curl if paired else torch.zeros_like(curl))
        one.to_modes(pattern.T[None].contiguous(), out=source[None])
    scheme = AffineRungeKutta4(
        growth.to(vorticity.dtype)[..., None].expand(-1, M, M, 2).contiguous(),
        torch.view_as_real(source).to(vorticity.dtype),
        time_step,
        state,
    )
    advection = _Advection(grid, pairs, state, domain_extent)

    frames = torch.empty(
        (B, 1 + num_steps // save_every, N, N), dtype=vorticity.dtype, device=vorticity.device
    )

    def save(number: int) -> None:
        field = torch.view_as_real(single.to_grid(torch.view_as_complex(state)))
        field = field.transpose(1, 2)  # (P, x, y, 2)
        if paired:
            frames[0::2, number] = field[..., 0]
            frames[1::2, number] = field[: B // 2, ..., 1]
        else:
            frames[:, number] = field[..., 0]

    def check(number: int) -> None:
        speed = advection.velocity(state).abs().sum(dim=0).amax(dim=(1, 2))  # (P, 2)
        cfl = (speed.flatten()[:B] if paired else speed[:, 0]) * time_step * N / domain_extent
        _check_stability(cfl, names, start_time + number * time_step, time_step)

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


def _check_stability(
    cfl: Tensor, names: Sequence[str] | None, time: float, time_step: float
) -> None:
    unstable = ~(cfl <= LARGEST_CFL)  # NaN too
    if not bool(unstable.any()):
        return
    number = int(unstable.nonzero()[0])
    name, value = names[number] if names else f"trajectory {number}", float(cfl[number])
    if math.isfinite(value):
        raise InputError(
            f"{name} has CFL number {value:.3g} at time {time:.6g}, expected at most "
            f"{LARGEST_CFL:.3g}: the time step is {time_step:.4g} and must be at most "
            f"{time_step * LARGEST_CFL / value:.4g}"
        )
    raise InputError(
        f"{name} blew up before time {time:.6g} with time step {time_step:.4g}, "
        "expected finite vorticity: take a smaller time step"
    )
