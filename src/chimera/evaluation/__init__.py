"""How far forecasters are from the truth."""
