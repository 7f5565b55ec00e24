"""The solver's flow as IND and a file of other people's as its OOD axis: one folder of links."""

import h5py
import pytest
import yaml

import flows
from chimera.data.layout.splits import Split
from chimera.data.settings import read_data
from chimera.data.sources.importing import import_dataset
from chimera.interface.errors import InputError
from chimera.planning.composition import compose
from workspaces import ROOT

SIZES = {"train": 4, "valid": 2, "test": 2}


def test_the_splits_stay_and_the_other_file_is_an_axis(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ours = flows.write_well_folder(tmp_path / "data/cfd2d_ind_v2", tuple(SIZES.values()))
    measured = flows.write_well(tmp_path / "elsewhere/measured.hdf5", 3, seed=9)
    for split in SIZES:
        (tmp_path / "joined" / split).mkdir(parents=True)
        for file in (ours / "data" / split).iterdir():
            (tmp_path / "joined" / split / file.name).symlink_to(file)
    (tmp_path / "joined/measured").mkdir()
    (tmp_path / "joined/measured/a.hdf5").symlink_to(measured)
    changes = ["data=well", "data.root=joined", '+data.datasets.ood_measured.files="measured/*"']
    section = yaml.safe_load(compose([*changes, "data.outside=true"], ROOT / "conf"))["data"]
    assert section["imported"] == ["ind", "ood_measured"]
    data = read_data(section)
    for name, expected in (("ind", SIZES), ("ood_measured", {"test": 3})):
        import_dataset(name, data, tmp_path / "out" / name)
        folders = {path.name: path for path in (tmp_path / "out" / name / "data").iterdir()}
        assert {k: len(Split(path, ["vorticity"])) for k, path in folders.items()} == expected
    with h5py.File(measured) as file:
        wanted = file["t0_fields/vorticity"][2, 5]
    found = Split(tmp_path / "out/ood_measured/data/test", ["vorticity"]).read()[2, 5, 0]
    assert (found == wanted).all()
    with pytest.raises(InputError, match="is a link to"):
        import_dataset("ind", read_data(section | {"outside": False}), tmp_path / "closed")
