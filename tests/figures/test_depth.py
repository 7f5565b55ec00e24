"""The page by depth puts every probe's sites at the same places of the forward pass."""

import numpy as np

from chimera.figures.depth import quantities_by_depth


def tables():
    """Return rows of two models, of which `net` has four sites and `ib` reads two of them."""
    sites = {"net": ["a", "b", "c", "d"], "other": ["a"]}
    found = {"twonn": [], "ib": [], "patching": []}
    for model, names in sites.items():
        for replicate in "01":
            cell = {"model": model, "replicate": replicate}
            for depth, site in enumerate(["input", *names, "target"], start=-1):
                of = cell | {"axis": "ind", "site": site, "depth": str(depth)}
                value = str(10 + depth + int(replicate))
                found["twonn"] += [
                    of | {"estimator": estimator, "dimension": value}
                    for estimator in ("linear", "mle")
                ]
            for depth, site in enumerate(["input", *names[1::2]]):
                for pair in ("t_y", "x_t"):
                    of = cell | {"axis": "ind", "site": site, "depth": str(depth), "pair": pair}
                    value = {"information": str(depth + 0.5), "withheld": "0"}
                    found["ib"].append(of | value)
    return found


def lines(panel):
    """Return the points of each model's means."""
    return {
        line.get_label(): np.transpose(line.get_data())
        for line in panel.get_lines()
        if not line.get_label().startswith("_")
    }


def test_sites_lie_at_the_same_place_in_every_panel():
    figure = quantities_by_depth(tables(), ["net", "other"])
    dimension, about_input, about_output, faithfulness = figure.axes
    places = np.array([0, 0.2, 0.4, 0.6, 0.8, 1])
    expected = np.stack([places, 10.5 + np.arange(-1, 5)], axis=1)  # means of two replicates
    np.testing.assert_allclose(lines(dimension)["net"], expected)
    np.testing.assert_allclose(lines(dimension)["other"][:, 0], [0, 0.5, 1])
    for panel in (about_input, about_output):  # b and d are the second and the fourth of four
        np.testing.assert_allclose(lines(panel)["net"], [[0, 0.5], [0.4, 1.5], [0.8, 2.5]])
    assert faithfulness.texts[0].get_text() == "No value of the probe `patching`"
    assert not any(panel.texts for panel in (dimension, about_input, about_output))


def test_a_colour_is_a_model_and_what_is_withheld_is_not_drawn():
    figure = quantities_by_depth(tables(), ["net", "other"])
    colours = [
        {line.get_label(): line.get_color() for line in panel.get_lines()}
        for panel in figure.axes[:3]
    ]
    for found in colours:
        assert found["net"] == colours[0]["net"] != found["other"] == colours[0]["other"]
    shown = tables()
    shown["ib"] = [row | {"withheld": "1"} for row in shown["ib"]]
    figure = quantities_by_depth(shown, ["net", "other"])
    for panel in figure.axes[1:3]:
        assert panel.texts[0].get_text() == "No value of the probe `ib`"
    assert not figure.axes[0].texts


def test_the_columns_of_a_block_are_not_on_the_line():
    """They lie beside each other: a, b and the block d follow one another."""
    shown = {
        name: [row | {"site": "d.column1" if row["site"] == "c" else row["site"]} for row in rows]
        for name, rows in tables().items()
    }
    dimension, about_input, *_ = quantities_by_depth(shown, ["net", "other"]).axes
    np.testing.assert_allclose(lines(dimension)["net"][:, 0], [0, 0.25, 0.5, 0.75, 1])
    np.testing.assert_allclose(lines(dimension)["net"][:, 1], [9.5, 10.5, 11.5, 13.5, 14.5])
    np.testing.assert_allclose(lines(about_input)["net"][:, 0], [0, 0.5, 0.75])
