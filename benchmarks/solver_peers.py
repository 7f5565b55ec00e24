"""Other solvers of the same equation, in an interpreter of their own, for benchmarks/solver.py.

Reads requests from stdin and answers on stdout, one JSON line each:

    {"solver": "exponax" | "jax-cfd", "steps": n, "batch": B}  ->  {"seconds": process time}

integrates B copies of INITIAL.npy (N, N) in float64 over one unit of time on a square of side 2 pi
without forcing or drag, and writes the last vorticity of the first into RESULT.npy. Compilation is
not counted: a request with the same arguments is compiled once.

Started by benchmarks/solver.py as `PYTHON benchmarks/solver_peers.py INITIAL.npy RESULT.npy NU`.
"""

import json
import math
import os
import sys
import time
from collections.abc import Callable
from functools import cache

os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
os.environ["JAX_ENABLE_X64"] = "true"

import exponax
import jax
import jax.numpy as jnp
import numpy as np
from jax_cfd.base.grids import Grid
from jax_cfd.spectral.equations import NavierStokes2D
from jax_cfd.spectral.time_stepping import crank_nicolson_rk4

INITIAL = np.load(sys.argv[1])
VISCOSITY = float(sys.argv[3])
N = len(INITIAL)


def exponax_etdrk4(time_step: float) -> tuple[Callable, Callable, Callable]:
    """Exponential time differencing; its vorticity has the opposite sign."""
    stepper = exponax.stepper.NavierStokesVorticity(
        2, 2 * math.pi, N, time_step, diffusivity=VISCOSITY, order=4
    )
    return lambda w: -jnp.fft.rfftn(w)[None], stepper.step_fourier, lambda w: -jnp.fft.irfftn(w[0])


def jax_cfd_cn_rk4(time_step: float) -> tuple[Callable, Callable, Callable]:
    """Carpenter-Kennedy Runge-Kutta with Crank-Nicolson diffusion."""
    grid = Grid((N, N), domain=((0, 2 * math.pi), (0, 2 * math.pi)))
    step = crank_nicolson_rk4(NavierStokes2D(VISCOSITY, grid), time_step)
    return jnp.fft.rfftn, step, jnp.fft.irfftn


SOLVERS = {"exponax": exponax_etdrk4, "jax-cfd": jax_cfd_cn_rk4}


@cache
def compiled(solver: str, steps: int, batch: int) -> tuple[Callable, jax.Array]:
    """Return the whole integration of a batch, compiled, and the batch."""
    to_modes, step, to_grid = SOLVERS[solver](1.0 / steps)

    def integrate(field: jax.Array) -> jax.Array:
        return to_grid(jax.lax.fori_loop(0, steps, lambda _, w: step(w), to_modes(field)))

    fields = jnp.asarray(np.stack([INITIAL] * batch))
    return jax.jit(jax.vmap(integrate)).lower(fields).compile(), fields


for line in sys.stdin:
    request = json.loads(line)
    run, fields = compiled(request["solver"], request["steps"], request["batch"])
    start = time.process_time()
    result = run(fields).block_until_ready()
    seconds = time.process_time() - start
    np.save(sys.argv[2], np.asarray(result[0]))
    sys.stdout.write(json.dumps({"seconds": seconds}) + "\n")
    sys.stdout.flush()
