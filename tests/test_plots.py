"""What `dvc plots` shows: every plot has a template, and every column that it names exists."""

import json
import re
from pathlib import Path

import pytest
import yaml

from chimera.study.tables import BY_RUN, DIGESTS

ROOT = Path(__file__).parents[1]
PLOTS = {
    name: plot
    for entry in yaml.safe_load((ROOT / "dvc.yaml").read_text())["plots"]
    for name, plot in entry.items()
}
ANCHORS = ("DATA", "TITLE", "X", "X_LABEL", "Y", "Y_LABEL")
COMPUTED = {"rev", "last", "kind"}  # by DVC and by the templates themselves


def columns(path):
    """Return the columns of a small table that the stage aggregate writes."""
    folder, name = Path(path).parent, Path(path).stem
    assert folder == Path("plots/tables")
    kept = BY_RUN if name == "errors" else DIGESTS[name]
    return {*kept.keys, *kept.values}


def fields(specification):
    """Return every field that a Vega-Lite specification encodes."""
    if isinstance(specification, dict):
        for key, value in specification.items():
            if key == "field" and isinstance(value, str):
                yield value
            else:
                yield from fields(value)
    elif isinstance(specification, list):
        for entry in specification:
            yield from fields(entry)


@pytest.mark.parametrize("name", PLOTS)
def test_plot_has_a_template_units_and_columns_that_exist(name):
    plot = PLOTS[name]
    text = (ROOT / f".dvc/plots/{plot['template']}.json").read_text()
    assert all(f"<DVC_METRIC_{anchor}>" in text for anchor in ANCHORS)
    ((path, y),) = plot["y"].items()
    known = columns(path)
    assert {plot["x"], y} <= known
    encoded = {field for field in fields(json.loads(text)) if not field.startswith("<DVC")}
    assert encoded <= known | COMPUTED, encoded - known
    filtered = set(re.findall(r"datum\.(\w+)", text))
    assert filtered <= known | COMPUTED, filtered - known
    assert re.search(r"\(.+\)$|^frame$|^optimiser step$|^axis$", plot["x_label"])
    assert re.search(r"\((dimensionless|nats|length²/time²)\)$", plot["y_label"])
