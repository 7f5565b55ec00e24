"""Fourth-order Runge-Kutta with an integrating factor for the affine part.

For w' = lambda w + F + N(w) with diagonal lambda and constant F, the affine part has the exact flow

    S(w) = E w + Phi,    E = exp(lambda h / 2),    Phi = (E - 1) / lambda F

over half a step h / 2. Classical Runge-Kutta of N in the coordinates that move with S (Lawson 1967,
SIAM J. Numer. Anal. 4, 372, generalised from a linear to an affine flow) reads

    k1 = N(w)                        k2 = N(S(w) + h/2 E k1)
    k3 = N(S(w) + h/2 k2)            k4 = N(S(S(w)) + h E k3)
    w <- S(S(w)) + h/6 (E^2 k1 + 2 E (k2 + k3) + k4).

A state with N(w) = 0 and lambda w + F = 0 is a fixed point exactly, not to order h^4.
"""

from collections.abc import Callable

import torch
from torch import Tensor

Tendency = Callable[[Tensor, Tensor], None]


class AffineRungeKutta4:
    """The scheme for one step size h; memory is allocated once, in the form of any `state`.

    `growth` is lambda, real, and `source` is F; both broadcast against the state.
    """

    def __init__(self, growth: Tensor, source: Tensor, time_step: float, state: Tensor) -> None:
        half = growth * (time_step / 2)
        self._half = half.exp()  # E
        # (E - 1) / lambda tends to h / 2 as lambda tends to 0.
        nonzero = torch.where(growth == 0, 1.0, growth)
        ratio = torch.where(growth == 0, time_step / 2, torch.expm1(half) / nonzero)
        self._shift = ratio * source  # Phi
        self._time_step = time_step
        self._k1, self._k2, self._k3 = (torch.empty_like(state) for _ in range(3))
        self._moved, self._stage = torch.empty_like(state), torch.empty_like(state)

    def step_(self, state: Tensor, tendency: Tendency) -> None:
        """Advance the state in place; `tendency(w, out)` writes N(w) into `out`."""
        h, E, moved, stage = self._time_step, self._half, self._moved, self._stage
        k1, k2, k3 = self._k1, self._k2, self._k3
        tendency(state, k1)
        torch.addcmul(self._shift, E, state, out=moved)  # S(w)
        k1.mul_(E)  # E k1
        torch.add(moved, k1, alpha=h / 2, out=stage)
        tendency(stage, k2)
        torch.add(moved, k2, alpha=h / 2, out=stage)
        tendency(stage, k3)
        torch.addcmul(self._shift, E, moved, out=state)  # S(S(w))
        torch.addcmul(state, E, k3, value=h, out=stage)
        k1.add_(k2, alpha=2).add_(k3, alpha=2)  # E k1 + 2 (k2 + k3)
        tendency(stage, k2)
        state.addcmul_(E, k1, value=h / 6).add_(k2, alpha=h / 6)
