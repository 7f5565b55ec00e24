"""The causal effect of each site, by activation patching (chimera.probes.common.effects)."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from chimera.fields.bands import BANDS
from chimera.files.artifacts import Row
from chimera.probes.common.effects import draw_pairs, mean_over_pairs, recovered_effects
from chimera.probes.common.subject import Measurement, Subject, Track
from chimera.probes.patching.settings import PatchingSettings

# Both ends of the U: the coarsest grid, and the edge that bypasses all coarser grids.
HEADLINE_SITES = ("bottleneck", "skip0")


def _draw_over(
    sets: Sequence[tuple[Tensor, Tensor]], num_pairs: int, rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Draw pairs from several sets of donors and recipients, about equally many from each."""
    shares = [len(part) for part in np.array_split(np.arange(num_pairs), len(sets))]
    drawn = [draw_pairs(*of, n, rng) for of, n in zip(sets, shares, strict=True) if n]
    donors, recipients = zip(*drawn, strict=True)
    return torch.cat(donors), torch.cat(recipients)


def measure_effects(
    subject: Subject, settings: PatchingSettings, rng: np.random.Generator, track: Track
) -> Measurement:
    """Patch every site with the activations of IND and OOD samples.

    Donors into recipients are IND into OOD, OOD into IND, and IND into other IND trajectories; OOD
    pairs are evenly distributed over the axes. Rows: `donor`, `recipient`, `site`, `depth` (its
    place in the network), `direction`, `band` (`all`, `low`, `mid` or `high`), `effect` and `sd`
    over `pairs`.

    Returns:
        Statistics `<donor>_into_<recipient>_<site>_sufficiency` and `..._necessity` of the
        bottleneck and of the finest skip, if the network has them, and `pairs`.

    Raises:
        InputError: If there are too few trajectories for a pair, or an activation is not finite.
    """
    ind, *ood = subject.trajectories.values()
    kinds = [("ind", "ind", draw_pairs(ind, None, settings.pairs, rng))]
    if ood:
        kinds.append(("ind", "ood", _draw_over([(ind, axis) for axis in ood], settings.pairs, rng)))
        kinds.append(("ood", "ind", _draw_over([(axis, ind) for axis in ood], settings.pairs, rng)))
    sites = subject.require_sites()
    statistics: dict[str, float] = {"pairs": float(settings.pairs), "reported": 1.0}
    rows: list[Row] = []
    for donor, recipient, pairs in track(kinds):
        effects = recovered_effects(subject.network, *pairs, sites)
        for depth, site in enumerate(sites):
            for direction in ("sufficiency", "necessity"):
                whole = getattr(effects[site], direction)
                bands = getattr(effects[site], f"{direction}_bands").unbind(dim=-1)
                for band, values in zip(("all", *BANDS), (whole, *bands), strict=True):
                    mean, sd = mean_over_pairs(values)
                    if band == "all" and site in HEADLINE_SITES:
                        statistics[f"{donor}_into_{recipient}_{site}_{direction}"] = mean
                    rows.append(
                        {
                            "donor": donor,
                            "recipient": recipient,
                            "site": site,
                            "depth": depth,
                            "direction": direction,
                            "band": band,
                            "effect": mean,
                            "sd": sd,
                            "pairs": settings.pairs,
                        }
                    )
    return Measurement(statistics, rows)
