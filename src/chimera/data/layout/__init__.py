"""Readers of trajectories in files."""
