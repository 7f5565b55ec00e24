"""Sizes of the models and the band that parity allows, from metrics/parity.json."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from chimera.figures import style
from chimera.study.labels import model_label

COUNTS = {"params": "parameters (count)", "macs": "multiply-accumulates a frame (count)"}


def parity_bars(parity: Mapping[str, Any], models: Sequence[str], baseline: str) -> Figure:
    """Draw each model's parameters and MACs, and the band around those of the baseline."""
    figure = Figure(figsize=(style.WIDTH, 1.1 + 0.42 * len(models)))
    panels = figure.subplots(1, 2, sharey=True)
    tolerance = parity["tolerance"]
    for panel, (count, label) in zip(panels, COUNTS.items(), strict=True):
        centre = parity[baseline][count]
        band = (centre * (1 - tolerance), centre * (1 + tolerance))
        name = f"within {tolerance:.0%} of {model_label(baseline)}"
        panel.axvspan(*band, color="0.85", label=name, zorder=0)
        for position, (model, colour) in enumerate(style.model_colours(models).items()):
            value = parity[model][count]
            panel.barh(position, value, 0.6, color=colour, alpha=0.45, zorder=1)
            text = f"{value:,}" + ("" if model == baseline else f" ({value / centre - 1:+.1%})")
            panel.text(0.02 * centre, position, text, va="center", fontsize=8.5)
        panel.set_xlim(0, 1.15 * max(parity[model][count] for model in models))
        panel.set_xlabel(label)
        panel.xaxis.set_major_formatter(EngFormatter(sep=""))
        panel.locator_params(axis="x", nbins=5)
    panels[0].set_yticks(range(len(models)), [model_label(model) for model in models])
    panels[0].invert_yaxis()
    style.legend(figure, panels)
    return figure
