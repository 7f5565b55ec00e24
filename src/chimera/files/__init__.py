"""The one place that opens, hashes and replaces files."""
