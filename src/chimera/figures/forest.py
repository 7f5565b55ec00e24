"""The declared contrasts as a forest plot, from metrics/stats.json and the errors by replicate.

A contrast d is the difference of mean log errors, model minus baseline, and exp(d) a ratio of
errors: below 1 the model's error is smaller. The valid time is a difference in frames.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from chimera.figures import style
from chimera.study.labels import contrast_label, model_label

Scale = Callable[[float], float]
HEADINGS = {0.0: "$g_z$", 0.36: "p", 0.7: "q"}


@dataclass(frozen=True)
class Comparison:
    """A model's entries of metrics/stats.json and differences of replicates, by endpoint."""

    model: str
    contrasts: Mapping[str, Mapping[str, float]]
    differences: Mapping[str, Sequence[float]]


def forest_plot(
    comparisons: Sequence[Comparison], baseline: str, primary: str, level: float, margin: float
) -> Figure:
    """Draw every contrast, the primary endpoint first; `level` is that of the intervals."""
    shown = [comparison for comparison in comparisons if comparison.contrasts]
    if not shown:
        return style.message("No contrast: fewer than two replicates, or no declared endpoint")
    heights = [1.9 + 0.27 * len(comparison.contrasts) for comparison in shown]
    figure = Figure(figsize=(style.WIDTH, sum(heights)))
    parts = figure.subfigures(len(shown), 1, squeeze=False, height_ratios=heights)[:, 0]
    for part, comparison in zip(parts, shown, strict=True):
        contrasts = comparison.contrasts
        names = sorted(contrasts, key=lambda name: name != primary)
        ratios = [name for name in names if name != "ind_valid_time"]
        groups = [group for group in (ratios, [n for n in names if n not in ratios]) if group]
        heights = [len(group) + 0.6 for group in groups]
        grid = part.subplots(
            len(groups), 2, squeeze=False, width_ratios=[3, 1.2], height_ratios=heights
        )
        pair = model_label(comparison.model), model_label(baseline)
        for x, heading in HEADINGS.items():
            grid[0, 1].text(x, -1.0, heading, fontsize=9, va="bottom")
        for (panel, numbers), group in zip(grid, groups, strict=True):
            in_frames = group is not ratios
            scale: Scale = float if in_frames else math.exp
            panel.axvline(scale(0), color=style.GREY, linewidth=0.8, linestyle="--")
            for position, name in enumerate(group):
                bold = name == primary
                row, differences = contrasts[name], comparison.differences[name]
                _interval(panel, position, row, differences, scale, bold)
                _numbers(numbers, position, row, bold)
            panel.set_yticks(range(len(group)), [contrast_label(name) for name in group])
            for tick, name in zip(panel.get_yticklabels(), group, strict=True):
                tick.set_fontweight("bold" if name == primary else "normal")
            for side in (panel, numbers):
                side.set_ylim(len(group) - 0.5, -0.6)
            if not in_frames:
                style.plain_log_scale(panel, "x", (1.0, 1.4, 2.0, 3.0, 5.0, 7.0))
                panel.axvspan(math.exp(-margin), math.exp(margin), color="0.92", zorder=0)
            ratio = "ratio of errors, {} / {} (dimensionless, log scale)"
            label = "difference in valid time, {} - {} (frames)" if in_frames else ratio
            panel.set_xlabel(label.format(*pair))
            numbers.axis("off")
        n = contrasts[names[0]]["n"]
        bar = f"bar: mean and {level:.0%} t interval (n = {n:.0f})"
        said = f"dots: replicates; {bar}; band: margin of equivalence"
        part.suptitle(said, fontsize=8.5, color="0.25")
    return figure


def _interval(
    panel: Axes, at: int, row: Mapping[str, float], dots: Sequence[float], scale: Scale, bold: bool
) -> None:
    colour = "0.35"  # of no model
    ends = [scale(row["ci_low"]), scale(row["ci_high"])]
    width = 2.2 if bold else 1.4
    panel.plot(ends, [at] * 2, color=colour, linewidth=width, solid_capstyle="butt")
    panel.plot(scale(row["estimate"]), at, "|", color=colour, markersize=11, mew=2)
    points = [scale(dot) for dot in dots]
    panel.plot(points, [at + 0.22] * len(points), "o", color="black", markersize=2.5)


def _numbers(panel: Axes, position: int, row: Mapping[str, float], bold: bool) -> None:
    q = "primary" if bold else _probability(row["q"])
    cells = (f"{row['hedges_gz']:+.2f}", _probability(row["p"]), q)
    for x, text in zip(HEADINGS, cells, strict=True):
        weight = "bold" if bold else "normal"
        panel.text(x, position, text, va="center", fontsize=8.5, weight=weight)


def _probability(value: float) -> str:
    return "<.001" if value < 0.001 else f"{value:.3f}"
