"""The user interface: settings, error sentences, progress and version checks."""
