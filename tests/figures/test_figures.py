"""Figures show every run where it belongs, and equal tables give equal bytes."""

import hashlib
import io
import os
import re
import subprocess
import sys
from functools import cache

import numpy as np
import pypdf
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from chimera import figures
from chimera.figures import style
from chimera.planning.break_even import Cost
from chimera.study.labels import model_label
from chimera.study.tables import BY_RUN, digest
from figures import tables

MODELS = tables.MODELS
AXES = ("ind", "ood_viscosity")
RUNS = [(model, replicate) for model in MODELS for replicate in "01"]


def error_of(model, replicate, axis):
    return round(0.1 + len(model) / 100 + int(replicate) / 50 + AXES.index(axis), 4)


# A baseline is alike in every replicate, and stands in the table once.
ERRORS = digest(tables.errors(lambda *run: error_of(*run), AXES), BY_RUN)
TRAINING = tables.training()
ROLLOUT = tables.rollout(lambda *run: error_of(*run), AXES)
PARITY = {
    "tolerance": 0.05,
    "unet": {"params": 1000, "macs": 50000},
    "fractal_unet": {"params": 1020, "macs": 49000},
}
CONTRAST = {"estimate": 0.1, "ci_low": -0.2, "ci_high": 0.4, "p": 0.3, "q": 0.3, "hedges_gz": 0.5}
COMPARISON = figures.Comparison(
    "fractal_unet",
    {name: CONTRAST | {"n": 2} for name in ("gap", "ood_nrmse", "ind_valid_time")},
    {name: [0.0, 0.2] for name in ("gap", "ood_nrmse", "ind_valid_time")},
)
# Milliseconds a frame in batches; the solver on 128² was not evaluated, it made the truth.
TIMES = {"unet": 2.5, "fractal_unet": 4.0, "solver_48": 1.5, "solver_128": 14.0, "solver_32": 0.8}
COSTS = {name: Cost(2 * time, time, 8.0) for name, time in TIMES.items()}
SOLVED = [
    {"model": f"solver_{grid}", "replicate": "0", "axis": axis, "nrmse": str(2.0 / grid)}
    for grid in (48, 32)
    for axis in AXES
]
DRAWN = {
    "cost": lambda: figures.error_against_cost([*ERRORS, *SOLVED], COSTS, MODELS),
    "errors": lambda: figures.errors_by_axis(ERRORS, MODELS),
    "training": lambda: figures.training_curves(TRAINING, MODELS),
    "tuning": lambda: figures.tuning_search(tables.trials(), MODELS),
    "rollout": lambda: figures.rollout_curves(ROLLOUT, MODELS, 0.25, 0.8),
    "parity": lambda: figures.parity_bars(PARITY, MODELS, "unet"),
    "forest": lambda: figures.forest_plot([COMPARISON], "unet", "ood_nrmse", 0.95, 0.0953),
    "spectra": lambda: figures.energy_spectra(tables.spectra(), MODELS, 0.25),
    "twonn": lambda: figures.dimension_along_network(tables.twonn(), MODELS, "linear"),
    "ib": lambda: figures.information_plane(
        tables.ib(withheld=("encoder0", "skip0", "up0")), MODELS
    ),
    "patching": lambda: figures.patching_effects(tables.patching(), MODELS),
    "rome": lambda: figures.edit_tradeoff(tables.rome(), MODELS),
    "fields": lambda: figures.example_fields(examples(), 2.0, 0, "vorticity"),
}
EMPTY = {
    "tuning": (lambda: figures.tuning_search([], MODELS), "run make tune"),
    "cost": (lambda: figures.error_against_cost(ERRORS, {}, MODELS), "run `make cost`"),
    "training": (lambda: figures.training_curves([], MODELS), "train.steps is 0"),
    "forest": (
        lambda: figures.forest_plot([], "unet", "ood_nrmse", 0.95, 0.0953),
        "fewer than two replicates",
    ),
    "spectra": (lambda: figures.energy_spectra([], MODELS, 0.25), "`spectra` has not run"),
    "twonn": (lambda: figures.dimension_along_network([], MODELS, "linear"), "`twonn` has not run"),
    "ib": (lambda: figures.information_plane([], MODELS), "`ib` has not run"),
    "patching": (lambda: figures.patching_effects([], MODELS), "`patching` has not run"),
    "rome": (lambda: figures.edit_tradeoff([], MODELS), "`rome` has not run"),
    "fields": (lambda: figures.example_fields([], 2.0, 0, "vorticity"), "no dataset besides IND"),
}


