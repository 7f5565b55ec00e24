"""Repairs of the worst forecasts of OOD axes, at several layers (chimera.probes.rome.edit)."""

from statistics import fmean

import numpy as np
from torch import Tensor

from chimera.files.artifacts import Row
from chimera.probes.common.activations import capture
from chimera.probes.common.effects import Exchange, draw_pairs
from chimera.probes.common.sampling import conditional_anomaly, decorrelation
from chimera.probes.common.subject import Measurement, Subject, Track
from chimera.probes.rome import convolutions
from chimera.probes.rome.edit import METHODS, Repair, edit
from chimera.probes.rome.failure import choose_failure
from chimera.probes.rome.settings import RomeSettings


def measure_edits(
    subject: Subject, settings: RomeSettings, rng: np.random.Generator, track: Track
) -> Measurement:
    """Repair the worst forecast of OOD axes, and judge each repair.

    Layers are the last convolutions of blocks with enough IND keys for C, each with the patching
    effect of its block: how much of the axis's forecasts changes when IND activations are patched
    in. ROME edits several layers, evenly spaced in order of effect, all methods that of the largest
    effect below 1. Rows: `axis`, `layer`, `effect`, `chosen` (1 at the layer of all methods), `gap`
    (frames between samples), `method` and the fields of Repair.

    Statistics: the mean over axes of each of Repair's fields at the chosen layer, with the method
    before the name if it is not `rome`; `localisation_rho`, the rank correlation of effect and
    efficacy over layers, within axes (Hase et al. 2023, arXiv:2301.04213: does localisation inform
    editing?), absent where no axis has layers to rank; `edits`, the number of axes, 0 without an
    OOD axis or a second trajectory in every set.
    """
    every = [axis for axis in subject.trajectories if axis != "ind"]
    if min(map(len, subject.trajectories.values())) < 2:
        every = []
    axes = evenly(every, settings.axes)
    rows: list[Row] = []
    # Pairs are drawn apart from keys, whose number depends on the network.
    for axis, own in track(list(zip(axes, rng.spawn(len(axes)), strict=True))):
        ind, ood = subject.trajectories["ind"], subject.trajectories[axis]
        frames = min(ind.shape[1], ood.shape[1])
        flows = (
            conditional_anomaly(subject.flow(name), subject.conditioning(name))
            for name in ("ind", axis)
        )
        time = max(decorrelation(flow, settings.threshold).time for flow in flows)
        gap = min(time, frames - 2)
        failure = choose_failure(
            subject.network,
            ind,
            ood,
            gap,
            num_fields=len(subject.fields),
            elsewhere=[subject.trajectories[other] for other in every if other != axis],
        )
        pairs = draw_pairs(ind, ood, settings.pairs, own)
        blocks = _editable_blocks(subject, failure.reference.inputs)
        exchange = Exchange(subject.network, *pairs, blocks)
        effects = {site: float(exchange.effect([site]).mean()) for site in blocks}
        chosen = convolutions.choose_layer(subject.network, effects)
        by_layer = {layer: effects[site] for site, layer in blocks.items()}
        ranked = sorted((effect, layer) for layer, effect in by_layer.items() if layer != chosen)
        others = evenly([layer for _, layer in ranked], settings.layers - 1)
        for layer in (chosen, *others):
            methods = METHODS if layer == chosen else METHODS[:1]
            repairs = edit(subject.network, layer, failure, settings, rng, methods)
            at: Row = {"axis": axis, "layer": layer, "effect": by_layer[layer]}
            at |= {"chosen": int(layer == chosen), "gap": gap}
            rows += [at | {"method": name, **found._asdict()} for name, found in repairs.items()]
    statistics = {"edits": float(len(axes)), "reported": float(bool(axes))}
    for method in METHODS if rows else ():
        prefix = "" if method == "rome" else f"{method}_"
        found = [row for row in rows if row["method"] == method and row["chosen"]]
        for name in Repair._fields:
            statistics[prefix + name] = fmean(float(row[name]) for row in found)
    if (rho := _rank_correlation(rows)) is not None:
        statistics["localisation_rho"] = rho
    return Measurement(statistics, rows)


def evenly(items: list[str], count: int) -> list[str]:
    """Return at most `count` of the items, evenly spaced, the first and the last among them.

    >>> evenly(["a", "b", "c", "d", "e"], 3)
    ['a', 'c', 'e']
    """
    places = np.linspace(0, len(items) - 1, min(count, len(items))).round().astype(int)
    return [items[place] for place in places]


def _rank_correlation(rows: list[Row]) -> float | None:
    """Return Spearman's correlation of effect and efficacy of ROME, ranked within each axis."""
    ranks: list[np.ndarray] = []
    for axis in dict.fromkeys(row["axis"] for row in rows):
        found = [row for row in rows if row["axis"] == axis and row["method"] == "rome"]
        values = [[float(row[name]) for row in found] for name in ("effect", "efficacy")]
        ranks.append(np.array([_centred_ranks(v) for v in values]))
    x, y = np.concatenate(ranks, axis=1) if ranks else np.zeros((2, 0))
    norm = np.sqrt((x @ x) * (y @ y))
    return float(x @ y / norm) if norm > 0 else None


def _centred_ranks(values: list[float]) -> np.ndarray:
    """Return ranks less their mean; values equal but for rounding, such as effects of 1, tie."""
    rounded = np.round(values, 6)
    ends = (np.searchsorted(np.sort(rounded), rounded, side) for side in ("left", "right"))
    return (np.add(*ends) - len(rounded)) / 2


def _editable_blocks(subject: Subject, inputs: Tensor) -> dict[str, str]:
    """Return the last convolution of each block for which it has enough keys in the inputs."""
    blocks = convolutions.last_convolutions(subject.network, subject.sites)
    activations = capture(subject.network, blocks, inputs[:1])

    def has_enough(site: str, layer: str) -> bool:
        keys = activations[site][0, 0].numel() * len(inputs)
        dimensions = convolutions.find_convolution(subject.network, layer).weight[0].numel()
        return keys >= convolutions.MIN_KEYS_PER_DIMENSION * dimensions

    return {site: layer for site, layer in blocks.items() if has_enough(site, layer)}
