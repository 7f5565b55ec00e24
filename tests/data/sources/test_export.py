"""What the solver writes, in PDEBench's layout and back."""

import math

import h5py
import numpy as np
import torch

import flows
from chimera.data.layout.recordings import Layout
from chimera.data.sources.export import export_pdebench
from chimera.data.sources.importing import channel_blocks
from chimera.data.sources.pdebench import open_pdebench
from chimera.data.sources.well_writer import write_trajectories
from chimera.fields.fourier import velocity


def test_round_trip_keeps_velocity_and_gives_the_vorticity_back(tmp_path):
    vorticity = flows.flow(3, T=4)[2]
    (tmp_path / "test").mkdir()
    layout = Layout(
        "generated", (16, 16), 4, extent=(2 * math.pi, 2 * math.pi), frame_interval=0.25
    )
    scalars = {"viscosity": np.full(3, 0.01), "drag": np.array([0.1, 0.2, 0.1])}
    still = np.zeros_like(vorticity[:, 0])
    write_trajectories(tmp_path / "test/a.hdf5", vorticity, still, layout, "waves", scalars)
    path = tmp_path / "out.hdf5"
    export_pdebench(tmp_path / "test", path)
    flow = velocity(torch.from_numpy(vorticity).double(), 2 * math.pi).float().numpy()
    with h5py.File(path) as file:
        np.testing.assert_array_equal(file["velocity"][...], flow)
        assert file["velocity"].chunks == (1, 1, 16, 16, 2)
        np.testing.assert_allclose(file["t"][...], np.tile(np.arange(4) * 0.25, (3, 1)))
        assert file.attrs["latestIndex"] == 3, "the last of 4 frames"
    recording = open_pdebench(path)
    assert recording.layout.boundary == ("periodic", "periodic")
    np.testing.assert_allclose(recording.layout.extent, (2 * math.pi, 2 * math.pi), rtol=1e-7)
    assert recording.layout.frame_interval == 0.25
    assert recording.scalars["viscosity"].tolist() == [0.01] * 3
    read = np.stack([block for _, _, block in channel_blocks(recording, range(3), ["vorticity"])])
    np.testing.assert_allclose(read[:, :, 0], vorticity, atol=2e-6 * np.abs(vorticity).max())
