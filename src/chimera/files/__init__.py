"""All code that opens, hashes and replaces files."""