def examples():
    rng = np.random.default_rng(0)
    fields = {
        model: {
            f"ood_decay.{kind}": rng.standard_normal((3, 1, 8, 6))
            for kind in ("prediction", "target")
        }
        for model in MODELS
    }
    return figures.examples({"ood_decay": [[0.5, 0.1, 0.3]]}, fields)


def words(figure: Figure) -> str:
    """Return all text of a figure."""
    return " ".join(
        text.get_text() for text in figure.findobj(match=lambda a: hasattr(a, "get_text"))
    )


def points(panel, marker="o"):
    """Return every (x, y) drawn with a marker."""
    return sorted(
        (round(float(x), 4), round(float(y), 4))
        for line in panel.lines
        if line.get_marker() == marker
        for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True)
    )


def test_every_replicate_is_a_point_at_its_value():
    panel = figures.errors_by_axis(ERRORS, MODELS).axes[0]
    drawn = sorted(round(float(y), 4) for line in panel.lines for y in line.get_ydata())
    runs = [*RUNS, ("persistence", "0"), ("linear", "0")]
    assert drawn == sorted(error_of(*run, axis) for run in runs for axis in AXES)
    bars = [bar.get_height() for bar in panel.patches]
    for model in MODELS:
        for axis in AXES:
            mean = np.mean([error_of(model, r, axis) for r in "01"])
            assert any(bar == pytest.approx(mean) for bar in bars)
    assert panel.get_ylabel() == "one-step nRMSE (dimensionless)"


def test_error_and_cost_of_every_replicate_and_of_the_solver_on_every_grid():
    ind, ood = DRAWN["cost"]().axes
    assert points(ood) == sorted((TIMES[m], error_of(m, r, AXES[1])) for m, r in RUNS)
    assert points(ind, "D") == [(0.8, 2 / 32), (1.5, round(2 / 48, 4))]
    assert {t.get_text() for t in ind.texts} == {"32²", "48²", "128²: the truth"}
    lines = {
        round(float(line.get_xdata()[0]), 4) for line in ind.lines if len(line.get_xdata()) == 2
    }
    assert {0.8, 14.0} <= lines
    alone = figures.error_against_cost(ERRORS, {"unet": COSTS["unet"]}, MODELS).axes[0]
    assert points(alone) == sorted((2.5, error_of("unet", r, "ind")) for r in "01")


def test_the_mean_over_axes_is_over_those_of_the_solver_beside_one_of_files():
    files = [row | {"axis": "ood_files"} for row in ERRORS if row["axis"] == "ind"]
    files = [row for row in files if row["model"] != "linear"]
    _, ood = figures.error_against_cost([*ERRORS, *files, *SOLVED], COSTS, MODELS).axes
    _, whole = DRAWN["cost"]().axes
    assert ood.get_title() == "OOD, mean over axes of the solver's flow"
    assert whole.get_title() == "OOD, mean over axes"
    assert points(ood) == points(whole)
    assert points(ood, "D") == points(whole, "D")


def test_a_baseline_that_is_absent_is_not_drawn():
    known = [row for row in ERRORS if row["model"] != "linear"]
    assert "linear" in words(figures.errors_by_axis(ERRORS, MODELS))
    assert "linear" not in words(figures.errors_by_axis(known, MODELS))


