"""Shared parts of all figures: names, colours, rows, and bytes that depend on the content alone.

Models have the colours of Okabe & Ito (2008), OOD axes the muted ones of Tol (2021), all distinct
for any colour vision; baselines are grey.
"""

import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import fmean
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator
from PIL import Image

WIDTH = 7.2  # inches, of a page
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F3C8D")
AXIS_PALETTE = ("#332288", "#88CCEE", "#117733", "#DDCC77", "#CC6677", "#AA4499", "#44AA99")
GREY = "0.45"
Rows = Sequence[Mapping[str, Any]]
TABLES = {  # numbers that are drawn of metrics/tables/, blank where withheld
    "training": ("step", "train_loss", "valid_nrmse"),
    "rollout": ("frame", "nrmse", "correlation"),
    "spectra": ("frame", "wavenumber", "energy"),
    "twonn": ("depth", "dimension"),
    "ib": ("depth", "information"),
    "patching": ("depth", "faithfulness"),
    "rome": ("effect", "ind_drift", "efficacy", "later_frames", "other_trajectories"),
}

mpl.rcParams.update(
    {
        "font.sans-serif": ["DejaVu Sans"],  # it comes with matplotlib: no other is looked for
        "font.size": 9,
        "axes.titlesize": 9,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "legend.frameon": False,
        "legend.fontsize": 8.5,
        "svg.hashsalt": "chimera",  # names inside an SVG are random without it
        "figure.constrained_layout.use": True,
        "pdf.fonttype": 42,  # publishers refuse Type 3
    }
)


def pictures(draw: Callable[[], Figure], look: str = "screen") -> dict[str, bytes]:
    """Return equal figures as equal bytes of `png`, in at most 256 colours, and `svg`.

    For a `paper` they have its width and type, and are `pdf`, too.
    """
    figure = draw()
    if look == "screen":
        return _drawn(figure)
    from matplotlib.backends.backend_pdf import FigureCanvasPdf

    inches, points = 6.75, 8  # of a text in two columns
    figure.set_figwidth(figure.get_figwidth() * inches / WIDTH)
    for text in figure.findobj(Text):
        text.set_fontsize(min(text.get_fontsize(), points))
    with mpl.rc_context({"font.size": points}):  # of the ticks that are made while drawing
        found = _drawn(figure)
        undated = dict.fromkeys(("CreationDate", "Creator", "Producer"))
        FigureCanvasPdf(figure).print_pdf(pdf := io.BytesIO(), metadata=undated)
    return found | {"pdf": pdf.getvalue()}


def _drawn(figure: Figure) -> dict[str, bytes]:
    png, svg = io.BytesIO(), io.BytesIO()
    figure.set_dpi(140)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    figure.set_layout_engine("none")
    every, plain = Image.Quantize.MAXCOVERAGE, Image.Dither.NONE  # colour scales stay smooth
    image = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    image.quantize(method=every, dither=plain).save(png, "png", optimize=True)
    FigureCanvasSVG(figure).print_svg(svg, metadata={"Date": None, "Creator": None})
    return {"png": png.getvalue(), "svg": svg.getvalue()}


def message(text: str) -> Figure:
    """Return a figure that states why there is nothing to draw."""
    figure = Figure(figsize=(WIDTH, 1.2))
    figure.text(0.5, 0.5, text, ha="center", va="center", color=GREY, wrap=True)
    return figure


def model_colours(models: Sequence[str]) -> dict[str, str]:
    """Return a colour for each model, in order."""
    return {model: PALETTE[i % len(PALETTE)] for i, model in enumerate(models)}


def axis_colours(axes: Iterable[str]) -> dict[str, str]:
    """Return black for IND and a colour for each OOD axis, in order."""
    ood = [axis for axis in axes if axis != "ind"]
    return {"ind": "black"} | {a: AXIS_PALETTE[i % len(AXIS_PALETTE)] for i, a in enumerate(ood)}


def distinct(rows: Rows, column: str) -> list[str]:
    """Return the values of a column, in the order in which they first appear."""
    return list(dict.fromkeys(row[column] for row in rows))


def where(rows: Rows, **values: str) -> Rows:
    """Return the rows that have these values."""
    return [row for row in rows if all(row[name] == value for name, value in values.items())]


def along(rows: Rows) -> Rows:
    """Return the rows of the sites that lie in no other, as the columns of a block do."""
    sites = {row["site"] for row in rows}
    return [row for row in rows if not any(row["site"].startswith(f"{site}.") for site in sites)]


def present(rows: Rows, models: Sequence[str]) -> list[str]:
    """Return the models that have rows: a probe may withhold what it measures of one."""
    return [model for model in models if where(rows, model=model)]


def points(rows: Rows, x: str, y: str) -> tuple[list[float], list[float]]:
    """Return two columns as numbers."""
    return [float(row[x]) for row in rows], [float(row[y]) for row in rows]


def means(rows: Rows, x: str, y: str) -> tuple[list[float], list[float]]:
    """Return every distinct x in rising order, and the mean of y over the rows that share it."""
    groups: dict[float, list[float]] = {}
    for row in rows:
        groups.setdefault(float(row[x]), []).append(float(row[y]))
    return sorted(groups), [fmean(groups[value]) for value in sorted(groups)]


def draw_runs(panel: Axes, rows: Rows, x: str, y: str, **style: Any) -> None:
    """Draw a line for each replicate of one model."""
    for replicate in distinct(rows, "replicate"):
        panel.plot(*points(where(rows, replicate=replicate), x, y), **style)


def plain_log_scale(panel: Axes, which: str, parts: Sequence[float]) -> None:
    """Make axis `x` or `y` of a drawn panel logarithmic, with plain ticks at parts of a decade."""
    (panel.set_xscale if which == "x" else panel.set_yscale)("log")
    axis = panel.xaxis if which == "x" else panel.yaxis
    low, high = axis.get_view_interval()
    narrow = high < 2 * low
    even = MaxNLocator(5, steps=[1, 2, 5, 10])
    axis.set_major_locator(even if narrow else LogLocator(subs=parts))
    axis.set_major_formatter("{x:.4g}")
    axis.set_minor_locator(NullLocator())


def mark_sites(panel: Axes, rows: Rows) -> None:
    """Name the sites of one model along the horizontal axis, by depth."""
    depths = {float(row["depth"]): row["site"] for row in rows}
    names = [depths[depth] for depth in sorted(depths)]
    panel.set_xticks(sorted(depths), names, rotation=90, fontsize=7)


def legend(figure: Figure, panels: Iterable[Axes], columns: int = 4, **style: Any) -> None:
    """Put one legend above all panels, each label once, in as many columns as the width takes."""
    found: dict[str, Any] = {}
    for panel in panels:
        for handle, label in zip(*panel.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)

    def width(n: int) -> float:  # inches, about
        parts = np.array_split(list(found), n)
        return float(sum(0.5 + 0.065 * max(map(len, part)) for part in parts))

    most, widest = min(columns, len(found)), figure.get_figwidth()
    ncols = next((n for n in range(most, 1, -1) if width(n) < widest), 1)
    if found:
        figure.legend(
            found.values(), found.keys(), loc="outside upper center", ncols=ncols, **style
        )
