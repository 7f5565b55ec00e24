"""A generated study with an axis of files, whose errors are those of the same flow as generated."""

import json
import re
import shlex
import shutil

import h5py
import numpy as np
import pytest
import yaml

from chimera.data.layout.splits import Split
from chimera.planning.composition import compose
from workspaces import ROOT, call, command, commit, copy_tree, sentence, stage

IND, AXIS = "cfd2d_ind_v2", "cfd2d_ood_amplitude_v2"
CELL = ("--model", "fractal_unet", "--replicate", "0")
BOX = f"data.files.extent=[{2 * np.pi},{2 * np.pi}]"


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """Return a clone with the two generated datasets of the smoke scale."""
    workspace = tmp_path_factory.mktemp("mixed") / "chimera"
    copy_tree(workspace)
    commit(workspace)
    command(workspace, "compose", "scale=smoke")
    stage(workspace, "validate")
    for name in (IND, AXIS):
        stage(workspace, "generate", "--dataset", name)
    return workspace


def flow(clone):
    """Return the file of the generated axis."""
    return clone / f"data/{AXIS}/data/test/{AXIS}_test.hdf5"


def lab(clone, folder, source):
    """Write the flow of the generated axis as somebody's files, and return what states them."""
    folder.mkdir()
    if source == "well":
        shutil.copy(flow(clone), folder / "measured.hdf5")
        return ()
    with h5py.File(flow(clone)) as file:
        vorticity, viscosity = file["t0_fields/vorticity"][...], file["scalars/viscosity"][...]
    np.savez(folder / "measured.npz", trajectories=vorticity[:, :, None], viscosity=viscosity)
    return ("data.files.source=npz", BOX, "data.files.frame_interval=0.25")


def mixed(clone, folder, *overrides):
    """Compose the study of IND and one axis of files."""
    own = ("data=generated_and_files", f"data.root={folder}", f"scale.datasets=[{IND}]")
    command(clone, "compose", "scale=smoke", *own, *overrides)
    stage(clone, "validate")


def errors(clone):
    """Evaluate the network and return its errors."""
    stage(clone, "evaluate", *CELL)
    return json.loads((clone / "metrics/runs/fractal_unet/0/evaluate.json").read_text())


@pytest.mark.parametrize(
    ("source", "conditioning"), [("well", "[forcing,viscosity]"), ("npz", "[viscosity]")]
)
def test_errors_are_those_of_the_same_flow_as_generated(clone, tmp_path, source, conditioning):
    known = f"data.conditioning={conditioning}"
    command(clone, "compose", "scale=smoke", "train.steps=4", known)
    for name in ("validate", "verify", "parity"):
        stage(clone, name)
    stage(clone, "networks", "--model", "fractal_unet")
    stage(clone, "train", *CELL)
    generated = errors(clone)
    stated = lab(clone, tmp_path / "lab", source)
    mixed(clone, tmp_path / "lab", "train.steps=4", known, *stated)
    stage(clone, "ingest", "--dataset", "ood_files")
    copied = list((clone / "data/ood_files").rglob("*.hdf5"))
    assert len(copied) == (source == "npz"), "what is in The Well's layout is read in place"
    stage(clone, "verify")
    verify = json.loads((clone / "metrics/verify.json").read_text())
    assert verify["unfrozen"] == 1, "no manifest has the flow of files"
    found = errors(clone)
    for name in ("model", "persistence"):
        assert found[name]["ood_files"] == generated[name][AXIS], "one flow, stored in float32"
        assert found[name][IND] == generated[name][IND]
    assert found["linear"].keys() == {IND}, "nobody knows the physics of these files"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"N": 8}, "measured.npz has a grid of 8 x 8, expected 16 x 16"),
        ({"interval": 0.1}, "measured.npz has a frame interval of 0.1, expected 0.25"),
        ({"interval": None}, "measured.npz has a frame interval of unknown, expected 0.25"),
        ({"extent": "[1,1]"}, "measured.npz has the extent 1 x 1, expected 6.283 x 6.283"),
        ({"boundary": "[periodic,open]"}, "boundaries periodic and open, expected periodic and p"),
        ({"C": 2}, "measured.npz: trajectories has 2 channels, expected 1"),
    ],
)
def test_an_axis_that_is_not_as_ind_is_one_sentence_of_its_file(clone, tmp_path, change, said):
    given = {"N": 16, "C": 1, "interval": 0.25, "extent": None, "boundary": "null"} | change
    flow = np.random.default_rng(0).normal(size=(2, 9, given["C"], given["N"], given["N"]))
    (tmp_path / "lab").mkdir()
    np.savez(tmp_path / "lab/measured.npz", trajectories=flow)
    interval = given["interval"] or "null"
    stated = ["data.files.source=npz", f"data.files.frame_interval={interval}"]
    stated += [f"data.files.extent={given['extent']}" if given["extent"] else BOX]
    mixed(clone, tmp_path / "lab", *stated, f"data.files.boundary={given['boundary']}")
    error = sentence(stage(clone, "ingest", "--dataset", "ood_files", expect=2))
    assert said in error
    assert str(tmp_path) in error
    if "C" not in change:
        assert f"as in data/{IND}: what a file does not say" in error


