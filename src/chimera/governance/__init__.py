"""The preregistration and the append-only logs."""
