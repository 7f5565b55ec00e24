"""Datasets: their settings, sources, layout, batches and verification."""
