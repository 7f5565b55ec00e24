"""A rank-one, or rank-n, edit of one convolution that repairs one failing forecast.

A convolution is a linear map of patches, v = W k (+ bias). Among all dW with (W + dW) K = V* the
one that changes the outputs for usual keys least, tr(dW C dW^T) minimal with C = E[k k^T], is

    dW = (V* - W K) (lambda + K^T C^-1 K)^-1 K^T C^-1,    lambda = 0

(Meng et al. 2022, arXiv:2202.05262, eq. 2, for one key; Meng et al. 2023, arXiv:2210.07229, eq. 14,
for several). With lambda > 0 it is the soft form R K^T (lambda C + K K^T)^-1, a trade-off between
the rest of the residual R = V* - W K and the drift. The keys are the patches with the largest error
of the failing forecast, and V* minimises

    ||f(x) - y||^2 / ||f_0(x) - y||^2 + rho ||f(x_p) - f_0(x_p)||^2 / ||f_0(x_p) - y_p||^2

for the edited network f, the failure (x, y) and IND samples (x_p, y_p) to be preserved.

B batch, C channel, H, W space; G groups, D patch dimensions of a group, n keys.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.func import functional_call

from chimera.interface.errors import InputError
from chimera.probes.common.activations import evaluation_mode
from chimera.probes.rome.convolutions import (
    edited,
    failing_keys,
    find_convolution,
    reference_keys,
    second_moment,
)
from chimera.probes.rome.failure import Failure, Pairs, error_norms
from chimera.probes.rome.settings import EditSettings

Matrix = TypeVar("Matrix", Tensor, NDArray[np.floating])


def rank_one_update(
    weight: Matrix, keys: Matrix, values: Matrix, covariance: Matrix, softness: float = 0.0
) -> Matrix:
    """Return dW, of the rank of the keys, such that W + dW maps the keys to the values.

    Args:
        weight: W (O, D).
        keys: K (D, n), or (D,) for one key.
        values: The targets V* (O, n), or (O,): not the residual V* - W K.
        covariance: C (D, D), the uncentred second moment of usual keys.
        softness: lambda; 0 gives the values exactly, more leaves a part of the residual.

    Returns:
        dW (O, D), computed in float64, of the type and precision of the weight.

    Raises:
        InputError: If shapes do not match, C is not positive definite, or the keys are linearly
            dependent and softness is 0.

    Example:
        >>> weight, key, value = np.zeros((1, 2)), np.array([1.0, 0.0]), np.array([3.0])
        >>> rank_one_update(weight, key, value, np.array([[2.0, 1.0], [1.0, 2.0]]))
        array([[ 3. , -1.5]])
    """
    W, K, V, C = (torch.as_tensor(m).double() for m in (weight, keys, values, covariance))
    K, V = (m[:, None] if m.dim() == 1 else m for m in (K, V))
    D, n = K.shape
    if W.shape[1] != D or V.shape != (len(W), n):
        raise InputError(
            f"keys have shape {(D, n)} and values {tuple(V.shape)} for a weight of shape "
            f"{tuple(W.shape)}, expected (D, n) and (O, n) for (O, D)"
        )
    if C.shape != (D, D):
        raise InputError(
            f"the covariance C has shape {tuple(C.shape)}, expected {(D, D)} for keys of "
            f"{D} dimensions"
        )
    whitened, overlap = _whiten(K, C, softness)
    dW = (V - W @ K) @ torch.linalg.solve(overlap, whitened.T)
    return dW.to(weight.dtype) if isinstance(weight, Tensor) else dW.numpy().astype(weight.dtype)


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
    eigenvalues = torch.linalg.eigvalsh(matrix)
    smallest, largest = float(eigenvalues[0]), float(eigenvalues[-1])
    if smallest <= len(matrix) * torch.finfo(matrix.dtype).eps * largest:
        raise InputError(
            f"{name} is singular (eigenvalues {smallest:.1e} to {largest:.1e}), expected a "
            f"positive definite matrix: {remedy}"
        )


class Repair(NamedTuple):
    """Result of one update of a layer.

    With e the norm of an error before and e' after, averaged over samples: `efficacy` is 1 - e'/e
    at the target, `later_frames` and `other_trajectories` are 1 - e'/e there, `ind_drift` is
    e'/e - 1 on held out IND samples. `update_norm` is ||dW|| / ||W||.
    """

    efficacy: float
    later_frames: float
    other_trajectories: float
    ind_drift: float
    update_norm: float


def edit(
    model: nn.Module, layer: str, failure: Failure, settings: EditSettings, rng: np.random.Generator
) -> dict[str, Repair]:
    """Edit one convolution so that a failing forecast is repaired, judge the edit, and undo it.

    The layer is the path of an `nn.Conv2d` in `named_modules()`; the IND keys for C are drawn.

    Returns:
        The repairs by `rome`, the update above; `gradient`, the shortest gradient step of equal
        efficacy, or the best step if none reaches it; `identity`, the update with C = I.

    Raises:
        InputError: If the layer is not a convolution with periodic padding, an activation is not
            finite, C is singular or has too few keys, or the keys do not fit into the frame.
    """
    conv = find_convolution(model, layer)
    with evaluation_mode(model):
        before = _errors(model, failure)
        if not min(before) > 0:
            raise InputError(
                "a forecast that judges the edit has no error, expected a failure to repair"
            )
        keys = failing_keys(model, conv, failure.target, settings.num_keys)
        moment = second_moment(
            reference_keys(model, conv, failure.reference.inputs, settings.keys_per_dimension, rng)
        )
        values = _optimise_values(model, layer, keys, moment, failure, settings)
        identity = torch.eye(keys.shape[1], dtype=keys.dtype, device=keys.device).expand_as(moment)
        update = _layer_update(conv, keys, values, moment, settings.softness)
        updates = {
            "rome": update,
            "gradient": _gradient_step(model, layer, failure.target, update),
            "identity": _layer_update(conv, keys, values, identity, settings.softness),
        }
        return {name: _judge(model, conv, dW, failure, before) for name, dW in updates.items()}


def _group_weight(conv: nn.Conv2d) -> Tensor:
    """Return the weight as (G, O, D)."""
    return conv.weight.detach().double().flatten(1).unflatten(0, (conv.groups, -1))


def _layer_update(
    conv: nn.Conv2d, keys: Tensor, values: Tensor, moment: Tensor, softness: float
) -> Tensor:
    """Return dW in the shape and precision of the layer's weight."""
    groups = zip(_group_weight(conv), keys, values, moment, strict=True)
    updates = [rank_one_update(W, K, V, C, softness) for W, K, V, C in groups]
    return torch.cat(updates).reshape(conv.weight.shape).to(conv.weight.dtype)


