"""Sources of datasets: the solver, or user files."""
