"""Probes: what a trained network does inside."""
