"""Reading, writing and hashing of files."""