def test_every_run_is_a_line():
    for panel in figures.training_curves(TRAINING, MODELS).axes:
        assert len(panel.lines) == len(RUNS)
        assert panel.get_xlabel() == "optimiser step (count)"
    for loss, name in (("mse", "mean squared error"), ("relative_l2", "relative error")):
        first = figures.training_curves(TRAINING, MODELS, loss).axes[0]
        assert first.get_ylabel().startswith(f"training loss: {name}")
    panels = figures.rollout_curves(ROLLOUT, MODELS, 0.25, 0.8).axes
    assert len(panels) == 2 * len(AXES)
    for number, panel in enumerate(panels):
        threshold = number >= len(AXES)  # the correlations, below the errors
        assert len(panel.lines) == len(RUNS) + 1 + threshold
        np.testing.assert_allclose(panel.lines[0].get_xdata(), [0.25, 0.5, 0.75, 1.0])


def test_every_trial_is_a_point_and_the_best_one_is_ringed():
    diverged = [{**row, "valid_nrmse": "inf"} for row in tables.trials() if row["lr"] == "0.2"]
    kept = [row for row in tables.trials() if row["lr"] != "0.2"]
    rates, budget = figures.tuning_search([*kept, *diverged], MODELS).axes
    for number, model in enumerate(MODELS):
        line, ring = rates.lines[2 * number : 2 * number + 2]
        assert points_of(line) == [(0.001, 0.1), (0.02, 0.05)], model
        assert points_of(ring) == [(0.02, 0.05)]
        # One trial of three may be the one that diverged, of which no mean is finite.
        assert points_of(budget.lines[number])[1:] == [
            (2, pytest.approx((0.1 + 0.05 + 0.05) / 3)),
            (3, pytest.approx(0.05)),
        ]


def points_of(line):
    return list(zip(*map(list, line.get_data()), strict=True))


def test_forest_shows_replicates_and_interval_as_ratios_and_names_the_interval():
    figure = figures.forest_plot([COMPARISON], "unet", "ood_nrmse", 0.95, 0.0953)
    ratios = figure.axes[0]
    assert ratios.get_xscale() == "log"
    assert next(t.get_text() for t in ratios.get_yticklabels()) == "OOD error, all axes"
    xs = [x for x, _ in points(ratios)]
    np.testing.assert_allclose(xs, [1.0, 1.0, *np.exp([0.2, 0.2])], atol=1e-4)
    ends = [line.get_xdata() for line in ratios.lines if len(line.get_xdata()) == 2]
    assert any(np.allclose(pair, np.exp([-0.2, 0.4])) for pair in ends)
    assert "95% t interval" in words(figure)
    assert "n = 2" in words(figure)
    (band,) = ratios.patches
    low, high = band.get_extents().transformed(ratios.transData.inverted()).intervalx
    np.testing.assert_allclose([low, high], np.exp([-0.0953, 0.0953]))
    assert "primary" in words(figure)


def test_fields_are_ranked_and_share_one_symmetric_scale_in_a_row():
    shown = examples()
    assert [(e.rank, e.number, e.error) for e in shown] == [
        ("best", 1, 0.1),
        ("median", 2, 0.3),
        ("worst", 0, 0.5),
    ]
    figure = figures.example_fields(shown, 2.0, 0, "vorticity")
    images = [panel.images[0] for panel in figure.axes if panel.images]
    assert len(images) == 3 * 5
    for row in np.array(images).reshape(3, 5):
        limits = {image.get_clim() for image in row}
        assert len(limits) == 1
        low, high = limits.pop()
        assert low == -high
        assert high == max(np.abs(image.get_array()).max() for image in row)
    worst = shown[2]
    error = worst.predictions["unet"] - worst.target
    np.testing.assert_allclose(images[13].get_array(), error.T)  # truth, forecasts, errors
    relative = np.sqrt((error**2).sum() / (worst.target**2).sum())
    assert f"nRMSE {relative:.2f}" in words(figure)
    assert "vorticity" in words(figure)


def test_the_median_of_an_even_number_of_trajectories_is_one_of_them():
    fields = {
        f"{axis}.{of}": np.ones((2, 1, 4, 4)) for axis in "ab" for of in ("prediction", "target")
    }
    errors = {"a": [[4.0, 1.0, 9.0]], "b": [[3.0, 2.0, 0.0]]}  # the last have no fields
    ranked = figures.examples(errors, {"unet": fields})
    assert [(e.rank, e.axis, e.number, e.error) for e in ranked] == [
        ("best", "a", 1, 1.0),
        ("median", "b", 1, 2.0),
        ("worst", "a", 0, 4.0),
    ]
    assert figures.examples({}, {"unet": fields}) == []


