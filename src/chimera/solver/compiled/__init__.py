"""The hot path of the solver, compiled by numba."""
