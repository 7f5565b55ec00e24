"""Reading, writing and hashing of files, and what gives them the same bytes on every processor."""