def test_every_site_has_a_point_for_each_replicate():
    rows = [row for row in tables.twonn() if row["estimator"] == "linear"]
    for model, panel in zip(MODELS, DRAWN["twonn"]().axes, strict=True):
        expected = sorted(
            (float(r["depth"]), round(float(r["dimension"]), 4))
            for r in rows
            if r["model"] == model
        )
        assert points(panel) == expected
        names = [label.get_text() for label in panel.get_xticklabels()]
        assert names == list(tables.SITES[model])
        assert max(y for _, y in expected) < panel.get_ylim()[1]


def test_information_plane_tells_reported_values_from_withheld_ones():
    def coloured(panel):
        return [line for line in panel.lines if line.get_fillstyle() != "none"]

    figure = figures.information_plane(tables.ib(withheld=("skip0",)), MODELS)
    panel = figure.axes[0]
    sites = len(tables.SITES["unet"])
    assert len(panel.lines) == 2 * sites
    assert len(coloured(panel)) == 2 * (sites - 1)
    assert f"{2 * (sites - 1)} of {2 * sites} reported" in words(figure)
    values = {float(row["information"]) for row in tables.ib()}
    assert all({x, y} <= values for x, y in points(panel))
    everything = {site for names in tables.SITES.values() for site in names}
    nothing = figures.information_plane(tables.ib(withheld=everything), MODELS)
    assert all(not coloured(panel) for panel in nothing.axes)
    assert f"0 of {2 * sites} reported" in words(nothing)


def test_heat_map_has_the_mean_effect_over_replicates():
    rows = tables.patching()
    for row in rows:
        if row["replicate"] == "1":
            row["faithfulness"] = str(float(row["faithfulness"]) + 0.1)
    figure = figures.patching_effects(rows, MODELS)
    for model, panel in zip(MODELS, figure.axes, strict=False):
        sites = tables.SITES[model]
        drawn = panel.images[0].get_array()
        assert drawn.shape == (len(sites), 3 + 2 * 4)  # all bands together, and twins by band
        expected = [depth / len(sites) + 0.05 for depth in range(len(sites))]
        np.testing.assert_allclose(drawn[:, 0], expected, atol=1e-4)


def test_edits_are_points_at_their_drift():
    panel = DRAWN["rome"]().axes[0]
    drawn = {point for marker in "osD^v" for point in points(panel, marker)}
    assert drawn == {(float(r["ind_drift"]), float(r["efficacy"])) for r in tables.rome()}


def test_spectra_draw_the_first_and_the_last_frame():
    panels = DRAWN["spectra"]().axes
    assert len(panels) == 2 * len(tables.AXES)
    for panel in panels:
        # the truth, and a forecast and an error for each run
        assert sum(len(line.get_xdata()) > 0 for line in panel.lines) == 1 + 2 * len(RUNS)


MANY = ("unet", "fractal_unet", "unet_fractal_widths", "fractal_unet_c3", "convnext_unet", "fno")
SITES = tables.SITES | dict.fromkeys(MANY[2:], ("encoder0", "bottleneck.column1.join"))


@pytest.mark.parametrize("number", [2, 4, 6])
@pytest.mark.parametrize("name", ["errors", "training", "rollout", "spectra", "rome"])
def test_no_legend_is_wider_than_its_figure(monkeypatch, name, number):
    models = MANY[:number]
    monkeypatch.setattr(tables, "MODELS", models)
    drawn = {
        "errors": lambda: figures.errors_by_axis(
            digest(tables.errors(lambda *run: error_of(*run), AXES), BY_RUN), models
        ),
        "training": lambda: figures.training_curves(tables.training(), models),
        "rollout": lambda: figures.rollout_curves(
            tables.rollout(lambda *run: error_of(*run), AXES), models, 0.25, 0.8
        ),
        "spectra": lambda: figures.energy_spectra(tables.spectra(), models, 0.25),
        "rome": lambda: figures.edit_tradeoff(tables.rome(), models),
    }[name]()
    FigureCanvasAgg(drawn).draw()
    (legend,) = drawn.legends
    box, whole = legend.get_window_extent(), drawn.bbox
    assert 0 <= box.x0 < box.x1 <= whole.x1
    said = [text.get_text() for text in legend.get_texts()]
    assert len(said) == len(set(said))
    assert {model_label(model) for model in models} <= set(said)


