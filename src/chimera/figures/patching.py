"""What each site carries, from metrics/tables/patching.csv.

Faithfulness is 1 - ||moved - wanted||^2 / ||wanted||^2 of the change of the output, cut to [0, 1].
Wanted is the solver's change between counterfactual twins, and between samples of two kinds that of
the network's own output.
"""

import math
from collections.abc import Mapping, Sequence
from statistics import fmean

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from chimera.figures import style
from chimera.study.labels import axis_label, model_label


def patching_effects(rows: style.Rows, models: Sequence[str]) -> Figure:
    """Draw the mean faithfulness of every site by kind of pair, and of twins by band.

    Rows have model, donor, recipient, site, depth, band, faithfulness.
    """
    shown = [row for row in rows if _is_twin(row) or row["band"] == "all"]
    if not shown:
        return style.message("No causal effects: the probe `patching` has not run")
    columns = list(dict.fromkeys(_column(row) for row in shown))
    models = style.present(shown, models)
    tables = {model: _effects(style.where(shown, model=model), columns) for model in models}
    sizes = [len(table) for table in tables.values()]
    heights = [1.7 + 0.16 * max(sizes[i : i + 2]) for i in range(0, len(sizes), 2)]  # two in a row
    figure = Figure(figsize=(style.WIDTH, sum(heights)))
    shape = len(heights), min(2, len(sizes))
    panels = list(figure.subplots(*shape, squeeze=False, height_ratios=heights).flat)
    for panel in panels[len(sizes) :]:
        panel.set_axis_off()
    for panel, (model, table) in zip(panels, tables.items(), strict=False):
        effects = list(table.values())
        drawn = panel.imshow(effects, cmap="cividis", vmin=0, vmax=1, aspect="auto")
        panel.set_yticks(range(len(table)), list(table), fontsize=7)
        panel.set_xticks(range(len(columns)), [band for _, band in columns], rotation=90)
        panel.tick_params(axis="x", labelsize=7.5)
        panel.spines[:].set_visible(False)
        _mark_pairs(panel, [pair for pair, _ in columns])
        panel.set_xlabel(model_label(model))
    figure.supylabel("site, in the order of the forward pass", fontsize=9)
    figure.supxlabel("band of wavenumbers of the output", fontsize=9)
    bar = figure.colorbar(drawn, ax=panels, fraction=0.03, pad=0.01)
    bar.set_label("faithfulness (dimensionless)", fontsize=8.5)
    bar.ax.tick_params(labelsize=7.5)
    return figure


def _is_twin(row: Mapping[str, str]) -> bool:
    return row["donor"].startswith("twin_")


def _column(row: Mapping[str, str]) -> tuple[str, str]:
    if _is_twin(row):
        return f"{row['donor'].removeprefix('twin_')}\ntwins", row["band"]
    donor, recipient = (axis_label(row[name]) for name in ("donor", "recipient"))
    return f"{donor} into {recipient}", row["band"]


def _effects(rows: style.Rows, columns: Sequence[tuple[str, str]]) -> dict[str, list[float]]:
    """Return each site's mean in every column, by depth; NaN where a column lacks the site."""
    found: dict[tuple[str, tuple[str, str]], list[float]] = {}
    for row in rows:
        found.setdefault((row["site"], _column(row)), []).append(float(row["faithfulness"]))
    depths = {row["site"]: float(row["depth"]) for row in rows}
    sites = sorted(depths, key=lambda site: depths[site])
    return {
        site: [fmean(found.get((site, column), [math.nan])) for column in columns] for site in sites
    }


def _mark_pairs(panel: Axes, pairs: Sequence[str]) -> None:
    """Name each donor and recipient above its columns, a single one upright; lines part them."""
    for pair in dict.fromkeys(pairs):
        places = [place for place, name in enumerate(pairs) if name == pair]
        middle = (places[0] + places[-1]) / 2
        above = panel.get_xaxis_transform()  # data across, the panel's own height upward
        text = panel.text(middle, 1.01, pair, ha="center", va="bottom", fontsize=6.5)
        text.set(transform=above, rotation=90 if len(places) == 1 else 0)
        if places[0]:
            panel.axvline(places[0] - 0.5, color="white", linewidth=2)
