"""Recovered effect (RE) of patching activations from a donor's run into a recipient's run.

    RE = <y_patched - y_recipient, y_donor - y_recipient> / ||y_donor - y_recipient||^2

where y_patched is the output for the recipient's input with the donor's activation at the site
(interchange as in Geiger et al. 2021, arXiv:2106.02997; Meng et al. 2022, arXiv:2202.05262,
section 2.1, here for outputs that are fields). RE is linear in the change of the output: 0 if
the output does not change, 1 if it becomes the donor's; it may lie outside this range.

B pairs, n trajectories, T time, C channel, N x N space.
"""

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from chimera.interface.errors import InapplicableError, InputError
from chimera.probes.common.activations import capture, patched


class Exchange:
    """The unpatched runs of B donors and B recipients, inputs of one shape (B, ...).

    Row b of every run is pair b: equal work gives equal bits. It is an InputError if a site does
    not exist, the shapes differ, or an activation or output is not finite.
    """

    def __init__(
        self, model: nn.Module, donor: Tensor, recipient: Tensor, sites: Iterable[str]
    ) -> None:
        if donor.shape != recipient.shape:
            raise InputError(
                f"donor has shape {tuple(donor.shape)} and recipient {tuple(recipient.shape)}, "
                "expected one shape (B, ...)"
            )
        sites = list(sites)
        self._model, self._recipient = model, recipient
        self.given, self.taken = capture(model, sites, donor), capture(model, sites, recipient)
        self._output = self._run(recipient, {})
        self.difference = self._run(donor, {}) - self._output  # y_donor - y_recipient

    def moved(self, sites: Iterable[str], part: Callable[[Tensor], Tensor] | None = None) -> Tensor:
        """Return y_patched - y_recipient, in float64, with the donor's activations at some sites.

        `part` maps the difference of a site's activations to the part of it that is exchanged.
        """
        replacements = {site: self.given[site] for site in sites}
        if part is not None:
            for site, given in replacements.items():
                replacements[site] = self.taken[site] + part(given - self.taken[site])
        return self._run(self._recipient, replacements) - self._output

    def effect(self, sites: Iterable[str]) -> Tensor:
        """Return RE (B,) of the donor's activations at some sites, 0 for equal outputs."""
        return share_along(self.moved(sites), self.difference)

    @torch.no_grad()
    def _run(self, inputs: Tensor, replacements: dict[str, Tensor]) -> Tensor:
        with patched(self._model, replacements):
            output = self._model(inputs)
        if not torch.isfinite(output).all():
            raise InputError(
                "the network's output holds NaN or infinite values, expected finite ones"
            )
        return output.double()


def recovered_effect(
    model: nn.Module, donor: Tensor, recipient: Tensor, site: str | Sequence[str]
) -> Tensor:
    """Return RE, for each pair, of patching one site, or several at once.

    Donor and recipient are inputs of one shape (B, ...); RE (B,) is in float64, and 0 for a pair
    whose outputs are equal. Errors as for `Exchange`.
    """
    sites = [site] if isinstance(site, str) else list(site)
    return Exchange(model, donor, recipient, sites).effect(sites)


def share_along(moved: Tensor, wanted: Tensor) -> Tensor:
    """Return <moved, wanted> / ||wanted||^2 of each pair, (B,), and 0 where nothing is wanted."""
    part, whole = ((field * wanted).flatten(1).sum(dim=1) for field in (moved, wanted))
    return torch.where(whole > 0, part / whole, 0.0)


def draw_pairs(
    donors: Tensor, recipients: Tensor | None, num_pairs: int, rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Draw B donor and recipient frames, (B, C, N, N) each, every trajectory about equally often.

    Donors are frames (n, T, C, N, N), recipients (m, T', C, N, N) of another set, or None to pair
    each donor with another trajectory of its own set.
    """
    own = recipients is None
    recipients = donors if recipients is None else recipients
    if num_pairs < 1 or min(len(donors), len(recipients)) < 1 + own:
        of = "to pair up" if own else f"and {len(recipients)} recipients"
        raise InapplicableError(
            f"cannot draw {num_pairs} pairs from {len(donors)} donor trajectories {of}, expected "
            "one pair or more, and two trajectories where they are of one set"
        )
    given = draw_evenly(len(donors), num_pairs, rng)
    if own:
        taken = (given + rng.integers(1, len(donors), num_pairs)) % len(donors)
    else:
        taken = draw_evenly(len(recipients), num_pairs, rng)
    return (
        donors[given, rng.integers(donors.shape[1], size=num_pairs)],
        recipients[taken, rng.integers(recipients.shape[1], size=num_pairs)],
    )


def draw_evenly(count: int, length: int, rng: np.random.Generator) -> np.ndarray:
    """Return numbers below `count` in random order, each about equally often, (length,)."""
    rounds = [rng.permutation(count) for _ in range(-(-length // count))]
    return np.concatenate(rounds)[:length]