@pytest.mark.parametrize("number", [1, 2, 3, 6])
def test_heat_maps_stand_two_in_a_row_and_skip_what_has_no_site(monkeypatch, number):
    models = MANY[:number]
    monkeypatch.setattr(tables, "MODELS", models)
    figure = figures.patching_effects(tables.patching(sites=SITES), [*models, "without"])
    maps = [panel for panel in figure.axes if panel.images and panel.get_xlabel()]
    assert [panel.get_xlabel() for panel in maps] == [model_label(model) for model in models]
    assert {panel.get_subplotspec().colspan.start for panel in maps} == set(range(min(2, number)))


def test_probes_draw_no_empty_panel_of_a_model_that_they_withheld():
    models = [*MODELS, "without"]
    assert len(figures.dimension_along_network(tables.twonn(), models, "linear").axes) == 2
    plane = figures.information_plane(tables.ib(), models)
    assert "without" not in words(plane)
    assert "without" not in words(figures.edit_tradeoff(tables.rome(), models))


def test_more_than_two_models_have_their_errors_below_their_forecasts():
    arrays = {f"ood_decay.{kind}": np.ones((3, 1, 8, 6)) for kind in ("prediction", "target")}
    fields = dict.fromkeys(MANY, arrays)
    shown = figures.examples({"ood_decay": [[0.5, 0.1, 0.3]]}, fields)
    figure = figures.example_fields(shown, 2.0, 0, "vorticity")
    rows = {}
    for panel in figure.axes:
        if panel.images and panel.get_subplotspec():
            spec = panel.get_subplotspec()
            rows.setdefault(spec.rowspan.start, []).append(spec.colspan.start)
    assert [rows[line] for line in range(6)] == [list(range(7)), list(range(1, 7))] * 3


def test_an_axis_has_the_colour_of_no_model():
    models = style.model_colours(MANY).values()
    axes = style.axis_colours(["ind", *(f"ood_{i}" for i in range(7))]).values()
    assert len(set(models)) == 6
    assert len(set(axes)) == 8
    assert not set(models) & set(axes)
    panel = DRAWN["forest"]().axes[0]
    assert not {line.get_color() for line in panel.lines} & set(models), "a bar is of two models"


# Of every axis and colour bar: quantity and unit.
LABELS = {
    "cost": {
        "one-step nRMSE (dimensionless)",
        "time of a forecast in batches of 16\n(ms a frame, one core)",
    },
    "errors": {"one-step nRMSE (dimensionless)"},
    "training": {
        "optimiser step (count)",
        "training loss: mean squared error\nof normalised frames (dimensionless)",
        "one-step nRMSE, validation split\n(dimensionless)",
    },
    "rollout": {
        "time since the last true frame (solver's unit of time)",
        "nRMSE\n(dimensionless)",
        "correlation\n(dimensionless)",
    },
    "parity": {"parameters (count)", "multiply-accumulates a frame (count)"},
    "forest": {
        "ratio of errors, FractalUNet / UNet (dimensionless, log scale)",
        "difference in valid time, FractalUNet - UNet (frames)",
    },
    "spectra": {
        "wavenumber |m| (waves a box side, dimensionless)",
        "kinetic energy a shell (length² / time²)",
        *("at time 0.25", "at time 5"),
    },
    "tuning": {
        "learning rate (dimensionless)",
        "one-step nRMSE, validation split\n(dimensionless)",
        "trials made, k (count)",
        "expected of the best of k\n(dimensionless)",
    },
    "twonn": {
        "site, in the order of the forward pass",
        "intrinsic dimension (dimensionless)",
    },
    "ib": {
        "I(X; T): about the input (nats)",
        "I(T; Y): about the output (nats)",
        "depth, part of the forward pass (dimensionless)",
        *("UNet", "FractalUNet"),
    },
    "patching": {
        "band of wavenumbers of the output",
        "site, in the order of the forward pass",
        "faithfulness (dimensionless)",
        *("UNet", "FractalUNet"),
    },
    "rome": {
        "IND drift: relative rise of the IND error (dimensionless)",
        "patching effect\n(dimensionless)",
        "part of the error repaired\n1 - e' / e (dimensionless)",
    },
    "fields": {
        *(f"{rank}\nOOD decay\nno. {n}" for rank, n in (("best", 1), ("median", 2), ("worst", 0))),
        "vorticity\n(1 / unit of time)",
    },
}


