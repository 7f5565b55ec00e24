"""Batches of windows of trajectories."""
