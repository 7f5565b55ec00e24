"""How much of the difference between two runs each site carries, from plots/patching.csv.

RE = <patched - recipient, donor - recipient> / ||donor - recipient||^2 of the outputs: 0 where
nothing of the donor arrives through the site, 1 where all of it does.
"""

from collections.abc import Sequence
from statistics import fmean

import numpy as np
from matplotlib.figure import Figure

from chimera.figures.style import WIDTH, Rows, axis_label, distinct, message, model_label, where


def patching_effects(rows: Rows, models: Sequence[str]) -> Figure:
    """Draw the sufficiency of every site for every donor and recipient: mean over replicates.

    The necessity of (donor, recipient) is the sufficiency of (recipient, donor): all are here.

    Args:
        rows: plots/patching.csv: model, donor, recipient, site, depth, direction, band, effect.
        models: The trained models, in order: a panel each.
    """
    shown = where(rows, direction="sufficiency", band="all")
    if not shown:
        return message("No causal effects: the probe `patching` has not run")
    pairs = list(dict.fromkeys((row["donor"], row["recipient"]) for row in shown))
    sites = {model: _sites(where(shown, model=model)) for model in models}
    tallest = max(len(names) for names in sites.values())
    figure = Figure(figsize=(WIDTH, 1.9 + 0.15 * tallest))
    panels = figure.subplots(1, len(models), squeeze=False)[0]
    tables = {model: _table(where(shown, model=model), sites[model], pairs) for model in models}
    low = min(0.0, *(float(np.nanmin(table)) for table in tables.values()))
    high = max(1.0, *(float(np.nanmax(table)) for table in tables.values()))
    for panel, (model, table) in zip(panels, tables.items(), strict=True):
        drawn = panel.imshow(table, cmap="cividis", vmin=low, vmax=high, aspect="auto")
        panel.set_yticks(range(len(sites[model])), sites[model], fontsize=7)
        labels = [f"{_short(donor)} → {_short(recipient)}" for donor, recipient in pairs]
        panel.set_xticks(range(len(pairs)), labels, rotation=90, fontsize=7)
        panel.spines[:].set_visible(False)
        panel.set_title(model_label(model))
    figure.supylabel("site, in the order of the forward pass", fontsize=9)
    figure.supxlabel("donor → recipient", fontsize=9)
    bar = figure.colorbar(drawn, ax=list(panels), fraction=0.03, pad=0.01)
    bar.set_label("recovered effect RE (dimensionless)", fontsize=8.5)
    bar.ax.tick_params(labelsize=7.5)
    return figure


def _short(axis: str) -> str:
    return axis_label(axis).removeprefix("OOD ")


def _sites(rows: Rows) -> list[str]:
    depths = {row["site"]: float(row["depth"]) for row in rows}
    return sorted(distinct(rows, "site"), key=lambda site: depths[site])


def _table(rows: Rows, sites: list[str], pairs: list[tuple[str, str]]) -> np.ndarray:
    """Return the mean effect (sites, pairs), NaN where there is none."""
    effects: dict[tuple[str, str, str], list[float]] = {}
    for row in rows:
        key = (row["site"], row["donor"], row["recipient"])
        effects.setdefault(key, []).append(float(row["effect"]))
    means = {key: fmean(values) for key, values in effects.items()}
    return np.array([[means.get((site, *pair), np.nan) for pair in pairs] for site in sites])
