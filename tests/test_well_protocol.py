"""The Well's protocol as its page says, on a small folder in its layout."""

import json
import re
import sys
from pathlib import Path

import pytest
import yaml

sys.path.insert(0, str(Path(__file__).parent / "data"))
import flows
from chimera.files.artifacts import read_csv
from workspaces import call, commit, copy_tree

OURS = (  # in the place of networks that another package has
    "model@models.unet_classic=unet_smoke", "model@models.well_fno=fno", "models.well_fno.width=4",
    "models.well_fno.modes=7", "models.well_fno.layers=2", "models.well_fno.hidden=32",
)  # fmt: skip


@pytest.mark.full
def test_it_runs_on_any_folder_and_ends_with_a_row_of_intervals(tmp_path):
    workspace, root = tmp_path / "chimera", tmp_path / "waves"
    copy_tree(workspace)
    commit(workspace)
    flows.write_well_folder(root, sizes=(4, 2, 3), H=32, W=32)
    own = (f"data.root={root}", "data.fields=[velocity_x,vorticity]", "scale=smoke")
    overrides = ("experiment=the_well_protocol", *own, "replicates=[0,1]", "train.steps=4", *OURS)
    call(workspace, "dvc", "exp", "run", *(word for o in overrides for word in ("-S", o)))
    params = yaml.safe_load((workspace / "params.yaml").read_text())
    assert params["model_names"] == ["unet_classic", "well_fno"]
    gaps = json.loads((workspace / "metrics/parity.json").read_text())["well_fno"]
    assert abs(gaps["params_gap"]) > 0.05, "no parity is asked for"
    printed = call(workspace, "python", "examples/well_networks/table.py", "waves")
    row = printed.splitlines()[-1]
    cells = re.findall(r"\| (\d+\.\d{4}) \[(-?\d+\.\d{4}), (\d+\.\d{4})\]", row)
    rows = read_csv(workspace / "metrics/errors.csv")
    assert row.startswith("| `waves` | ")
    assert len(cells) == 2
    for model, (mean, low, high) in zip(params["model_names"], cells, strict=True):
        errors = [float(r["vrmse"]) for r in rows if r["model"] == model and r["axis"] == "ind"]
        assert len(errors) == 2 * 3, "two replicates, three trajectories"
        assert float(mean) == pytest.approx(sum(errors) / 6, abs=6e-5)
        assert float(low) < float(mean) < float(high)
    assert all(float(r["vrmse"]) > 0 for r in rows)
