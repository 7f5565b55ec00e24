"""Endpoints, contrasts, and aggregation over replicates."""
