"""Repairs of the worst forecast of each OOD axis (chimera.probes.rome.edit)."""

from statistics import fmean

import numpy as np
from torch import Tensor

from chimera.files.artifacts import Row
from chimera.probes.common.activations import capture
from chimera.probes.common.effects import draw_pairs, mean_over_pairs, recovered_effects
from chimera.probes.common.sampling import conditional_anomaly, decorrelation
from chimera.probes.common.subject import Measurement, Subject, Track
from chimera.probes.rome.convolutions import (
    MIN_KEYS_PER_DIMENSION,
    choose_layer,
    find_convolution,
    last_convolutions,
)
from chimera.probes.rome.edit import Repair, edit
from chimera.probes.rome.failure import choose_failure
from chimera.probes.rome.settings import RomeSettings


def measure_edits(
    subject: Subject, settings: RomeSettings, rng: np.random.Generator, track: Track
) -> Measurement:
    """Repair the worst forecast of each OOD axis, and judge each repair.

    The layer is that of the block whose IND activations change the axis's forecasts most when they
    are patched in, among blocks with enough IND keys for C. Rows: `axis`, `layer`, `gap` (frames
    between samples), `method` (`rome`, `gradient`, `identity`) and the fields of Repair.

    Returns:
        Statistics: the mean over axes of each of Repair's fields, with the prefixes `gradient_` and
        `identity_` for these methods, and `edits`, the number of axes; 0 without an OOD axis or a
        second trajectory in every set.

    Raises:
        InputError: As `edit`, or if no layer has enough keys.
    """
    axes = [axis for axis in subject.trajectories if axis != "ind"]
    if min(map(len, subject.trajectories.values())) < 2:
        axes = []
    rows: list[Row] = []
    for axis in track(axes):
        ind, ood = subject.trajectories["ind"], subject.trajectories[axis]
        frames = min(ind.shape[1], ood.shape[1])
        flows = (
            conditional_anomaly(subject.flow(name), subject.conditioning(name))
            for name in ("ind", axis)
        )
        time = max(decorrelation(flow, settings.threshold).time for flow in flows)
        gap = min(time, frames - 2)
        failure = choose_failure(subject.network, ind, ood, gap, num_fields=len(subject.fields))
        pairs = draw_pairs(ind, ood, settings.pairs, rng)
        sites = _sites_with_enough_keys(subject, failure.reference.inputs)
        effects = recovered_effects(subject.network, *pairs, sites)
        means = {site: mean_over_pairs(effect.sufficiency)[0] for site, effect in effects.items()}
        layer = choose_layer(subject.network, means)
        repairs = edit(subject.network, layer, failure, settings, rng)
        rows += [
            {"axis": axis, "layer": layer, "gap": gap, "method": method, **repair._asdict()}
            for method, repair in repairs.items()
        ]
    statistics = {"edits": float(len(axes)), "reported": float(bool(axes))}
    for method in ("rome", "gradient", "identity") if rows else ():
        prefix = "" if method == "rome" else f"{method}_"
        of_method = [row for row in rows if row["method"] == method]
        for name in Repair._fields:
            statistics[prefix + name] = fmean(float(row[name]) for row in of_method)
    return Measurement(statistics, rows)


def _sites_with_enough_keys(subject: Subject, inputs: Tensor) -> list[str]:
    """Return the blocks whose last convolution has enough keys in the inputs."""
    model = subject.network
    blocks = last_convolutions(model, subject.sites)
    activations = capture(model, blocks, inputs[:1])
    needed = {
        site: MIN_KEYS_PER_DIMENSION * find_convolution(model, layer).weight[0].numel()
        for site, layer in blocks.items()
    }
    return [s for s in blocks if activations[s][0, 0].numel() * len(inputs) >= needed[s]]
