"""Edits of one convolution that repair one failing forecast, each at its own optimum.

A convolution is a linear map of patches, v = W k (+ bias). Among all dW with (W + dW) K = V* the
one that changes the outputs for usual keys least, tr(dW C dW^T) minimal with C = E[k k^T], is

    dW = (V* - W K) (lambda + K^T C^-1 K)^-1 K^T C^-1,    lambda = 0

(Meng et al. 2022, arXiv:2202.05262, eq. 2, for one key; Meng et al. 2023, arXiv:2210.07229, eq. 14,
for several). With lambda > 0 it is the soft form R K^T (lambda C + K K^T)^-1, a trade-off between
the rest of the residual R = V* - W K and the drift. The keys are the patches with the largest error
of the failing forecast. Every contender minimises

    J = ||f(x) - y||^2 / ||f_0(x) - y||^2 + rho ||f(x_p) - f_0(x_p)||^2 / ||f_0(x_p) - y_p||^2

for the edited network f, the failure (x, y) and IND samples (x_p, y_p) to be preserved, over its
own set of dW:

    rome         the update above, over V*
    identity     the same with C = I
    low_rank     all dW = A B of the same rank, from ROME's keys on
    gradient     all multiples of the gradient of J at dW = 0
    unpreserved  as rome, with rho = 0: shows what preservation, and not the update, gives

B batch, C channel, H, W space; G groups, D patch dimensions of a group, n keys.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial
from statistics import fmean
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from torch import Tensor, nn

from chimera.interface.errors import InputError
from chimera.models.forecasting.optimizers import LBFGS
from chimera.models.forecasting.stepping import evaluation_mode
from chimera.probes.rome import convolutions
from chimera.probes.rome.failure import Failure, error_norms
from chimera.probes.rome.settings import RomeSettings

Matrix = TypeVar("Matrix", Tensor, NDArray[np.floating])


def rank_one_update(
    weight: Matrix, keys: Matrix, values: Matrix, covariance: Matrix, softness: float = 0.0
) -> Matrix:
    """Return dW, of the rank of the keys, such that W + dW maps the keys to the values.

    The weight is W (O, D), keys are K (D, n), or (D,) for one, and values are the targets V* (O, n)
    or (O,), not the residual V* - W K. The covariance C (D, D) is the uncentred second moment of
    usual keys. A softness lambda of 0 gives the values exactly, more leaves a part of the residual.
    dW (O, D) is computed in float64, and has the type and precision of a weight of floats.

    It is an InputError if shapes do not match, a value is not finite, C is not symmetric and
    positive definite, the keys are linearly dependent and softness is 0, or it is negative.

    >>> weight, key, value = np.zeros((1, 2)), np.array([1.0, 0.0]), np.array([3.0])
    >>> rank_one_update(weight, key, value, np.array([[2.0, 1.0], [1.0, 2.0]]))
    array([[ 3. , -1.5]])
    """
    given = torch.as_tensor(weight)
    W, K, V, C = (torch.as_tensor(m).double() for m in (given, keys, values, covariance))
    K, V = (m[:, None] if m.dim() == 1 else m for m in (K, V))
    D, n = K.shape if K.dim() == 2 else (0, 0)
    if not D * n or W.shape[1:] != (D,) or V.shape != (len(W), n):
        raise InputError(
            f"keys have shape {tuple(K.shape)} and values {tuple(V.shape)} for a weight of shape "
            f"{tuple(W.shape)}, expected (D, n) and (O, n) for (O, D), not empty"
        )
    if C.shape != (D, D):
        raise InputError(f"the covariance C has shape {tuple(C.shape)}, expected {(D, D)}")
    if not 0 <= softness < math.inf:
        raise InputError(f"softness is {softness}, expected 0 or more")
    if not all(matrix.isfinite().all() for matrix in (W, K, V)):
        raise InputError("weight, keys or values hold NaN or infinite values, expected finite ones")
    whitened, overlap = _whiten(K, C, softness)
    dW = (V - W @ K) @ torch.linalg.solve(overlap, whitened.T)
    dW = dW.to(given.dtype) if given.is_floating_point() else dW
    return dW if isinstance(weight, Tensor) else dW.numpy()


def _whiten(keys: Tensor, covariance: Tensor, softness: float) -> tuple[Tensor, Tensor]:
    """Return C^-1 K (D, n) and lambda + K^T C^-1 K (n, n)."""
    _require_regular(covariance, "the covariance C", "use more independent activations")
    whitened = torch.linalg.solve(covariance, keys)
    overlap = keys.T @ whitened
    overlap.diagonal().add_(softness)
    overlap = (overlap + overlap.T) / 2
    _require_regular(overlap, "K^T C^-1 K of the keys", "use fewer keys or a softness above 0")
    return whitened, overlap


def _require_regular(matrix: Tensor, name: str, remedy: str) -> None:
    if not torch.isfinite(matrix).all():
        raise InputError(f"{name} holds NaN or infinite values, expected finite ones")
    if (matrix - matrix.T).abs().max() > 1e-5 * matrix.abs().max():  # more than float32 rounds
        raise InputError(f"{name} is not symmetric, expected a symmetric matrix")
    eigenvalues = torch.linalg.eigvalsh(matrix)
    smallest, largest = float(eigenvalues[0]), float(eigenvalues[-1])
    if smallest <= len(matrix) * torch.finfo(matrix.dtype).eps * largest:
        raise InputError(
            f"{name} is singular (eigenvalues {smallest:.1e} to {largest:.1e}), expected a "
            f"positive definite matrix: {remedy}"
        )


METHODS = ("rome", "identity", "low_rank", "gradient", "unpreserved")


class Repair(NamedTuple):
    """Result of one update of a layer.

    With e the norm of an error before and e' after, averaged over samples: `efficacy` is 1 - e'/e
    at the target, `later_frames` and `other_trajectories` are 1 - e'/e there, `ind_drift` is
    e'/e - 1 on held out IND samples, and `axes_drift` its mean over the other OOD axes, 0 without
    any. `update_norm` is ||dW|| / ||W||, and `objective` is J, 1 before the edit.
    """

    efficacy: float
    later_frames: float
    other_trajectories: float
    ind_drift: float
    axes_drift: float
    update_norm: float
    objective: float


def edit(
    model: nn.Module,
    layer: str,
    failure: Failure,
    settings: RomeSettings,
    rng: np.random.Generator,
    methods: Sequence[str] = METHODS,
) -> dict[str, Repair]:
    """Return the repair of a failing forecast by edits of one convolution, of some of METHODS.

    The layer is the path of an `nn.Conv2d` in `named_modules()`; the IND keys for C are drawn. The
    model stays as it is. It is an InputError if the layer is not a convolution with periodic
    padding, an activation is not finite, C is singular or has too few keys, or the keys do not fit
    into the frame.
    """
    conv = convolutions.find_convolution(model, layer)
    with evaluation_mode(model):
        before = _errors(model, failure)
        if not min(before) > 0:
            raise InputError("a forecast that judges the edit has no error, expected a failure")
        keys = convolutions.failing_keys(model, conv, failure.target, settings.num_keys)
        usual, share = failure.reference.inputs, settings.keys_per_dimension
        moment = convolutions.second_moment(
            convolutions.reference_keys(model, conv, usual, share, rng)
        )
        identity = torch.eye(keys.shape[1], dtype=keys.dtype, device=keys.device).expand_as(moment)
        objective = _objective(model, layer, failure)
        wanted, bare = (partial(objective, rho) for rho in (settings.preservation, 0.0))
        contenders = {
            "rome": partial(_closed_form, wanted, conv, keys, moment, settings),
            "identity": partial(_closed_form, wanted, conv, keys, identity, settings),
            "low_rank": partial(_low_rank, wanted, conv, keys, moment, settings),
            "gradient": partial(_gradient_step, wanted, conv),
            "unpreserved": partial(_closed_form, bare, conv, keys, moment, settings),
        }
        repairs = {}
        for method in methods:
            dW = contenders[method]()
            after = _errors(convolutions.updated(model, layer, dW), failure)
            rises = (e / e0 - 1 for e, e0 in zip(after, before, strict=True))
            target, later, others, held_out, *elsewhere = rises
            with torch.no_grad():
                repairs[method] = Repair(
                    efficacy=-target,
                    later_frames=-later,
                    other_trajectories=-others,
                    ind_drift=held_out,
                    axes_drift=fmean(elsewhere or [0.0]),
                    update_norm=float(dW.norm() / conv.weight.norm()),
                    objective=float(wanted(dW)),
                )
        return repairs


Loss = Callable[[Tensor], Tensor]


def _objective(model: nn.Module, layer: str, failure: Failure) -> Callable[[float, Tensor], Tensor]:
    """Return J as a function of rho and dW, which has the shape of the layer's weight."""
    target, preserved = failure.target, failure.preserved
    inputs, split = torch.cat([target.inputs, preserved.inputs]), len(target.inputs)
    with torch.no_grad():
        failing, kept = model(inputs).split([split, len(preserved.inputs)])
    failing_error = (failing - target.targets).square().sum()
    kept_error = (kept - preserved.targets).square().sum()

    def objective(preservation: float, dW: Tensor) -> Tensor:
        now = convolutions.updated(model, layer, dW)(inputs)
        repaired = (now[:split] - target.targets).square().sum() / failing_error
        return repaired + preservation * ((now[split:] - kept).square().sum() / kept_error)

    return objective


