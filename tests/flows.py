"""Small files in every layout that the importer knows, of flows whose vorticity is known.

    psi = sum_k a_k cos(p_k X + q_k Y - w_k t + phi_k),  X = 2 pi x / Lx, Y = 2 pi y / Ly

with (u, v) = (dpsi/dy, -dpsi/dx) and omega = dv/dx - du/dy = -laplacian psi.

`python tests/flows.py FOLDER` writes one example of each.
"""

import math
import sys
from pathlib import Path

import h5py
import numpy as np

from chimera.data.layout.recordings import Layout
from chimera.data.sources.well_writer import create_trajectories


def flow(n=4, T=9, H=16, W=16, extent=(2 * math.pi, 2 * math.pi), seed=0):
    """Return velocity_x, velocity_y and vorticity, each (n, T, H, W) float32."""
    generator = np.random.default_rng(seed)
    x = 2 * math.pi * np.arange(H)[:, None] / H
    y = 2 * math.pi * np.arange(W) / W
    scale = [2 * math.pi / length for length in extent]
    fields = np.zeros((3, n, T, H, W))
    for trajectory in range(n):
        for _ in range(4):
            p, q = generator.integers(1, 4, size=2) * generator.choice([-1, 1], size=2)
            amplitude, speed, phase = generator.uniform(0.5, 1.5, size=3)
            for t in range(T):
                angle = p * x + q * y - speed * t + 6 * phase
                kx, ky = p * scale[0], q * scale[1]
                fields[0, trajectory, t] -= amplitude * ky * np.sin(angle)
                fields[1, trajectory, t] += amplitude * kx * np.sin(angle)
                fields[2, trajectory, t] += amplitude * (kx**2 + ky**2) * np.cos(angle)
    return fields.astype(np.float32)


def write_pdebench(path, n=4, extent=(2 * math.pi, 2 * math.pi), seed=0, **size):
    """Write the 2D_CFD layout; density and pressure are made up."""
    u, v, vorticity = flow(n, extent=extent, seed=seed, **size)
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file.attrs.update(eta=0.01, zeta=0.01, M=0.1)
        file["Vx"], file["Vy"] = u, v
        file["density"], file["pressure"] = 1 + 0.1 * np.tanh(vorticity), u**2 + v**2
        for name, N, length in zip("xy", u.shape[2:], extent, strict=True):
            file[f"{name}-coordinate"] = ((np.arange(N) + 0.5) * length / N).astype(np.float32)
        file["t-coordinate"] = np.arange(u.shape[1] + 1, dtype=np.float32) * 0.05
    return path


def write_incompressible(path, n=4, seed=0, **size):
    """Write the 2D incompressible layout as PDEBench's files are: chunked, lzf, shuffled."""
    u, v, vorticity = flow(n, seed=seed, **size)
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = {"compression": "lzf", "shuffle": True}
    with h5py.File(path, "w") as file:
        file.attrs["config"] = (
            "NU: 0.01\nvelocity_extrapolation: PERIODIC\n"
            "extent_x: 6.283185307\nextent_y: 6.283185307\n"
        )
        file.attrs["latestIndex"] = u.shape[1] - 1
        velocity = np.stack([u, v], axis=-1)
        file.create_dataset("velocity", data=velocity, chunks=(1, 1, *velocity.shape[2:]), **kind)
        particles = np.tanh(vorticity)[..., None]
        file.create_dataset(
            "particles", data=particles, chunks=(1, 1, *particles.shape[2:]), **kind
        )
        file["force"] = np.zeros((n, *velocity.shape[2:]), dtype=np.float32)
        file["t"] = np.tile(np.arange(u.shape[1], dtype=np.float32) * 0.05, (n, 1))
    return path


def write_well(
    path, n=4, viscosity=0.01, boundary=("periodic", "periodic"), seed=0, extent=(6.0, 6.0), **size
):
    """Write one file in The Well's layout, with a viscosity for each trajectory."""
    u, v, vorticity = flow(n, seed=seed, extent=extent, **size)
    path.parent.mkdir(parents=True, exist_ok=True)
    layout = Layout("well", u.shape[2:], u.shape[1], boundary, extent, 0.1)
    scalars = {"viscosity": np.broadcast_to(np.float64(viscosity), (n,))}
    fields = {"vorticity": vorticity, "velocity_x": u, "velocity_y": v}
    with create_trajectories(
        path, list(fields), layout, count=n, dataset_name="waves", scalars=scalars
    ) as file:
        for name, values in fields.items():
            file["t0_fields"][name][...] = values
    return path


def write_well_folder(root, sizes=(4, 2, 2), **form):
    """Write a folder data/{train, valid, test} and its stats.yaml's place, as The Well's are."""
    for seed, (split, n) in enumerate(zip(("train", "valid", "test"), sizes, strict=True)):
        write_well(root / "data" / split / f"waves_{split}.hdf5", n, seed=seed, **form)
    return root


def write_pairs(folder, n=8, **size):
    """Write `x`, `y` of shape (1, H, W), one archive for each pair."""
    folder.mkdir(parents=True, exist_ok=True)
    _, _, vorticity = flow(n, T=2, **size)
    for number, (x, y) in enumerate(vorticity):
        np.savez(folder / f"pair_{number:03d}.npz", x=x[None], y=y[None])
    return folder


def write_arrays(path, n=4, **size):
    """Write `trajectories` (N, T, C, H, W) with a scalar."""
    path.parent.mkdir(parents=True, exist_ok=True)
    vorticity = flow(n, **size)[2]
    np.savez(path, trajectories=vorticity[:, :, None], viscosity=np.linspace(0.01, 0.04, n))
    return path


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    write_pdebench(folder / "2D_CFD.hdf5", n=3)
    write_incompressible(folder / "ns_incom.hdf5")
    write_well_folder(folder / "well")
    write_pairs(folder / "pairs")
    write_arrays(folder / "trajectories.npz")
