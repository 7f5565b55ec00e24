"""The advection, compiled by numba."""