def _group_weight(conv: nn.Conv2d) -> Tensor:
    """Return the weight as (G, O, D)."""
    return conv.weight.detach().double().flatten(1).unflatten(0, (conv.groups, -1))


def _directions(keys: Tensor, moment: Tensor, softness: float) -> tuple[Tensor, Tensor]:
    """Return S (G, n, n) and S^-1 K^T C^-1 (G, n, D), with S S^T = lambda + K^T C^-1 K."""
    groups = [_whiten(K, C, softness) for K, C in zip(keys, moment, strict=True)]
    whitened, overlap = (torch.stack(matrices) for matrices in zip(*groups, strict=True))
    scale = torch.linalg.cholesky(overlap)
    return scale, torch.linalg.solve_triangular(scale, whitened.mT, upper=False)


def _closed_form(
    loss: Loss, conv: nn.Conv2d, keys: Tensor, moment: Tensor, settings: RomeSettings
) -> Tensor:
    """Return the update for the V* that minimises the loss, by L-BFGS.

    The unknown is Z in V* = W K + Z S^T, so that dW = Z S^-1 K^T C^-1: for lambda = 0 the drift
    tr(dW C dW^T) is ||Z||^2, equal for all directions.
    """
    scale, basis = _directions(keys, moment, settings.softness)
    values, shape = _group_weight(conv) @ keys, conv.weight.shape
    start = [torch.zeros_like(values)]
    (z,) = _minimise(lambda z: loss((z @ basis).reshape(shape)), start, settings.iterations)
    groups = zip(_group_weight(conv), keys, values + z @ scale.mT, moment, strict=True)
    updates = [rank_one_update(W, K, V, C, settings.softness) for W, K, V, C in groups]
    return torch.cat(updates).reshape(shape).to(conv.weight.dtype)


