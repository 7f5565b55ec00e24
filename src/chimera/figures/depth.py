"""Dimension, information and faithfulness by depth, one above the other, in distribution."""

from collections.abc import Iterable, Mapping, Sequence

from matplotlib.figure import Figure

from chimera.figures import style
from chimera.study.labels import model_label

_ENDS = {"input": 0.0, "target": 1.0, "output": 1.0}
_REPORTED = {"axis": "ind", "withheld": "0"}
# Label, table, its rows, column.
_QUANTITIES = (
    ("intrinsic dimension", "twonn", {"axis": "ind", "estimator": "linear"}, "dimension"),
    ("I(X; T): about\nthe input (nats)", "ib", _REPORTED | {"pair": "x_t"}, "information"),
    ("I(T; Y): about\nthe output (nats)", "ib", _REPORTED | {"pair": "t_y"}, "information"),
    (
        "faithfulness to a\nforcing of other phase",
        "patching",
        {"donor": "twin_phase", "band": "all"},
        "faithfulness",
    ),
)


def quantities_by_depth(tables: Mapping[str, style.Rows], models: Sequence[str]) -> Figure:
    """Draw the probes' quantities along a network: a point for each replicate, a line of means.

    Tables `twonn`, `ib` and `patching` have rows with model, site, depth. The n sites of a model,
    those inside a block apart, lie at 1 / (n + 1), 2 / (n + 1), ... of its forward pass, between
    input 0 and output 1.
    """
    figure = Figure(figsize=(style.WIDTH, 0.9 + 1.5 * len(_QUANTITIES)))
    panels = figure.subplots(len(_QUANTITIES), 1, sharex=True)
    places = {model: _places(tables.values(), model) for model in models}
    for panel, (label, table, wanted, column) in zip(panels, _QUANTITIES, strict=True):
        rows = style.where(tables[table], **wanted)
        for model, colour in style.model_colours(models).items():
            of_model = style.along(style.where(rows, model=model))
            here = [{"place": places[model][r["site"]], "value": r[column]} for r in of_model]
            points = style.points(here, "place", "value")
            panel.plot(*points, "o", color=colour, markersize=2.2, alpha=0.6)
            line = style.means(here, "place", "value")
            panel.plot(*line, color=colour, linewidth=1, label=model_label(model))
        if not rows:
            why = {"s": f"No value of the probe `{table}`", "color": style.GREY}
            panel.text(0.5, 0.5, ha="center", transform=panel.transAxes, **why)
            panel.set_yticks([])
        panel.set_ylabel(label, fontsize=8)
        panel.set_ylim(bottom=min(0, panel.get_ylim()[0]))
    panels[-1].set_xlabel("site, part of the forward pass (0: input, 1: output)")
    figure.align_ylabels(panels)
    style.legend(figure, panels)
    return figure


def _places(tables: Iterable[style.Rows], model: str) -> dict[str, float]:
    """Return the place of every site, in the order of the table that has most of them."""
    orders = []
    for rows in tables:
        of_model = style.along(style.where(rows, model=model))
        depths = {row["site"]: float(row["depth"]) for row in of_model}
        orders.append(sorted(depths.keys() - _ENDS.keys(), key=depths.__getitem__))
    sites = max(orders, key=len)
    return _ENDS | {site: (i + 1) / (len(sites) + 1) for i, site in enumerate(sites)}
