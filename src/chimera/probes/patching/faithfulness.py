"""How far an intervention on a network does what it should.

With d_i the change of the output of pair i under the intervention and w_i the change wanted,

    transfer     = mean_i <d_i, w_i> / ||w_i||^2                                          linear
    faithfulness = 1 - sum_i ||d_i - w_i||^2 / sum_i ||w_i||^2, cut to [0, 1]              quadratic

Both are 0 if nothing changes and 1 if all is as wanted; faithfulness takes off what arrives beside
the wanted. The null gives each intervention the wanted change of another pair, in an order that
leaves none in its place: it has what all pairs have in common.

B pairs, C channel, N x N space.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from chimera.fields.bands import band_products
from chimera.probes.common.effects import share_along

PERMUTATIONS = 999
LEADING = 0.9  # share of a site's squared difference between two runs in its leading directions


class Score(NamedTuple):
    """Scores over all wavenumbers, then in the low, mid and high band.

    `spread` is the standard deviation of the transfer over pairs, `null` the mean faithfulness
    under the null, `p` the share of permutations, the identity among them, that are as faithful.
    """

    transfer: tuple[float, ...]
    spread: tuple[float, ...]
    faithfulness: tuple[float, ...]
    null: float
    p: float


def score(moved: Tensor, wanted: Tensor, rng: np.random.Generator) -> Score:
    """Return the scores of changes (B, C, N, N), B >= 2, in float64."""
    bands = (band_products(a, b).sum(dim=1) for a, b in ((moved, wanted), (moved, moved),
                                                         (wanted, wanted)))  # fmt: skip
    both, own, total = (torch.cat([b.sum(dim=1, keepdim=True), b], dim=1) for b in bands)  # (B, 4)
    transfer = torch.where(total > 0, both / total, 0.0)
    transfer[:, 0] = share_along(moved, wanted)  # exact where moved = wanted
    pooled = total.sum(dim=0)
    faithful = torch.where(pooled > 0, (2 * both - own).sum(dim=0) / pooled, 0.0).clamp(0, 1)
    cross = (moved.flatten(1) @ wanted.flatten(1).T).cpu().numpy()  # <d_i, w_j>
    orders = rng.permuted(np.tile(np.arange(len(cross)), (PERMUTATIONS, 1)), axis=1)
    exchanged, observed = cross[np.arange(len(cross)), orders].sum(axis=1), np.trace(cross)
    as_large = int(np.count_nonzero(exchanged >= observed - 1e-9 * abs(observed)))
    moved_square, wanted_square = (float(field.square().sum()) for field in (moved, wanted))
    deranged = exchanged[(orders != np.arange(len(cross))).all(axis=1)]
    null = np.clip((2 * deranged - moved_square) / (wanted_square or 1.0), 0, 1).mean()
    parts = (transfer.mean(dim=0), transfer.std(dim=0), faithful)
    mean, sd, faithfulness = (tuple(part.tolist()) for part in parts)
    return Score(mean, sd, faithfulness, float(null), (1 + as_large) / (1 + PERMUTATIONS))


def beside_leading(difference: Tensor) -> Tensor:
    """Return the part of activations (B, C, ...) orthogonal to their leading channel directions.

    These are the fewest eigenvectors of sum d d^T over pairs and cells that hold the share LEADING.
    Where they move nothing and the rest moves the output, the pathway is dormant: what differs most
    at the site is not what acts (Makelov et al. 2023, arXiv:2311.17030).
    """
    by_channel = difference.transpose(0, 1)
    flat = by_channel.flatten(1).double()  # (C, B H W)
    values, vectors = torch.linalg.eigh(flat @ flat.T)
    count = int((values.flip(0).cumsum(0) < LEADING * values.sum()).sum()) + 1
    leading = vectors[:, -count:]
    rest = (flat - leading @ (leading.T @ flat)).to(difference.dtype)
    return rest.reshape(by_channel.shape).transpose(0, 1)