def _low_rank(
    loss: Loss, conv: nn.Conv2d, keys: Tensor, moment: Tensor, settings: RomeSettings
) -> Tensor:
    """Return the best dW = A B, A (G, O, n), B (G, n, D), from A = 0 and ROME's directions B."""
    (_, basis), shape = _directions(keys, moment, settings.softness), conv.weight.shape
    start = [torch.zeros_like(_group_weight(conv) @ keys), basis]
    A, B = _minimise(lambda A, B: loss((A @ B).reshape(shape)), start, settings.iterations)
    return (A @ B).reshape(shape).to(conv.weight.dtype)


def _minimise(
    loss_of: Callable[..., Tensor], starts: Sequence[Tensor], iterations: int
) -> list[Tensor]:
    unknowns = [start.contiguous().clone().requires_grad_() for start in starts]
    optimiser = LBFGS(
        unknowns, max_iter=iterations, max_eval=2 * iterations, line_search_fn="strong_wolfe"
    )

    def closure() -> Tensor:
        optimiser.zero_grad()
        loss = loss_of(*unknowns)
        loss.backward(inputs=unknowns)  # no other weight needs its gradient
        return loss

    with torch.enable_grad():
        optimiser.step(closure)
    return [unknown.detach() for unknown in unknowns]


@torch.no_grad()
def _gradient_step(loss: Loss, conv: nn.Conv2d) -> Tensor:
    """Return the multiple of minus the gradient at 0 with the least loss."""
    zero = torch.zeros_like(conv.weight).requires_grad_()
    with torch.enable_grad():
        (slope,) = torch.autograd.grad(loss(zero), zero)
    if not slope.any():
        raise InputError("the output does not depend on the layer, expected one that matters")
    direction = -slope / slope.norm() * conv.weight.norm()

    def at(exponent: float) -> float:
        found = float(loss(2.0**exponent * direction))
        return found if math.isfinite(found) else math.inf

    coarse = min(range(-14, 3, 2), key=at)  # in powers of 4 of ||W||
    bounds = (coarse - 2, coarse + 2)
    fine = minimize_scalar(at, bounds=bounds, method="bounded", options={"maxiter": 10})
    return 2.0 ** float(fine.x) * direction


def _errors(model: Callable[[Tensor], Tensor], failure: Failure) -> list[float]:
    """Return the mean error of the samples for each of Repair's first fields, in their order."""
    judges = (failure.target, failure.later, failure.others, failure.held_out, *failure.elsewhere)
    return [float(error_norms(model, judge.inputs, judge.targets).mean()) for judge in judges]