def labels(figure):
    """Return the labels of all axes and colour bars, and those that several panels share."""
    shared = {figure.get_supxlabel(), figure.get_supylabel()}
    own = {label for p in figure.axes for label in (p.get_xlabel(), p.get_ylabel())}
    return (shared | own) - {""}


@pytest.mark.parametrize("name", DRAWN)
def test_every_axis_has_its_quantity_and_unit(name):
    found = labels(DRAWN[name]())
    relative = {label for label in found if re.fullmatch(r"nRMSE \d\.\d\d", label)}
    assert bool(relative) == (name == "fields")
    assert found - relative == LABELS[name]


@cache
def pictures_of(name):
    """Return the pictures of one figure by format, drawn once."""
    return figures.pictures(DRAWN[name])


@pytest.mark.parametrize("name", DRAWN)
def test_equal_tables_give_equal_bytes_and_small_pictures(name):
    one, other = pictures_of(name), figures.pictures(DRAWN[name])
    assert one == other
    assert len(one["png"]) < 150_000
    assert b"Matplotlib v" not in one["png"] + one["svg"]


@pytest.mark.parametrize("name", ["errors", "forest", "patching", "fields", "rollout"])
def test_a_paper_s_figures_have_its_width_and_type(name):
    """6.75 inches of 72 points, letters of at most 8, in fonts that publishers take."""
    figure = DRAWN[name]()
    found, again = figures.pictures(lambda: figure, "paper"), figures.pictures(DRAWN[name], "paper")
    assert found == again
    assert set(found) == {"png", "svg", "pdf"}
    (page,) = pypdf.PdfReader(io.BytesIO(found["pdf"])).pages
    assert float(page.mediabox.width) == pytest.approx(6.75 * 72, abs=0.01)
    assert {font.get_object()["/Subtype"] for font in page["/Resources"]["/Font"].values()} <= {
        "/TrueType",
        "/Type0",
    }
    written = [text.get_fontsize() for text in figure.findobj(Text) if text.get_text()]
    assert max(written) == 8


def digest_of_all():
    """Return one digest of every picture."""
    parts = [pictures_of(name)[kind] for name in DRAWN for kind in ("png", "svg")]
    return hashlib.sha256(b"".join(parts)).hexdigest()


@pytest.mark.parametrize("seed", ["1", pytest.param("2", marks=pytest.mark.full)])
def test_the_order_of_sets_changes_no_byte(seed):
    """Neither seed is that of this process, which make sets to 0."""
    other = subprocess.run(
        [sys.executable, "-c", "import test_figures; print(test_figures.digest_of_all())"],
        env=os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        check=True,
        text=True,
    )
    assert other.stdout.strip() == digest_of_all()


@pytest.mark.parametrize(("draw", "reason"), EMPTY.values(), ids=EMPTY)
def test_an_empty_table_gives_a_figure_that_says_why(draw, reason):
    figure = draw()
    assert reason in words(figure)
    assert not figure.axes


def test_a_model_without_causal_effects_has_no_panel():
    row = {"model": "a", "donor": "ind", "recipient": "ood", "site": "s", "depth": "0"}
    row |= {"band": "all", "faithfulness": "0.5"}
    drawn = figures.patching_effects([row], ["a", "b"])
    assert [axes.get_xlabel() for axes in drawn.axes if axes.get_xlabel()] == ["a"]
