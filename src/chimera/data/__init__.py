"""Datasets: their settings, sources, layout, batches and verification.

Data that cannot be used raise InputError, one sentence that names the file or the key.
"""
