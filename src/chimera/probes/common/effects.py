"""The causal effect of each site, by patching activations from one run into another.

    RE = <y_patched - y_recipient, y_donor - y_recipient> / ||y_donor - y_recipient||^2

where y_patched is the output for the recipient's input with the donor's activation at the site
(interchange as in Geiger et al. 2021, arXiv:2106.02997; Meng et al. 2022, arXiv:2202.05262,
section 2.1, here for outputs that are fields). RE is linear in the change of the output: 0 where
nothing of the donor arrives, 1 where all of it does; it may lie outside.

    sufficiency: the donor's activation in the recipient's run brings RE of the donor's output
    necessity:   the recipient's activation in the donor's run takes RE of it away

so that the necessity of (donor, recipient) is the sufficiency of (recipient, donor). A block's
output is its columns' mean: to patch all columns of a fractal block is to patch the block.

B pairs, n trajectories, T time, C channel, N x N space.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from chimera.fields.bands import band_products
from chimera.interface.errors import InapplicableError, InputError
from chimera.probes.common.activations import capture, patched


@dataclass(frozen=True)
class Effects:
    """Recovered effects of one site: (B,) each, and (B, 3) in the low, mid and high band."""

    sufficiency: Tensor
    necessity: Tensor
    sufficiency_bands: Tensor
    necessity_bands: Tensor


class Summary(NamedTuple):
    """Mean over pairs, and the standard deviation from pair to pair (0 for a single pair)."""

    mean: float
    sd: float


def recovered_effect(
    model: nn.Module, donor: Tensor, recipient: Tensor, site: str | Sequence[str]
) -> Tensor:
    """Return RE, for each pair, of patching a site, or several together.

    Args:
        model: A network whose sites are identity modules; it is left as it was.
        donor: Inputs of the runs that give the activations, (B, ...).
        recipient: Inputs of the runs that take them, of the same shape.
        site: One name, or several that are patched at once; none patches nothing.

    Returns:
        RE (B,), float64; 0 for a pair whose outputs are equal, which has nothing to recover.

    Raises:
        InputError: If a site does not exist, the shapes differ, or an activation or output is not
            finite.

    Example:
        >>> network = nn.Sequential(nn.Identity(), nn.Flatten())
        >>> donor, recipient = torch.ones(2, 1, 4, 4), torch.zeros(2, 1, 4, 4)
        >>> recovered_effect(network, donor, recipient, "0")
        tensor([1., 1.], dtype=torch.float64)
        >>> recovered_effect(network, donor, recipient, [])
        tensor([0., 0.], dtype=torch.float64)
    """
    sites = [site] if isinstance(site, str) else list(site)
    giving, taking = _two_runs(model, donor, recipient, sites)
    change = taking.with_sites_of(giving, sites) - taking.output
    difference = giving.output - taking.output
    return _ratio(_product(change, difference), _product(difference, difference))


def recovered_effects(
    model: nn.Module, donor: Tensor, recipient: Tensor, sites: Iterable[str]
) -> dict[str, Effects]:
    """Return each site's effects in both directions, overall and by band of wavenumbers.

    Args:
        model: A network from (B, C, N, N) to (B, C, N, N) whose sites are identity modules.
        donor: Inputs (B, C, N, N).
        recipient: Inputs of the same shape.
        sites: Names of sites, patched one at a time.

    Returns:
        For each site its effects, float64; bands as in `chimera.fields.metrics.band_rmse`.

    Raises:
        InputError: As `recovered_effect`.

    Example:
        >>> network = nn.Sequential(nn.Identity(), nn.ReLU())
        >>> donor, recipient = torch.ones(1, 1, 8, 8), torch.zeros(1, 1, 8, 8)
        >>> effects = recovered_effects(network, donor, recipient, ["0"])
        >>> effects["0"].necessity, effects["0"].sufficiency_bands
        (tensor([1.], dtype=torch.float64), tensor([[1., 0., 0.]], dtype=torch.float64))
    """
    sites = list(sites)
    giving, taking = _two_runs(model, donor, recipient, sites)
    difference = giving.output - taking.output
    total, bands = _product(difference, difference), _band_product(difference, difference)
    effects = {}
    for site in sites:
        brought = taking.with_sites_of(giving, [site]) - taking.output
        taken = giving.output - giving.with_sites_of(taking, [site])
        effects[site] = Effects(
            sufficiency=_ratio(_product(brought, difference), total),
            necessity=_ratio(_product(taken, difference), total),
            sufficiency_bands=_ratio(_band_product(brought, difference), bands),
            necessity_bands=_ratio(_band_product(taken, difference), bands),
        )
    return effects


def mean_over_pairs(values: Tensor) -> Summary:
    """Return mean and spread over pairs of values (B,).

    Example:
        >>> mean_over_pairs(torch.tensor([0.0, 2.0, 4.0]))
        Summary(mean=2.0, sd=2.0)
    """
    sd = values.std() if len(values) > 1 else torch.zeros(())
    return Summary(float(values.mean()), float(sd))


def draw_pairs(
    donors: Tensor, recipients: Tensor | None, num_pairs: int, rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Draw frames for patching, each trajectory used about equally often.

    Args:
        donors: Frames (n, T, C, N, N).
        recipients: Frames (m, T', C, N, N) of another set; None to pair each donor with another
            trajectory of its own set.
        num_pairs: Number B of pairs.
        rng: Generator of the draw.

    Returns:
        Donor and recipient inputs, (B, C, N, N) each.

    Raises:
        InputError: If there is no pair to draw.

    Example:
        >>> frames = torch.arange(3.0)[:, None].expand(3, 5)  # a trajectory's frames are its number
        >>> donor, recipient = draw_pairs(frames, None, 6, np.random.default_rng(0))
        >>> bool((donor != recipient).all()), sorted(donor.tolist())
        (True, [0.0, 0.0, 1.0, 1.0, 2.0, 2.0])
    """
    fewest = min(len(donors), 2 if recipients is None else len(recipients))
    if num_pairs < 1 or fewest < (2 if recipients is None else 1):
        of = f"and {len(recipients)} recipients" if recipients is not None else "to pair up"
        raise InapplicableError(
            f"cannot draw {num_pairs} pairs from {len(donors)} donor trajectories {of}, expected "
            "one pair or more, and two trajectories where they are of one set"
        )
    given = _cycle(len(donors), num_pairs, rng)
    if recipients is None:
        recipients = donors
        taken = (given + rng.integers(1, len(donors), num_pairs)) % len(donors)
    else:
        taken = _cycle(len(recipients), num_pairs, rng)
    return (
        donors[given, rng.integers(donors.shape[1], size=num_pairs)],
        recipients[taken, rng.integers(recipients.shape[1], size=num_pairs)],
    )


