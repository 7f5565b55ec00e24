"""One repair for each OOD axis: the worst forecast, edited where patching says it is decided.

How an edit is made: chimera.probes.rome.edit.
"""

from dataclasses import asdict
from statistics import fmean

import numpy as np
from torch import Tensor, nn

from chimera.files.artifacts import Row
from chimera.probes.common.activations import capture, site_names
from chimera.probes.common.effects import draw_pairs, mean_over_pairs, recovered_effects
from chimera.probes.common.sampling import decorrelation
from chimera.probes.common.subject import Measurement, Subject, Track
from chimera.probes.rome.convolutions import (
    MIN_KEYS_PER_DIMENSION,
    choose_layer,
)
from chimera.probes.rome.edit import EditResult, edit
from chimera.probes.rome.failure import choose_failure
from chimera.probes.rome.settings import RomeSettings

METHODS = {"rome": "", "gradient": "gradient_", "identity": "identity_"}


def measure_edits(
    subject: Subject, settings: RomeSettings, rng: np.random.Generator, track: Track
) -> Measurement:
    """Repair the worst forecast of each OOD axis, and judge each repair.

    The layer is that of the block whose IND activations change the axis's forecasts most when they
    are patched in, among those for which C can be known from the IND samples. Rows: `axis`,
    `layer`, `gap` (frames between samples), `method` (`rome`, `gradient`, `identity`) and
    EditResult's `efficacy`, `later_frames`, `other_trajectories`, `ind_drift`, `update_norm`.

    Returns:
        Statistics: the mean of each of EditResult's numbers over the axes, and `edits`, how many
        there were: none without an OOD axis or a second trajectory to judge by.

    Raises:
        InputError: As `edit`, or if no layer has enough keys.
    """
    axes = [axis for axis in subject.trajectories if axis != "ind"]
    if min(map(len, subject.trajectories.values())) < 2:
        axes = []
    results: list[EditResult] = []
    rows: list[Row] = []
    for axis in track(axes):
        ind, ood = subject.trajectories["ind"], subject.trajectories[axis]
        frames = min(ind.shape[1], ood.shape[1])
        apart = max(decorrelation(flow, settings.threshold).time for flow in (ind, ood))
        gap = min(apart, frames - 2)
        failure = choose_failure(subject.network, ind, ood, gap)
        pairs = draw_pairs(ind, ood, settings.pairs, rng)
        sites = _sites_with_enough_keys(subject.network, failure.reference.inputs)
        effects = recovered_effects(subject.network, *pairs, sites)
        means = {site: mean_over_pairs(effect.sufficiency).mean for site, effect in effects.items()}
        layer = choose_layer(subject.network, means)
        result = edit(subject.network, layer, failure, settings, rng)
        results.append(result)
        numbers = asdict(result)
        for method, prefix in METHODS.items():
            judged = {name: numbers[prefix + name] for name in _JUDGEMENTS}
            row: Row = {"axis": axis, "layer": layer, "gap": gap, "method": method}
            rows.append(row | judged)
    statistics = {"edits": float(len(results))}
    for name in asdict(results[0]) if results else ():
        statistics[name] = fmean(getattr(result, name) for result in results)
    return Measurement(statistics, rows)


_JUDGEMENTS = ("efficacy", "later_frames", "other_trajectories", "ind_drift", "update_norm")


def _sites_with_enough_keys(model: nn.Module, inputs: Tensor) -> list[str]:
    """Return the blocks whose last convolution gets enough keys from the inputs."""
    blocks = {}
    for site in site_names(model):
        parts = model.get_submodule(site).modules()
        convolutions = [part for part in parts if isinstance(part, nn.Conv2d)]
        if convolutions:
            blocks[site] = convolutions[-1].weight[0].numel()
    activations = capture(model, blocks, inputs[:1])
    return [
        site
        for site, dimensions in blocks.items()
        if activations[site][0, 0].numel() * len(inputs) >= MIN_KEYS_PER_DIMENSION * dimensions
    ]
