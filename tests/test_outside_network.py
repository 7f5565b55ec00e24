"""A network from outside the package goes through the whole study, with sites and without."""

import json
import shutil

import pytest
import yaml

from workspaces import ROOT, call, commit, copy_tree

EXAMPLE = ROOT / "examples/own_network"
OVERRIDES = (
    "scale=smoke", "replicates=[0,1]", "probe_names=[twonn,patching,rome]",
    "+model@models.mine=two_grids", "models.mine.fine=10", "models.mine.coarse=18",
    "+model@models.plain=two_grids", "models.plain.depth=2", "models.plain.fine=13",
    "models.plain.coarse=26", "models.plain.sites=[]",
)  # fmt: skip

pytestmark = pytest.mark.full


@pytest.fixture(scope="module")
def studied(tmp_path_factory):
    """Return a workspace with the example's conf file in place, its study run, and what it said."""
    workspace = tmp_path_factory.mktemp("own_network") / "chimera"
    copy_tree(workspace)
    shutil.copy(EXAMPLE / "two_grids.yaml", workspace / "conf/model")
    commit(workspace)
    words = [word for override in OVERRIDES for word in ("-S", override)]
    return workspace, call(workspace, "dvc", "exp", "run", *words)


def read(workspace, name):
    return json.loads((workspace / name).read_text())


def test_it_comes_out_of_every_stage(studied):
    workspace, _ = studied
    sizes = read(workspace, "metrics/parity.json")
    assert sizes["mine"]["live_params"] == sizes["mine"]["params"]
    assert abs(sizes["mine"]["macs_gap"]) <= sizes["tolerance"]
    assert read(workspace, "metrics/summary.json")["mine"]["ind"]["nrmse"] > 0
    assert read(workspace, "metrics/stats.json")["mine"]["verdict"]
    assert "mine" in (workspace / "plots/report.html").read_text()
    rows = read(workspace, "metrics/runs/mine/0/patching.json")["rows"]
    depths = {row["site"]: row["depth"] for row in rows}
    assert depths == {"fine": 0, "coarse": 1, "output": 2}, "the order of the forward pass"
    gate = yaml.safe_load((workspace / "metrics/gates/networks/mine.yaml").read_text())
    assert f"{EXAMPLE.relative_to(ROOT)}/two_grids.py" in gate["source"]


def test_a_network_without_sites_is_withheld_from_the_probes_that_need_them(studied):
    workspace, printed = studied
    assert "probe-twonn-plain-0 is withheld: the network has no site" in printed
    for probe in ("twonn", "patching", "rome"):
        assert read(workspace, "metrics/probes.json")["plain"][probe] == {
            "withheld": 1.0,
            "withheld_sd": 0.0,
            "reported": 0.0,
            "reported_sd": 0.0,
        }
    assert read(workspace, "metrics/stats.json")["plain"]["verdict"]


def test_an_edit_of_it_runs_its_cells_alone(studied):
    workspace, _ = studied
    with (workspace / "examples/own_network/two_grids.py").open("a") as stream:
        stream.write("# a comment\n")
    printed = call(workspace, "dvc", "repro", "--dry")
    changed = [line for line in printed.splitlines() if line.startswith("Running stage 'networks")]
    assert sorted(changed) == [f"Running stage 'networks@{n}':" for n in ("mine", "plain")]
    call(workspace, "dvc", "repro", "networks")
    status = json.loads(call(workspace, "dvc", "status", "--json", "train"))
    causes = {cell: str(change) for cell, change in status.items()}
    own = {cell for cell, cause in causes.items() if "gates/networks/" in cause}
    assert own == {f"train@{name}-{r}" for name in ("mine", "plain") for r in (0, 1)}