def _cycle(count: int, length: int, rng: np.random.Generator) -> np.ndarray:
    rounds = [rng.permutation(count) for _ in range(-(-length // count))]
    return np.concatenate(rounds)[:length]


@dataclass(frozen=True)
class _Run:
    """One unpatched run. Row b of every run is pair b: equal work gives equal bits."""

    model: nn.Module
    inputs: Tensor
    output: Tensor
    activations: Mapping[str, Tensor]

    @classmethod
    def of(cls, model: nn.Module, inputs: Tensor, sites: Sequence[str]) -> "_Run":
        activations = capture(model, sites, inputs)
        return cls(model, inputs, _output(model, inputs, {}), activations)

    def with_sites_of(self, other: "_Run", sites: Sequence[str]) -> Tensor:
        replacements = {site: other.activations[site] for site in sites}
        return _output(self.model, self.inputs, replacements)


def _two_runs(
    model: nn.Module, donor: Tensor, recipient: Tensor, sites: Sequence[str]
) -> tuple[_Run, _Run]:
    if donor.shape != recipient.shape:
        raise InputError(
            f"donor has shape {tuple(donor.shape)} and recipient {tuple(recipient.shape)}, "
            "expected one shape (B, ...)"
        )
    return _Run.of(model, donor, sites), _Run.of(model, recipient, sites)


@torch.no_grad()
def _output(model: nn.Module, inputs: Tensor, replacements: Mapping[str, Tensor]) -> Tensor:
    with patched(model, replacements):
        output = model(inputs)
    if not torch.isfinite(output).all():
        raise InputError("the network's output holds NaN or infinite values, expected finite ones")
    return output.double()


def _product(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).flatten(1).sum(dim=1)


def _band_product(a: Tensor, b: Tensor) -> Tensor:
    return band_products(a, b).sum(dim=1)  # over C, to (B, 3)


def _ratio(part: Tensor, whole: Tensor) -> Tensor:
    return torch.where(whole > 0, part / torch.where(whole > 0, whole, 1.0), 0.0)
