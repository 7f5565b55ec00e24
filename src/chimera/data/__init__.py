"""Datasets: settings, sources, layout, batches, verification. Unusable data raise an InputError."""