def test_an_axis_without_the_conditioning_stops_before_the_training(clone, tmp_path):
    stated = lab(clone, tmp_path / "lab", "npz")
    mixed(clone, tmp_path / "lab", *stated)
    error = sentence(stage(clone, "ingest", "--dataset", "ood_files", expect=2))
    assert "lab/measured.npz has no 'forcing' that data.conditioning names" in error
    with np.load(tmp_path / "lab/measured.npz") as file:
        arrays = dict(file) | {"viscosity": np.zeros(2)}
    np.savez(tmp_path / "lab/measured.npz", **arrays)
    mixed(clone, tmp_path / "lab", *stated, "data.conditioning=[viscosity]")
    stage(clone, "ingest", "--dataset", "ood_files")
    error = sentence(stage(clone, "verify", expect=2))
    assert "has viscosity 0, expected more than 0, as its logarithm is an input" in error


def test_the_generated_flow_beside_its_own_copy_is_refused(clone, tmp_path):
    stated = lab(clone, tmp_path / "lab", "well")
    mixed(clone, tmp_path / "lab", *stated, f"scale.datasets=[{IND},{AXIS}]")
    stage(clone, "ingest", "--dataset", "ood_files")
    error = sentence(stage(clone, "verify", expect=2))
    assert f"data/{AXIS}/data/test" in error
    assert "is bit for bit" in error


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ([f"+data.files.datasets.{AXIS}.files=b*", f"scale.datasets=[{IND},{AXIS}]"],
         f"data.imported has '{AXIS}', expected no name of data.generated"),
        (["scale.datasets=[]"], "data.names begins with 'ood_files', expected IND of data.gene"),
        (["+data.files.seed=1"], "data.files.seed is given, expected data.seed alone"),
        (["data.files.source=zarr"], "data.files.source is 'zarr', expected one of well, pdebenc"),
        (["data.root=gone"], "data.root is 'gone', expected a file or folder that exists"),
        (["+data.files.datasets.ood_files.which=1"], "data.files.datasets.ood_files.which is not"),
        (["datasets=[cfd2d_ind_v2,ood_fles]"], "datasets has 'ood_fles', expected one of"),
    ],
)  # fmt: skip
def test_names_and_keys_that_do_not_fit_are_one_sentence(clone, tmp_path, overrides, said):
    own = ("data=generated_and_files", f"data.root={tmp_path}", f"scale.datasets=[{IND}]")
    command(clone, "compose", "scale=smoke", *own, *overrides)
    assert said in sentence(stage(clone, "validate", expect=2))


def test_two_datasets_of_one_axis_are_refused_before_the_training(clone, tmp_path):
    stated = lab(clone, tmp_path / "lab", "well")
    names = ("~data.files.datasets.ood_files", "+data.files.datasets.ood_amplitude.files=*")
    mixed(clone, tmp_path / "lab", *stated, f"scale.datasets=[{IND},{AXIS}]", *names)
    with h5py.File(tmp_path / "lab/measured.hdf5", "r+") as file:
        file["t0_fields/vorticity"][...] *= 2  # another flow
    stage(clone, "ingest", "--dataset", "ood_amplitude")
    error = sentence(stage(clone, "verify", expect=2))
    assert f"datasets are {IND}, {AXIS}, ood_amplitude, expected one for each axis" in error


def test_a_root_that_is_missing_is_one_sentence(clone):
    error = sentence(command(clone, "compose", "data=generated_and_files", expect=2))
    assert "conf/: data.root has no value" in error


def test_every_scale_has_the_axis_last():
    for scale, count in (("smoke", 2), ("laptop", 6), ("gpu", 6), ("study", 6)):
        overrides = ["data=generated_and_files", "data.root=lab", f"scale={scale}"]
        params = yaml.safe_load(compose(overrides, ROOT / "conf"))
        generated = yaml.safe_load(compose([f"scale={scale}"], ROOT / "conf"))
        assert len(generated["datasets"]) == count
        assert params["datasets"] == [*generated["datasets"], "ood_files"]
        ours = {k: v for k, v in params["data"].items() if k in generated["data"]}
        ours |= {key: generated["data"][key] for key in ("names", "imported")}
        assert ours == generated["data"], "the solver's part is the default's"


def documented():
    """Return the overrides of every command of the tutorial's section."""
    text = (ROOT / "docs/tutorial.md").read_text()
    section = text.partition("## Your own axis beside the solver's")[2].partition("\n## ")[0]
    block = section.split("```")[1].replace("\\\n", " ")
    commands = [shlex.split(line) for line in re.findall(r"^\$ dvc exp run (.+)$", block, re.M)]
    return [[word for word in command if word != "-S"] for command in commands]


