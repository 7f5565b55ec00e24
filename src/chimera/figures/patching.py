"""Causal effect of every site, from metrics/tables/patching.csv.

RE = <patched - recipient, donor - recipient> / ||donor - recipient||^2 of the outputs: 0 if a patch
of the site recovers nothing of the donor's output, 1 if it recovers all.
"""

from collections.abc import Mapping, Sequence
from statistics import fmean

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from chimera.figures import style
from chimera.study.labels import axis_label, model_label


def patching_effects(rows: style.Rows, models: Sequence[str]) -> Figure:
    """Draw the sufficiency of every site by donor, recipient and band: mean over replicates.

    Rows have model, donor, recipient, site, depth, direction, band, effect. A model without a site
    has none, and no panel.
    """
    shown = style.where(rows, direction="sufficiency")
    if not shown:
        return style.message("No causal effects: the probe `patching` has not run")
    columns = list(dict.fromkeys(_column(row) for row in shown))
    found = {model: style.where(shown, model=model) for model in models}
    tables = {model: _effects(of_model, columns) for model, of_model in found.items() if of_model}
    tallest = max(len(table) for table in tables.values())
    figure = Figure(figsize=(style.WIDTH, 1.7 + 0.16 * tallest))
    panels = figure.subplots(1, len(tables), squeeze=False)[0]
    values = [value for table in tables.values() for row in table.values() for value in row]
    low, high = min(0.0, *values), max(1.0, *values)
    for panel, (model, table) in zip(panels, tables.items(), strict=True):
        effects = list(table.values())
        drawn = panel.imshow(effects, cmap="cividis", vmin=low, vmax=high, aspect="auto")
        panel.set_yticks(range(len(table)), list(table), fontsize=7)
        panel.set_xticks(range(len(columns)), [band for _, band in columns], rotation=90)
        panel.tick_params(axis="x", labelsize=7.5)
        panel.spines[:].set_visible(False)
        _mark_pairs(panel, [pair for pair, _ in columns])
        panel.set_xlabel(model_label(model))
    figure.supylabel("site, in the order of the forward pass", fontsize=9)
    figure.supxlabel("band of wavenumbers of the output", fontsize=9)
    bar = figure.colorbar(drawn, ax=list(panels), fraction=0.03, pad=0.01)
    bar.set_label("recovered effect RE (dimensionless)", fontsize=8.5)
    bar.ax.tick_params(labelsize=7.5)
    return figure


def _column(row: Mapping[str, str]) -> tuple[str, str]:
    donor, recipient = (axis_label(row[name]) for name in ("donor", "recipient"))
    return f"{donor} into\n{recipient}", row["band"]


def _effects(rows: style.Rows, columns: Sequence[tuple[str, str]]) -> dict[str, list[float]]:
    """Return each site's mean effect in every column, by depth."""
    found: dict[tuple[str, tuple[str, str]], list[float]] = {}
    for row in rows:
        found.setdefault((row["site"], _column(row)), []).append(float(row["effect"]))
    depths = {row["site"]: float(row["depth"]) for row in rows}
    sites = sorted(depths, key=lambda site: depths[site])
    return {site: [fmean(found[site, column]) for column in columns] for site in sites}


def _mark_pairs(panel: Axes, pairs: Sequence[str]) -> None:
    """Name each donor and recipient above its columns, and separate them by lines."""
    for pair in dict.fromkeys(pairs):
        places = [place for place, name in enumerate(pairs) if name == pair]
        middle = (places[0] + places[-1]) / 2
        above = panel.get_xaxis_transform()  # data across, the panel's own height upward
        panel.text(middle, 1.01, pair, transform=above, ha="center", va="bottom", fontsize=7.5)
        if places[0]:
            panel.axvline(places[0] - 0.5, color="white", linewidth=2)
