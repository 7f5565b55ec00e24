"""What each site carries, by interchange of activations (chimera.probes.common.effects)."""

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor

from chimera.fields.bands import BANDS
from chimera.files.artifacts import Row
from chimera.interface.errors import InapplicableError
from chimera.probes.common.effects import Exchange, draw_pairs, share_along
from chimera.probes.common.subject import Measurement, Subject, Track
from chimera.probes.patching.faithfulness import Score, beside_leading, score
from chimera.probes.patching.settings import PatchingSettings
from chimera.probes.patching.twins import make_twins

# Both ends of the U: the coarsest grid, and the edge that bypasses all coarser grids.
HEADLINE_SITES = ("bottleneck", "skip0")
TWIN = "twin_"  # before the name of a factor, in the place of a kind of donor


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
    pairs are evenly distributed over the axes. Their wanted change is that of the network's own
    output. A twin (`twin_<factor>`) goes into its IND base, and the wanted change is the solver's;
    the site `output` is the whole network, which no site can exceed but by chance.

    Rows: `donor`, `recipient`, `site`, `depth` (its place in the network), `band` (`all`, `low`,
    `mid` or `high`), `effect` (the transfer), `sd` over `pairs`, `faithfulness`, and for all bands
    together its `null` and `p` and, of twins at HEADLINE_SITES, `complement`: the effect of what
    differs beside the leading directions.

    Returns:
        Statistics `<donor>_into_<recipient>_<site>_sufficiency` (the effect) and
        `<factor>_<site>_faithfulness`, `_p` and `_complement`, of the bottleneck and of the finest
        skip, if the network has them; `pairs`, `withheld_twins`, the factors without twins.

    Raises:
        InputError: If there are too few trajectories for a pair, or an activation is not finite.
    """
    ind, *ood = subject.trajectories.values()
    draw = {("ind", "ind"): partial(draw_pairs, ind, None)}
    if ood:
        draw["ind", "ood"] = partial(_draw_over, [(ind, axis) for axis in ood])
        draw["ood", "ind"] = partial(_draw_over, [(axis, ind) for axis in ood])
    draw |= {(TWIN + name, "ind"): partial(make_twins, subject, name) for name in settings.factors}
    sites, notes = subject.require_sites(), {}
    statistics: dict[str, float] = {"pairs": float(settings.pairs)}
    rows: list[Row] = []
    for (donor, recipient), samples in track(list(draw.items())):
        try:
            drawn = samples(settings.pairs, rng)
        except InapplicableError as error:
            if not donor.startswith(TWIN):
                raise
            notes[donor] = str(error)
            continue
        is_twin = len(drawn) == 3
        first, second = (drawn[1], drawn[0]) if is_twin else drawn
        exchange = Exchange(subject.network, first, second, sites)
        wanted = drawn[2] if is_twin else exchange.difference
        kind: Row = {"donor": donor, "recipient": recipient}
        for depth, site in enumerate(sites):
            found = score(exchange.moved([site]), wanted, rng)
            rest: float | str = ""
            if is_twin and site in HEADLINE_SITES:
                complement = exchange.moved([site], beside_leading)
                rest = float(share_along(complement, wanted).mean())
            rows += _rows(kind | {"site": site, "depth": depth}, found, rest, settings.pairs)
            if site in HEADLINE_SITES and is_twin:
                name = f"{donor.removeprefix(TWIN)}_{site}"
                statistics[f"{name}_faithfulness"] = found.faithfulness[0]
                statistics[f"{name}_p"], statistics[f"{name}_complement"] = found.p, float(rest)
            elif site in HEADLINE_SITES:
                statistics[f"{donor}_into_{recipient}_{site}_sufficiency"] = found.transfer[0]
        if is_twin:
            found = score(exchange.difference, wanted, rng)
            at = kind | {"site": "output", "depth": len(sites)}
            rows += _rows(at, found, "", settings.pairs)
            statistics[f"{donor.removeprefix(TWIN)}_output_faithfulness"] = found.faithfulness[0]
    statistics |= {"withheld_twins": float(len(notes)), "reported": 1 - len(notes) / len(draw)}
    return Measurement(statistics, rows, tuple(dict.fromkeys(notes.values())))


def _rows(at: Row, found: Score, complement: float | str, pairs: int) -> Iterator[Row]:
    values = zip(("all", *BANDS), found.transfer, found.spread, found.faithfulness, strict=True)
    for band, effect, sd, faithfulness in values:
        whole = band == "all"
        yield at | {
            "band": band,
            "effect": effect,
            "sd": sd,
            "faithfulness": faithfulness,
            "null": found.null if whole else "",
            "p": found.p if whole else "",
            "complement": complement if whole else "",
            "pairs": pairs,
        }