@pytest.mark.parametrize("overrides", documented(), ids=["well", "axes", "npz"])
def test_the_commands_of_the_tutorial_import_what_they_say(clone, tmp_path, overrides):
    names = [f"{word}_{n}" for word in ("slow", "fast") for n in (1, 2)]
    with h5py.File(flow(clone)) as file:
        vorticity, scalars = file["t0_fields/vorticity"][...], file["scalars/viscosity"][...]
    np.savez(tmp_path / "FILE.npz", trajectories=vorticity[:, :, None], viscosity=scalars)
    (tmp_path / "FOLDER").mkdir()
    for n, name in enumerate(names, start=2):
        shutil.copy(flow(clone), tmp_path / f"FOLDER/{name}.hdf5")
        with h5py.File(tmp_path / f"FOLDER/{name}.hdf5", "r+") as file:
            file["t0_fields/vorticity"][...] *= n
    placed = [re.sub("(FOLDER|FILE.npz)$", rf"{tmp_path}/\1", word) for word in overrides]
    command(clone, "compose", "scale=smoke", *placed)
    stage(clone, "validate")
    params = yaml.safe_load((clone / "params.yaml").read_text())
    for name in params["data"]["imported"]:
        stage(clone, "ingest", "--dataset", name)
    assert params["datasets"] == [IND, AXIS, *params["data"]["imported"]]
    expected = {
        "ood_files": 2 if "source=npz" in str(overrides) else 8,
        "ood_slow": 4,
        "ood_fast": 4,
    }
    for name in params["data"]["imported"]:
        split = Split(
            clone / f"data/{name}/data/test", ["vorticity"], params["data"]["conditioning"]
        )
        assert len(split) == expected[name]


@pytest.mark.full
def test_the_whole_study_of_an_axis_of_files_and_of_its_twin(clone, tmp_path):
    """Every stage, and then the same networks on the same flow as a generated axis."""
    twin = "cfd2d_ood_rotation_v2"
    whole = ("scale=smoke", "replicates=[0,1]")
    command(clone, "compose", *whole, f"scale.datasets=[{IND},{AXIS},{twin}]")
    stage(clone, "validate")
    stage(clone, "generate", "--dataset", twin)
    (tmp_path / "lab").mkdir()
    (made,) = (clone / f"data/{twin}/data/test").glob("*.hdf5")
    shutil.copy(made, tmp_path / "lab/measured.hdf5")
    given = [f"-S{word}" for word in (*whole, "data=generated_and_files")]
    call(clone, "dvc", "exp", "run", *given, f"-Sdata.root={tmp_path}/lab")
    runs = clone / "metrics/runs"
    cells = [("unet", "0"), ("unet", "1"), ("fractal_unet", "0"), ("fractal_unet", "1")]
    found = {c: json.loads((runs / "/".join(c) / "evaluate.json").read_text()) for c in cells}
    summary = json.loads((clone / "metrics/summary.json").read_text())
    assert list(summary["unet"])[:4] == ["ind", "ood_amplitude", "ood_files", "ood"]
    assert list(summary["persistence"]) == [*list(summary["unet"])[:4], "gap"]
    assert list(summary["linear"]) == ["ind", "ood_amplitude"]
    stats = json.loads((clone / "metrics/stats.json").read_text())
    assert (
        stats["standing"] == json.loads((clone / "metrics/headline.json").read_text())["standing"]
    )
    assert stats["standing"] == "exploratory"
    assert "ood_files_nrmse" not in stats["fractal_unet"], "none was declared"
    page = " ".join((clone / "plots/report.html").read_text().split())
    assert "The equation of ood_files is not known" in page
    assert (clone / "plots/webp/ood_files.webp").stat().st_size > 0
    for probe in ("ib", "spectra", "rome"):
        assert "ood_files" in (runs / f"unet/0/{probe}.json").read_text()
    assert "0 wrong" in call(clone, "python", "-m", "chimera.commands.audit")
    assert "exploratory" in call(clone, "python", "-m", "chimera.commands.experiments")
    assert "Running stage" not in call(clone, "dvc", "repro")
    stage(clone, "verify", "--hash-missing")
    call(clone, "dvc", "repro")
    commit(clone)
    command(clone, "record", "LAB")
    croissant = json.loads((clone / "records/LAB/croissant.json").read_text())
    assert croissant["rai:dataCollection"].startswith("Simulated")
    assert croissant["rai:dataCollection"].endswith(
        "ood_files: Imported files, as their sha256 names them."
    )

    command(clone, "compose", *whole, f"scale.datasets=[{IND},{AXIS},{twin}]")
    stage(clone, "generate", "--dataset", twin)
    stage(clone, "verify")
    for model, replicate in cells:
        cell = ("--model", model, "--replicate", replicate)  # in a process as DVC's: bits agree
        call(clone, "python", "-m", "chimera.stages.evaluate", *cell)
        again = json.loads((runs / model / replicate / "evaluate.json").read_text())
        for name in ("model", "persistence"):
            assert found[model, replicate][name]["ood_files"] == again[name][twin]
            assert found[model, replicate][name][AXIS] == again[name][AXIS]
    assert twin in again["linear"]