def _optimise_values(
    model: nn.Module,
    layer: str,
    keys: Tensor,
    moment: Tensor,
    failure: Failure,
    settings: EditSettings,
) -> Tensor:
    """Return V* (G, O, n), by L-BFGS on the output of the edited network.

    The unknown is Z in V* = W K + Z S^T, S S^T = lambda + K^T C^-1 K, so that dW = Z S^-1 K^T C^-1:
    for lambda = 0 the drift tr(dW C dW^T) is ||Z||^2, equal for all directions.
    """
    conv = find_convolution(model, layer)
    groups = [_whiten(K, C, settings.softness) for K, C in zip(keys, moment, strict=True)]
    whitened, overlap = (torch.stack(matrices) for matrices in zip(*groups, strict=True))
    scale = torch.linalg.cholesky(overlap)
    basis = torch.linalg.solve_triangular(scale, whitened.mT, upper=False)  # S^-1 K^T C^-1
    target, preserved = failure.target, failure.preserved
    inputs = torch.cat([target.inputs, preserved.inputs])
    with torch.no_grad():
        output = model(inputs)
    split = len(target.inputs)
    target_error = (output[:split] - target.targets).square().sum()
    preserved_error = (output[split:] - preserved.targets).square().sum()

    def loss_of(z: Tensor) -> Tensor:
        dW = (z @ basis).reshape(conv.weight.shape).to(conv.weight.dtype)
        weights = {f"{layer}.weight": conv.weight.detach() + dW}
        now = functional_call(model, weights, (inputs,))
        failing = (now[:split] - target.targets).square().sum() / target_error
        moved = (now[split:] - output[split:]).square().sum() / preserved_error
        return failing + settings.preservation * moved

    values = _group_weight(conv) @ keys
    z = _minimise(loss_of, torch.zeros_like(values), settings.iterations)
    return values + z @ scale.mT


def _minimise(loss_of: Callable[[Tensor], Tensor], start: Tensor, iterations: int) -> Tensor:
    z = start.clone().requires_grad_()
    optimiser = torch.optim.LBFGS(
        [z], max_iter=iterations, max_eval=2 * iterations, line_search_fn="strong_wolfe"
    )

    def closure() -> Tensor:
        optimiser.zero_grad()
        loss = loss_of(z)
        loss.backward()
        return loss

    with torch.enable_grad():
        optimiser.step(closure)
    return z.detach()


def _gradient_step(model: nn.Module, layer: str, target: Pairs, update: Tensor) -> Tensor:
    """Return the shortest step along minus the gradient that has the efficacy of the update."""
    conv = find_convolution(model, layer)
    before = _mean_error(model, target)
    weight = conv.weight.detach().requires_grad_()
    with torch.enable_grad():
        output = functional_call(model, {f"{layer}.weight": weight}, (target.inputs,))
        (slope,) = torch.autograd.grad((output - target.targets).square().sum(), weight)
    if not slope.any():
        raise InputError(f"the output does not depend on {layer!r}, expected a layer that matters")
    direction = -slope / slope.norm() * update.norm()

    def efficacy(dW: Tensor) -> float:
        with edited(conv, dW):
            return 1 - _mean_error(model, target) / before

    wanted = efficacy(update)
    sizes = [2.0**exponent for exponent in range(-8, 5)]
    found = [efficacy(size * direction) for size in sizes]
    up = next((size for size, value in zip(sizes, found, strict=True) if value >= wanted), None)
    if up is None:
        return sizes[int(np.nanargmax(found))] * direction
    low = up / 2 if up > sizes[0] else 0.0
    for _ in range(12):
        middle = (low + up) / 2
        low, up = (low, middle) if efficacy(middle * direction) >= wanted else (middle, up)
    return up * direction


def _mean_error(model: nn.Module, pairs: Pairs) -> float:
    return float(error_norms(model, pairs.inputs, pairs.targets).mean())


def _errors(model: nn.Module, failure: Failure) -> list[float]:
    """Return the mean error of the samples for each of Repair's first fields, in their order."""
    judges = (failure.target, failure.later, failure.others, failure.held_out)
    return [_mean_error(model, pairs) for pairs in judges]


def _judge(
    model: nn.Module, conv: nn.Conv2d, update: Tensor, failure: Failure, before: Sequence[float]
) -> Repair:
    with edited(conv, update):
        after = _errors(model, failure)
    target, later, others, held_out = (1 - e / e0 for e, e0 in zip(after, before, strict=True))
    size = float(update.norm() / conv.weight.detach().norm())
    return Repair(target, later, others, -held_out, size)
