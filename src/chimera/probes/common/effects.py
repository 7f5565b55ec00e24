"""Recovered effect (RE) of patching activations from a donor's run into a recipient's run.

    RE = <y_patched - y_recipient, y_donor - y_recipient> / ||y_donor - y_recipient||^2

where y_patched is the output for the recipient's input with the donor's activation at the site
(interchange as in Geiger et al. 2021, arXiv:2106.02997; Meng et al. 2022, arXiv:2202.05262,
section 2.1, here for outputs that are fields). RE is linear in the change of the output: 0 if
the output does not change, 1 if it becomes the donor's; it may lie outside this range.

    sufficiency: RE of the donor's activation in the recipient's run
    necessity:   RE that the recipient's activation removes from the donor's run

so that the necessity of (donor, recipient) is the sufficiency of (recipient, donor).

B pairs, n trajectories, T time, C channel, N x N space.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

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


def recovered_effect(
    model: nn.Module, donor: Tensor, recipient: Tensor, site: str | Sequence[str]
) -> Tensor:
    """Return RE, for each pair, of patching one site, or several at once.

    Donor and recipient are inputs of one shape (B, ...); RE (B,) is in float64, and 0 for a pair
    whose outputs are equal.

    Raises:
        InputError: If a site does not exist, the shapes differ, or an activation or output is not
            finite.
    """
    sites = [site] if isinstance(site, str) else list(site)
    donors, recipients = _two_runs(model, donor, recipient, sites)
    change = recipients.patched_output(donors, sites) - recipients.output
    difference = donors.output - recipients.output
    return _ratio(_product(change, difference), _product(difference, difference))


def recovered_effects(
    model: nn.Module, donor: Tensor, recipient: Tensor, sites: Iterable[str]
) -> dict[str, Effects]:
    """Return each site's effects, patched one at a time, in both directions and by band.

    Args and errors as for `recovered_effect`, for networks from (B, C, N, N) to (B, C, N, N); bands
    as in `chimera.fields.metrics.band_rmse`.
    """
    sites = list(sites)
    donors, recipients = _two_runs(model, donor, recipient, sites)
    difference = donors.output - recipients.output
    total, bands = _product(difference, difference), _band_product(difference, difference)
    effects = {}
    for site in sites:
        gained = recipients.patched_output(donors, [site]) - recipients.output
        lost = donors.output - donors.patched_output(recipients, [site])
        effects[site] = Effects(
            sufficiency=_ratio(_product(gained, difference), total),
            necessity=_ratio(_product(lost, difference), total),
            sufficiency_bands=_ratio(_band_product(gained, difference), bands),
            necessity_bands=_ratio(_band_product(lost, difference), bands),
        )
    return effects


def mean_over_pairs(values: Tensor) -> tuple[float, float]:
    """Return the mean of values (B,) and their standard deviation, 0 for a single value."""
    return float(values.mean()), float(values.std(correction=min(1, len(values) - 1)))


def draw_pairs(
    donors: Tensor, recipients: Tensor | None, num_pairs: int, rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Draw B donor and recipient frames, (B, C, N, N) each, every trajectory about equally often.

    Donors are frames (n, T, C, N, N), recipients (m, T', C, N, N) of another set, or None to pair
    each donor with another trajectory of its own set.

    Raises:
        InputError: If no pair can be drawn.
    """
    own = recipients is None
    recipients = donors if recipients is None else recipients
    if num_pairs < 1 or min(len(donors), len(recipients)) < 1 + own:
        of = "to pair up" if own else f"and {len(recipients)} recipients"
        raise InapplicableError(
            f"cannot draw {num_pairs} pairs from {len(donors)} donor trajectories {of}, expected "
            "one pair or more, and two trajectories where they are of one set"
        )
    given = _cycle(len(donors), num_pairs, rng)
    if own:
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


class _Run:
    """An unpatched run. Row b of every run is pair b: equal work gives equal bits."""

    def __init__(self, model: nn.Module, inputs: Tensor, sites: Sequence[str]) -> None:
        self.model, self.inputs = model, inputs
        self.activations = capture(model, sites, inputs)
        self.output = self.patched_output(self, [])

    @torch.no_grad()
    def patched_output(self, other: "_Run", sites: Sequence[str]) -> Tensor:
        """Return the output with another run's activations at some sites, in float64."""
        with patched(self.model, {site: other.activations[site] for site in sites}):
            output = self.model(self.inputs)
        if not torch.isfinite(output).all():
            raise InputError(
                "the network's output holds NaN or infinite values, expected finite ones"
            )
        return output.double()


def _two_runs(
    model: nn.Module, donor: Tensor, recipient: Tensor, sites: Sequence[str]
) -> tuple[_Run, _Run]:
    if donor.shape != recipient.shape:
        raise InputError(
            f"donor has shape {tuple(donor.shape)} and recipient {tuple(recipient.shape)}, "
            "expected one shape (B, ...)"
        )
    return _Run(model, donor, sites), _Run(model, recipient, sites)


def _product(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).flatten(1).sum(dim=1)


def _band_product(a: Tensor, b: Tensor) -> Tensor:
    return band_products(a, b).sum(dim=1)  # over C, to (B, 3)


def _ratio(part: Tensor, whole: Tensor) -> Tensor:
    return torch.where(whole > 0, part / whole, 0.0)
