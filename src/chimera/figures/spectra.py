"""Energy of truth, forecast and error by wavenumber, from metrics/tables/spectra.csv.

A forecast may have the right energy at the wrong phases: the spectrum of its error then reaches
twice that of the truth, the grey line.
"""

from collections.abc import Sequence

from matplotlib.figure import Figure

from chimera.figures import style
from chimera.study.labels import axis_label, model_label

_LINES = {"prediction": ("forecast", "-"), "error": ("error", ":")}


def energy_spectra(rows: style.Rows, models: Sequence[str], frame_interval: float) -> Figure:
    """Draw kinetic energy spectra at the first and last frame: a line for each run, and the truth.

    Rows have model, replicate, axis, frame, quantity, wavenumber, energy; the interval is in the
    solver's unit of time.
    """
    fields = ("prediction", "target", "error")
    energy = [row for row in rows if row["quantity"] in fields and float(row["energy"]) > 0]
    forecasts = style.where(energy, quantity="prediction")
    if not forecasts:
        return style.message("No spectra: the probe `spectra` has not run")
    axes = style.distinct(forecasts, "axis")
    frames = sorted(style.distinct(forecasts, "frame"), key=float)
    shown = list(dict.fromkeys((frames[0], frames[-1])))
    figure = Figure(figsize=(max(style.WIDTH, 1.2 * len(axes)), 1.1 + 1.75 * len(shown)))
    panels = figure.subplots(len(shown), len(axes), sharex=True, sharey=True, squeeze=False)
    for i, frame in enumerate(shown):
        for panel, axis in zip(panels[i], axes, strict=True):
            here = style.where(energy, axis=axis, frame=frame)
            truth = style.means(style.where(here, quantity="target"), "wavenumber", "energy")
            panel.plot(*truth, color="black", linewidth=2.2, alpha=0.35, label="truth")
            for model, colour in style.model_colours(models).items():
                panel.plot([], [], color=colour, label=model_label(model))
                for quantity, (_, dashes) in _LINES.items():
                    runs = style.where(here, model=model, quantity=quantity)
                    line = {"color": colour, "linewidth": 0.9, "linestyle": dashes}
                    style.draw_runs(panel, runs, "wavenumber", "energy", **line)
            for name, dashes in _LINES.values():
                panel.plot([], [], color=style.GREY, linestyle=dashes, label=name)
            style.plain_log_scale(panel, "x", (1, 3))
            panel.set_yscale("log")
            panel.tick_params(labelsize=8)
            if i == 0:
                panel.set_title(axis_label(axis, "\n"))
        time = float(frame) * frame_interval
        panels[i, 0].set_ylabel(f"at time {time:g}", fontsize=8, color=style.GREY)
    # Eight decades hold what single precision resolves; a decayed flow reaches far below.
    panels[0, 0].set_ylim(bottom=1e-8 * max(float(row["energy"]) for row in energy))
    figure.supylabel("kinetic energy a shell (length² / time²)", fontsize=9)
    figure.supxlabel("wavenumber |m| (waves a box side, dimensionless)", fontsize=9)
    style.legend(figure, panels.flat, columns=5)
    return figure
