"""Where datasets come from: the solver, or files."""
