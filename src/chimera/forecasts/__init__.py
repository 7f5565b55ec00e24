"""Trained networks put to use: forecasts from anybody's frames, and files for other tools."""
