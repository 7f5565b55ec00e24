"""What each site carries, by interchange of activations (chimera.probes.common.effects)."""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor

from chimera.fields.fourier import BANDS
from chimera.files.artifacts import Row
from chimera.interface.errors import InapplicableError
from chimera.probes.common.effects import Exchange, draw_pairs, share_along
from chimera.probes.common.subject import Measurement, Subject, Track
from chimera.probes.patching.faithfulness import beside_leading, score
from chimera.probes.patching.settings import PatchingSettings
from chimera.probes.patching.twins import make_twins

HEADLINE_SITES = ("bottleneck", "skip0")  # the coarsest grid; the edge that bypasses all coarser
TWIN = "twin_"  # before the name of a factor, in the place of a kind of donor
_COLUMNS = ("band", "effect", "sd", "faithfulness", "null", "p", "complement", "pairs")


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
    """Exchange the activations of every site, between IND and OOD samples and between twins.

    Donors into recipients are IND into OOD, OOD into IND, and IND into other IND trajectories; OOD
    pairs are evenly distributed over the axes, and the wanted change is that of the network's own
    output. A `twin_<factor>` goes into its IND base, and the wanted change is the solver's; the
    site `output` is the whole network.

    Rows: `donor`, `recipient`, `site`, `depth` (its place in the network), `band` (`all`, `low`,
    `mid` or `high`), `effect` (the transfer), `sd` over `pairs`, `faithfulness`; for all bands
    together its `null` and `p` and, of twins at HEADLINE_SITES, `complement`: the effect of what
    differs beside the leading directions.

    Statistics: `<donor>_into_<recipient>_<site>_sufficiency` (the effect) and
    `<factor>_<site>_faithfulness`, `_p` and `_complement`, at HEADLINE_SITES if the network has
    them, and of the whole network (`output`); `pairs`, `withheld_twins`, the factors without twins.
    """
    ind, *ood = subject.trajectories.values()
    draw: dict[tuple[str, str], Callable[..., tuple[Tensor, ...]]] = {}
    draw["ind", "ind"] = partial(draw_pairs, ind, None)
    if ood:
        draw["ind", "ood"] = partial(_draw_over, [(ind, axis) for axis in ood])
        draw["ood", "ind"] = partial(_draw_over, [(axis, ind) for axis in ood])
    draw |= {(TWIN + name, "ind"): partial(make_twins, subject, name) for name in settings.factors}
    sites = subject.require_sites()
    notes: list[str] = []
    statistics: dict[str, float] = {"pairs": float(settings.pairs)}
    rows: list[Row] = []
    # Each kind of samples has draws of its own: they are the same whatever sites a network has.
    kinds = list(zip(draw.items(), rng.spawn(len(draw)), strict=True))
    for ((donor, recipient), samples), own in track(kinds):
        factor = donor.removeprefix(TWIN) if donor.startswith(TWIN) else None
        try:
            first, second, *truth = samples(settings.pairs, own)
        except InapplicableError as error:
            if factor is None:
                raise
            notes.append(str(error))
            continue
        donors, recipients = (second, first) if factor else (first, second)
        exchange = Exchange(subject.network, donors, recipients, sites)
        wanted = truth[0] if factor else exchange.difference
        for depth, site in enumerate([*sites, "output"] if factor else sites):
            moved = exchange.moved([site]) if site in sites else exchange.difference
            found, rest = score(moved, wanted, rng), None
            name, is_headline = f"{factor}_{site}", site in HEADLINE_SITES
            if factor and is_headline:
                rest = float(share_along(exchange.moved([site], beside_leading), wanted).mean())
                statistics |= {f"{name}_p": found.p, f"{name}_complement": rest}
            elif is_headline:
                statistics[f"{donor}_into_{recipient}_{site}_sufficiency"] = found.transfer[0]
            if factor and (is_headline or site == "output"):
                statistics[f"{name}_faithfulness"] = found.faithfulness[0]
            at: Row = {"donor": donor, "recipient": recipient, "site": site, "depth": depth}
            whole = [found.null, found.p, "" if rest is None else rest]
            for band, *values in zip(("all", *BANDS), *found[:3], strict=True):
                beside = whole if band == "all" else [""] * 3
                row = dict(zip(_COLUMNS, (band, *values, *beside, settings.pairs), strict=True))
                rows.append(at | row)
    statistics |= {"withheld_twins": float(len(notes)), "reported": 1 - len(notes) / len(draw)}
    return Measurement(statistics, rows, tuple(dict.fromkeys(notes)))
